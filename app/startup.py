"""Life of the service: loading with retries, ready, failed, closed.

A part that fails to load is retried until it succeeds, because a hub or a folder may be back soon.
A command that runs once gives no `sleep`: its first error ends the loading.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from app.api.service import Service
from app.codec import Report
from app.decode.scheduler import Scheduler
from app.errors import LoadError, ServiceError
from app.readiness import Readiness

log = logging.getLogger(__name__)

FIRST_DELAY_S = 5.0  # before the first retry; doubles with each
MAX_DELAY_S = 60.0  # between two retries, each of which logs a line and calls the hub

Loaded = TypeVar("Loaded")
BuildDecoder = Callable[[Report], Scheduler]  # blocks; raises LoadError
Sleep = Callable[[float], Awaitable[object]]


@asynccontextmanager
async def running(
    service: Service, build_decoder: BuildDecoder, sleep: Sleep | None
) -> AsyncGenerator[None]:
    """Load the service in the background and let it run; close it when the block ends."""
    run = asyncio.create_task(_run(service, build_decoder, sleep))
    run.add_done_callback(partial(_on_run_ended, service))
    try:
        yield
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await service.close()


async def _run(service: Service, build_decoder: BuildDecoder, sleep: Sleep | None) -> None:
    """Load, accept requests, and wait for a fatal failure, which is raised."""
    decoder = await _load(service, build_decoder, sleep)
    decoder.start()
    gc.collect()
    gc.freeze()  # collections then skip the few hundred thousand objects of the loaded models
    service.open(decoder)
    await _log_readiness(service)
    await decoder.wait_for_failure()


async def _load(service: Service, build_decoder: BuildDecoder, sleep: Sleep | None) -> Scheduler:
    """Load folders, codec and engine; return the codec's scheduler, not started yet.

    The folders come first, so that a wrong one is reported before a download of minutes.
    """

    def report(progress: str) -> None:
        service.readiness.set_loading(progress)
        log.info("%s", progress)

    async def prepare_history() -> None:
        await asyncio.to_thread(service.history.prepare)

    async def load_codec() -> Scheduler:
        return await asyncio.to_thread(build_decoder, report)

    await _retry_load(service.readiness, sleep, prepare_history)
    await _retry_load(service.readiness, sleep, service.cloner.start)
    decoder = await _retry_load(service.readiness, sleep, load_codec)
    await _retry_load(service.readiness, sleep, service.engine.start)
    return decoder


async def _retry_load(
    readiness: Readiness, sleep: Sleep | None, load_part: Callable[[], Awaitable[Loaded]]
) -> Loaded:
    """Load a part, and retry it after each LoadError; without `sleep`, raise the first."""
    delay_s = FIRST_DELAY_S
    while True:
        try:
            loaded = await load_part()
        except LoadError as exc:
            if sleep is None:
                raise
            readiness.set_retrying(str(exc))
            log.critical("not ready: %s; retrying in %.0f s", exc, delay_s)
        else:
            readiness.set_loading()
            return loaded
        await sleep(delay_s)
        delay_s = min(2 * delay_s, MAX_DELAY_S)


async def _log_readiness(service: Service) -> None:
    model = f"{service.profile.model} with the {service.profile.codec.name} codec"
    try:
        await service.engine.check()
    except ServiceError as exc:
        log.warning("loaded: %s; not ready: %s", model, exc.message)
    else:
        log.info("ready: %s", model)


def _on_run_ended(service: Service, run: asyncio.Task[None]) -> None:
    """Log an unexpected loading error, or a lost device, and fail the service.

    The process then exits, for the supervisor to restart it. A LoadError, which ends the loading
    only without retries, is not logged, because its message is the reason.
    """
    if run.cancelled() or (exc := run.exception()) is None:
        return
    if isinstance(exc, LoadError):
        service.readiness.fail(str(exc))
        return
    reason = "loading failed"
    if service.decoder is not None and isinstance(exc, ServiceError):
        reason = exc.message  # the device is lost
    log.critical("%s", reason, exc_info=exc)
    service.readiness.fail(f"{reason}; the server's log says why")
