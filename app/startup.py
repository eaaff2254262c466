"""Loading at start, retried until it succeeds because a hub or a folder may be back soon."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.api.service import LOADING, Service
from app.codec import Codec
from app.components import build_decoder
from app.decode.queue import BatchLimits, Queue
from app.decode.scheduler import Job, Scheduler
from app.errors import LoadError

log = logging.getLogger(__name__)

FIRST_DELAY_S = 5.0  # before the first retry; doubles with each
MAX_DELAY_S = 60.0  # between two retries, each of which logs a line and calls the hub

Loaded = TypeVar("Loaded")
Sleep = Callable[[float], Awaitable[object]]


async def load_components(
    service: Service, codec: Codec | None, queue: Callable[[BatchLimits], Queue[Job]], sleep: Sleep
) -> Scheduler:
    """Load folders, codec and engine; return the codec's scheduler, not started yet.

    A step that fails is retried after `pause` until it succeeds, and `service.problem` holds its
    error meanwhile. The folders come first, so that a wrong one is reported before a download of
    minutes.
    """

    async def load_codec() -> Scheduler:
        return await asyncio.to_thread(build_decoder, service, codec, queue)

    async def prepare_records() -> None:
        await asyncio.to_thread(service.history.prepare)

    await _retry_load(service, sleep, prepare_records)
    await _retry_load(service, sleep, service.cloner.start)
    decoder = await _retry_load(service, sleep, load_codec)
    await _retry_load(service, sleep, service.engine.start)
    return decoder


async def _retry_load(
    service: Service, sleep: Sleep, load_part: Callable[[], Awaitable[Loaded]]
) -> Loaded:
    pause_s = FIRST_DELAY_S
    while True:
        try:
            loaded = await load_part()
        except LoadError as exc:
            service.problem = f"{exc}; it will be retried"
            log.critical("not ready: %s; retrying in %.0f s", exc, pause_s)
        else:
            service.problem = LOADING
            return loaded
        await sleep(pause_s)
        pause_s = min(2 * pause_s, MAX_DELAY_S)
