"""Admission: limit concurrent requests, and delay or reject streams that would underrun."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal

from app import metrics
from app.decode.load_estimate import LoadEstimate, Shortage, Stream
from app.errors import Overloaded
from app.process_time import ProcessTimeout
from app.synthesis.audio_output import ClientGone

RETRY_AFTER_S = 1
# Share of the slots reserved for streams. A longer wait does not interrupt the audio of a whole
# body, so whole bodies are rejected first.
STREAM_RESERVE = 1 / 8
# Interval of the checks while streams wait. The load falls with time alone, because the clients of
# running streams receive audio faster than they play it.
RECHECK_S = 0.05
Reason = Literal["places", "key"] | Shortage
MESSAGES: dict[Reason, str] = {
    "places": "too many concurrent requests; retry shortly",
    "key": "too many concurrent requests with this API key; retry shortly",
    "decode": "decode capacity is exhausted; retry shortly",
    "engine": "engine capacity is exhausted; retry shortly",
    "late": "streams are underrunning; retry shortly",
}


@dataclass(slots=True)
class WaitingStream:
    """A stream that waits for admission."""

    stream: Stream
    shortage: Shortage  # reason for the wait
    come: asyncio.Future[None]


class Admission:
    """Counts running requests, in all and for each API key.

    A stream is admitted when the decode devices and the engine can serve it and the running streams
    without underruns. Until then it waits in order of arrival, for at most `wait_s`. An idle server
    admits any stream. A whole body does not wait here, because its windows are decoded after those
    of streams. A waiting request holds its slot, so the queue is never longer than `limit`.
    """

    def __init__(
        self,
        load_estimate: LoadEstimate,
        limit: int,
        limit_per_key: int | None = None,
        utilisation: float = 0.0,
        wait_s: float = 0.0,
    ) -> None:
        """`utilisation`: largest share of decode and engine time for streams (0: no limit)."""
        self._load_estimate = load_estimate
        self._limit, self._limit_per_key = limit, limit_per_key
        self._utilisation, self._wait_s = utilisation, wait_s
        self._of_key: Counter[int] = Counter()
        self._streams: set[Stream] = set()
        self._waiting_streams: deque[WaitingStream] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.in_flight = 0

    @property
    def streams(self) -> int:
        """Number of admitted streams."""
        return len(self._streams)

    @property
    def waiting(self) -> int:
        """Number of streams that wait for admission."""
        return len(self._waiting_streams)

    def check(self, key: int | None = None, *, whole: bool = False) -> None:
        """Reject a request before any work is done.

        Raises:
            Overloaded: all slots are in use, or all slots of the key.
        """
        kept = int(self._limit * STREAM_RESERVE) if whole else 0
        if self.in_flight >= self._limit - kept:
            raise _refusal("places")
        if self._is_used_up(key):
            raise _refusal("key")

    @asynccontextmanager
    async def slot(
        self,
        key: int | None = None,
        stream: Stream | None = None,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncGenerator[None]:
        """Hold a slot until the block ends. A stream waits for admission before the block starts.

        `stream` is None for a whole body. `gone` returns when the client has disconnected.

        Raises:
            Overloaded: see `check`, or the stream was not admitted within `wait_s`.
            ClientGone: the client disconnected while its request waited.
        """
        self.check(key, whole=stream is None)
        self._count(key, 1)
        try:
            if stream is not None:
                await self._begin(stream, gone)
            yield
        finally:
            self._count(key, -1)
            if stream is not None:
                self._streams.discard(stream)
            self._admit_waiting()

    @contextmanager
    def upload(self, key: int | None) -> Generator[None]:
        """Count an upload towards the limit of its key alone. Raises Overloaded at that limit."""
        if self._is_used_up(key):
            raise _refusal("key")
        self._count_key(key, 1)
        try:
            yield
        finally:
            self._count_key(key, -1)

    async def _begin(self, stream: Stream, gone: Callable[[], Awaitable[None]] | None) -> None:
        """Admit a stream at once, or wait for its admission."""
        begun_s = time.monotonic()
        shortage = (
            self._waiting_streams[-1].shortage if self._waiting_streams else self._shortage(stream)
        )
        if shortage is None:
            self._admit(stream)
        elif self._wait_s:
            admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            await self._wait(WaitingStream(stream, shortage, admitted), gone)
        else:
            raise _refusal(shortage)
        metrics.ADMISSION_WAIT.observe(time.monotonic() - begun_s)

    async def _wait(
        self, waiting: WaitingStream, gone: Callable[[], Awaitable[None]] | None
    ) -> None:
        self._waiting_streams.append(waiting)
        self._update_waiting_gauge()
        self._recheck()
        left = asyncio.ensure_future(gone()) if gone else None
        events = [waiting.come, left] if left else [waiting.come]
        try:
            async with ProcessTimeout(self._wait_s):
                await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            pass  # rejected below, unless it has been admitted in the meantime
        finally:
            if left:
                left.cancel()
                await asyncio.gather(left, return_exceptions=True)
            if not waiting.come.done():
                self._waiting_streams.remove(waiting)
                self._update_waiting_gauge()
        if waiting.come.done():
            return
        self._admit_waiting()  # the next stream may need less capacity
        if left and not left.cancelled():
            raise ClientGone("the client has disconnected")
        raise _refusal(waiting.shortage)

    def _admit_waiting(self) -> None:
        """Admit waiting streams in order of arrival, until one of them has to wait longer."""
        while self._waiting_streams:
            waiting = self._waiting_streams[0]
            shortage = self._shortage(waiting.stream)
            if shortage:
                waiting.shortage = shortage
                break
            self._waiting_streams.popleft()
            self._admit(waiting.stream)
            waiting.come.set_result(None)
            self._update_waiting_gauge()
        self._recheck()

    def _recheck(self) -> None:
        """Schedule the next check if streams wait."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = (
            loop.call_later(RECHECK_S, self._admit_waiting) if self._waiting_streams else None
        )

    def _admit(self, stream: Stream) -> None:
        if not self._streams:
            self._load_estimate.stream_started_alone(time.monotonic())
        self._streams.add(stream)

    def _shortage(self, stream: Stream) -> Shortage | None:
        """Return the reason why one more stream would underrun or make others underrun, or None."""
        if not self._utilisation or not self._streams:
            return None
        return self._load_estimate.shortage(
            self._streams, stream, self._utilisation, time.monotonic()
        )

    def _is_used_up(self, key: int | None) -> bool:
        return (
            key is not None
            and self._limit_per_key is not None
            and self._of_key[key] >= self._limit_per_key
        )

    def _count(self, key: int | None, change: int) -> None:
        self.in_flight += change
        metrics.IN_FLIGHT.set(self.in_flight)
        self._count_key(key, change)

    def _count_key(self, key: int | None, change: int) -> None:
        if key is not None:
            self._of_key[key] += change

    def _update_waiting_gauge(self) -> None:
        metrics.WAITING.set(len(self._waiting_streams))


def overloaded(reason: str, message: str, retry_after_s: int = RETRY_AFTER_S) -> Overloaded:
    """Count a rejection by its reason, one of a closed set, and return the error for it."""
    metrics.REFUSED.labels(reason).inc()
    return Overloaded(message, retry_after_s=retry_after_s)


def _refusal(reason: Reason) -> Overloaded:
    return overloaded(reason, MESSAGES[reason])
