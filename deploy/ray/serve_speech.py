"""The service on Ray Serve: `python deploy/ray/serve_speech.py --replicas 2`. Needs `ray[serve]`.

Each replica is the whole application, as `python -m app` runs it. Ray starts the replicas,
distributes the requests, and replaces a replica that dies. Admission is left to the application,
because Ray rejects with a plain 503 and its queue is unbounded.
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

from app.api.service import Service
from app.config.settings import Settings, setting_names
from app.logs import configure
from app.main import create_app
from app.readiness import LOADING
from app.server.malloc import limit_allocator_memory
from app.tracing import export

RAY_WORKER_PORTS = range(10_002, 20_000)
LOADING_POLL_S = 0.1  # between two checks of the loading state
# Ray's limit of requests per replica, in multiples of MAX_CONCURRENT_REQUESTS, is never reached.
ONGOING_REQUESTS_FACTOR = 10


def build_app() -> FastAPI:
    """Create the application in the replica's process, which does not run `app.__main__`."""
    limit_allocator_memory()
    settings = Settings()
    configure(settings.log_level, settings.log_format)
    export(settings.otel_exporter_otlp_endpoint)
    return create_app(settings)


def with_settings(build: Callable[[], FastAPI], settings: dict[str, str]) -> Callable[[], FastAPI]:
    """Wrap `build` to set the settings as environment variables of the replica first.

    Ray's runtime_env is not used, because Ray logs it with every key.
    """

    def build_with_settings() -> FastAPI:
        os.environ.update(settings)
        return build()

    return build_with_settings


def application(
    build: Callable[[], FastAPI], settings: Settings, *, replicas: int, gpus: float
) -> serve.Application:
    """Build the Ray application. `gpus` per replica may be a fraction if replicas share a GPU."""

    @serve.deployment(
        name="speech",
        num_replicas=replicas,
        ray_actor_options={"num_gpus": gpus},
        max_ongoing_requests=ONGOING_REQUESTS_FACTOR * settings.max_concurrent_requests,
        graceful_shutdown_timeout_s=settings.shutdown_grace_s + 10,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=2,
    )
    @serve.ingress(with_settings(build, environment()))
    class Speech:
        """A replica."""

        app: FastAPI

        async def check_health(self) -> None:
            """Wait until the service has loaded; raise an error if it is broken.

            Ray replaces the replica after an error.
            """
            service = self.app.state.service
            assert isinstance(service, Service)
            readiness = service.readiness
            # Loading has no event, and no request runs yet.
            while readiness.reason.startswith(LOADING) and not readiness.failed:  # noqa: ASYNC110
                await asyncio.sleep(LOADING_POLL_S)
            if readiness.reason or not service.alive:
                raise RuntimeError(readiness.reason or "a decode thread has died")

    return Speech.bind()


def environment() -> dict[str, str]:
    """Return this process's settings, OpenTelemetry's too, for replicas on other machines."""
    known = {**dotenv_values(".env"), **os.environ}
    names = {name.upper() for name in setting_names()} | {
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
    """Serve on HOST and PORT until a signal.

    `address` is that of a running cluster; None starts one on this machine.

    Raises:
        ValueError: PORT is in the range of Ray's workers.
    """
    settings = Settings()
    if settings.port in RAY_WORKER_PORTS:
        raise ValueError(f"PORT={settings.port}: Ray's workers use 10002 to 19999")
    ray.init(address=address, include_dashboard=False)
    # Ray's timeout would cut long responses, and 0 would reject all. The service has its own.
    serve.start(
        http_options=HTTPOptions(host=settings.host, port=settings.port, request_timeout_s=None)
    )
    serve.run(
        application(build, settings, replicas=replicas, gpus=gpus), name="speech", blocking=True
    )


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--gpus", type=float, default=0.0, help="GPUs per replica")
    parser.add_argument(
        "--address", help="address of a running cluster for ray.init; default: start one here"
    )
    arguments = parser.parse_args()
    run(build_app, replicas=arguments.replicas, gpus=arguments.gpus, address=arguments.address)


if __name__ == "__main__":
    main()
