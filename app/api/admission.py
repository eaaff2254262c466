"""Admission: so many requests at once, no stream more than the devices can keep in sound, a short wait for the rest."""

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
from app.listener import ClientGone
from app.standstill import Limit

RETRY_AFTER_S = 1
KEPT_FOR_STREAMS = (
    1 / 8
)  # of the places: a client of a whole body does not hear how long it waits, so those give way
RECHECK_S = 0.05  # while streams wait: their turn comes with time itself, as others get ahead of their clients
Reason = Literal["places", "key"] | Shortage
MESSAGES: dict[Reason, str] = {
    "places": "the server is busy; try again shortly",
    "key": "this API key has as many requests running as it may",
    "decode": "the server has as many listeners as it can keep in sound; try again shortly",
    "engine": "the server has as many listeners as its engine can keep in sound; try again shortly",
    "late": "the server is late for its listeners; try again shortly",
}


@dataclass(slots=True)
class Turn:
    """A stream that waits until it can be kept in sound."""

    stream: Stream
    shortage: Shortage  # the reason for which it waits
    come: asyncio.Future[None]


class Admission:
    """Counts the requests being served; with a limit per key, also those of each API key.

    A stream begins once the decode devices can keep it in sound beside the others; until then it waits in order, for
    `wait_s` at most. An idle server begins any. A whole body does not wait here: its windows wait until nothing else
    does. A request that waits holds its place, so that the queue is as short as the number of places.
    """

    def __init__(
        self,
        limit: int,
        limit_per_key: int | None = None,
        utilisation: float = 0.0,
        wait_s: float = 0.0,
    ) -> None:
        """`utilisation`: the share of the decode devices' time that streams may need (0: not looked at)."""
        self._limit, self._limit_per_key = limit, limit_per_key
        self._utilisation, self._wait_s = utilisation, wait_s
        self._of_key: Counter[int] = Counter()
        self._streams: set[Stream] = set()
        self._turns: deque[Turn] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.in_flight = 0
        self.load: LoadEstimate | None = None  # known once the codec is loaded

    @property
    def streams(self) -> int:
        """Streams that have begun."""
        return len(self._streams)

    @property
    def waiting(self) -> int:
        """Streams that wait for their turn."""
        return len(self._turns)

    def check(self, key: int | None = None, *, whole: bool = False) -> None:
        """Refuse before any work is done.

        Raises:
            Overloaded: all places are taken, or all of the key.
        """
        kept = int(self._limit * KEPT_FOR_STREAMS) if whole else 0
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
        """Hold a place for the length of the block, and let a stream wait for its turn before it.

        `stream` is None for a whole body; `gone` returns when the client has disconnected.

        Raises:
            Overloaded: as `check` does, or the stream could not be kept in sound within the wait.
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
            self._give_turns()

    @contextmanager
    def upload(self, key: int | None) -> Generator[None]:
        """Count an upload among its key's requests, but not among those served; raises Overloaded as `check` does."""
        if self._is_used_up(key):
            raise _refusal("key")
        self._count_key(key, 1)
        try:
            yield
        finally:
            self._count_key(key, -1)

    async def _begin(self, stream: Stream, gone: Callable[[], Awaitable[None]] | None) -> None:
        """Let a stream begin at once, or when its turn has come."""
        begun_s = time.monotonic()
        shortage = self._turns[-1].shortage if self._turns else self._shortage(stream)
        if shortage is None:
            self._admit(stream)
        elif self._wait_s:
            await self._wait(
                Turn(stream, shortage, asyncio.get_running_loop().create_future()), gone
            )
        else:
            raise _refusal(shortage)
        metrics.ADMISSION_WAIT.observe(time.monotonic() - begun_s)

    async def _wait(self, turn: Turn, gone: Callable[[], Awaitable[None]] | None) -> None:
        self._turns.append(turn)
        self._tell_waiting()
        self._recheck()
        left = asyncio.ensure_future(gone()) if gone else None
        try:
            async with Limit(self._wait_s):
                await asyncio.wait(
                    [turn.come, left] if left else [turn.come], return_when=asyncio.FIRST_COMPLETED
                )
        except TimeoutError:
            pass  # it is refused below, unless its turn has come at this very moment
        finally:
            if left:
                left.cancel()
                await asyncio.gather(left, return_exceptions=True)
            if not turn.come.done():
                self._turns.remove(turn)
                self._tell_waiting()
        if turn.come.done():
            return
        self._give_turns()  # the next one may need less
        if left and not left.cancelled():
            raise ClientGone("the client has disconnected")
        raise _refusal(turn.shortage)

    def _give_turns(self) -> None:
        """Let those begin that can be kept in sound, in the order in which they came."""
        while self._turns:
            turn = self._turns[0]
            shortage = self._shortage(turn.stream)
            if shortage:
                turn.shortage = shortage
                break
            self._turns.popleft()
            self._admit(turn.stream)
            turn.come.set_result(None)
            self._tell_waiting()
        self._recheck()

    def _recheck(self) -> None:
        """Look again in a moment, while streams wait."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(RECHECK_S, self._give_turns) if self._turns else None

    def _admit(self, stream: Stream) -> None:
        if self.load and not self._streams:
            self.load.began_alone(time.monotonic())
        self._streams.add(stream)

    def _shortage(self, stream: Stream) -> Shortage | None:
        """Return the reason for which one more stream, or the others beside it, would run dry."""
        if self.load is None or not self._utilisation or not self._streams:
            return None
        return self.load.shortage(self._streams, stream, self._utilisation, time.monotonic())

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

    def _tell_waiting(self) -> None:
        metrics.WAITING.set(len(self._turns))


def overloaded(reason: str, message: str, retry_after_s: int = RETRY_AFTER_S) -> Overloaded:
    """Count a refusal by its reason, one of a closed set, and return its answer."""
    metrics.REFUSED.labels(reason).inc()
    return Overloaded(message, retry_after_s=retry_after_s)


def _refusal(reason: Reason) -> Overloaded:
    return overloaded(reason, MESSAGES[reason])
