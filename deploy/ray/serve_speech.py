"""The service on Ray Serve: `python deploy/ray/serve_speech.py --replicas 2`, where `ray[serve]` is installed.

Each replica is the whole application, as `python -m app` runs it; Ray starts them, spreads the requests, and replaces
one that dies. Admission stays the application's: Ray's own refusal is a plain 503, and its queue has no end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable

import ray
from dotenv import dotenv_values
from fastapi import FastAPI
from ray import serve
from ray.serve.config import HTTPOptions

from app.allocator import hold_less
from app.api.service import LOADING, Service
from app.logs import configure
from app.main import create_app
from app.settings import Settings
from app.tracing import export

RAYS_OWN = range(10_002, 20_000)  # ports of Ray's workers: a server there fails now and then
LOADING_LOOK_S = 0.1
NEVER_REACHED = 10  # times MAX_CONCURRENT_REQUESTS: how many requests Ray may give a replica


def build_app() -> FastAPI:
    """The application, made in the replica's process, which starts otherwise than `python -m app`."""
    hold_less()
    settings = Settings()
    configure(settings.log_level, settings.log_format)
    export(settings.otel_exporter_otlp_endpoint)
    return create_app(settings)


def told(build: Callable[[], FastAPI], settings: dict[str, str]) -> Callable[[], FastAPI]:
    """`build` as a replica calls it, with the settings in its environment.

    They do not go by Ray's runtime_env, which stands in Ray's logs as it is, with every key.
    """

    def begin() -> FastAPI:
        os.environ.update(settings)
        return build()

    return begin


def application(
    build: Callable[[], FastAPI], settings: Settings, *, replicas: int, gpus: float
) -> serve.Application:
    """What `serve.run` takes. `gpus` of each replica may be a fraction, where several share one."""

    @serve.deployment(
        name="speech",
        num_replicas=replicas,
        ray_actor_options={"num_gpus": gpus},
        max_ongoing_requests=NEVER_REACHED * settings.max_concurrent_requests,
        graceful_shutdown_timeout_s=settings.shutdown_grace_s + 10,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=2,
    )
    @serve.ingress(told(build, environment()))
    class Speech:
        """One replica."""

        app: FastAPI

        async def check_health(self) -> None:
            """Return when it is well, the first time when it has loaded; Ray replaces it where this raises."""
            service = self.app.state.service
            assert isinstance(service, Service)
            while (  # noqa: ASYNC110
                service.decoder is None
                and not service.broken
                and service.problem.startswith(LOADING)
            ):
                await asyncio.sleep(LOADING_LOOK_S)  # nobody tells, and nobody is served yet
            if service.decoder is None or not service.alive:
                raise RuntimeError(service.problem or "a decode thread has died")

    return Speech.bind()


def environment() -> dict[str, str]:
    """The settings of this process, OpenTelemetry's too, which replicas on other machines have to be told."""
    known = {**dotenv_values(".env"), **os.environ}
    names = {name.upper() for name in Settings.model_fields} | {
        "HF_HOME",
        "HF_TOKEN",
        "HF_ENDPOINT",
    }
    return {
        name: value
        for name, value in known.items()
        if (name in names or name.startswith("OTEL_")) and value
    }


def run(
    build: Callable[[], FastAPI], *, replicas: int, gpus: float = 0.0, address: str | None = None
) -> None:
    """Serve on HOST and PORT until a signal ends it; `address` is a running cluster's, None starts one here.

    Raises:
        ValueError: a port that Ray wants for itself.
    """
    settings = Settings()
    if settings.port in RAYS_OWN:
        raise ValueError(f"PORT={settings.port}: Ray's workers use 10002 to 19999")
    ray.init(address=address, include_dashboard=False)
    # A timeout of the whole request would cut long answers (and 0 would refuse all): the service has its own.
    serve.start(
        http_options=HTTPOptions(host=settings.host, port=settings.port, request_timeout_s=None)
    )
    serve.run(
        application(build, settings, replicas=replicas, gpus=gpus), name="speech", blocking=True
    )


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--gpus", type=float, default=0.0, help="of each replica")
    parser.add_argument(
        "--address", help="a running cluster's, as ray.init takes it; one is started here without"
    )
    given = parser.parse_args()
    run(build_app, replicas=given.replicas, gpus=given.gpus, address=given.address)


if __name__ == "__main__":
    main()
