"""The embedded language model: one thread steps it for all requests, and they come and go between steps."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from app.engine import OnTokens
from app.engine.chorus import Chorus
from app.engine.embedded import Delivery
from app.engine.lm import LONGEST_TOKENS, read_language_model
from app.engine.phonemes import Piece
from app.engine.silence import SilenceTrim
from app.errors import EngineError, EngineLength, EngineUnreachable

log = logging.getLogger(__name__)

# Eight requests make 3,800 codes a second on a busy core, sixteen 4,100; a step takes 2 and 4 ms.
ROWS = 16
# A call into the event loop costs 50 us on either side, so codes are handed over a few at a time: 80 ms of sound.
STEPS_PER_DELIVERY = 4

News = list[int] | EngineError | None  # codes, why there are no more, or the end


@dataclass(slots=True, eq=False)
class _Part:
    """A piece on its way: its listener's side is the queue and `gone`, the thread's side all else."""

    phonemes: list[int]
    delivery: Delivery
    number: int
    limit_frames: int
    news: asyncio.Queue[News] = field(default_factory=asyncio.Queue[News])
    gone: bool = False  # nobody listens any more
    made_frames: int = 0
    undelivered: list[int] = field(default_factory=list[int])
    ended: bool = False
    failure: EngineError | None = None  # why it ended, if not by itself


class Conductor:
    """An `EmbeddedModel`. Pieces that find no free row wait in the order of their coming.

    A request has one piece here at a time, so a long text takes turns with the others even then. Codes depend on
    phonemes, voice, temperature, seed and the piece's number alone (see `Chorus`).
    """

    def __init__(self, load: Callable[[], Chorus]) -> None:
        """`load` is called once, off the event loop; what it raises passes through `start`."""
        self.failure: BaseException | None = None
        self._load = load
        self._waiting: deque[_Part] = deque()
        self._singing: dict[int, _Part] = {}
        self._ready = threading.Condition()
        self._closing = False
        self._steps = 0
        self._thread: threading.Thread | None = None
        self._died = asyncio.Event()

    async def start(self) -> None:
        """Load the model (0.1 s) and start the thread."""
        chorus = await asyncio.to_thread(self._load)
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._work, args=(chorus, loop), name="builtin-engine-lm", daemon=True
        )
        self._thread.start()

    async def close(self) -> None:
        """Refuse what waits and break off what is spoken, after the step in progress."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def check(self) -> None:
        """Return when the thread is there; raise EngineError when it has died, EngineUnreachable otherwise."""
        if self.failure is not None:
            raise EngineError("the embedded engine has died")
        if self._thread is None:
            raise EngineUnreachable("the embedded engine is not loaded")

    async def lost(self) -> None:
        """Never return: raise EngineError when the thread has died."""
        await self._died.wait()
        self.check()

    async def speak(
        self, piece: Piece, number: int, delivery: Delivery, on_codes: OnTokens, due_s: float = 0.0
    ) -> None:
        """See `EmbeddedModel.speak`; raises EngineLength for a piece that does not end by itself."""
        part = _Part(piece.ids, delivery, number, longest_frames(piece))
        self._submit(part)
        trim = SilenceTrim(ends_sentence=piece.ends_sentence)
        try:
            while (news := await part.news.get()) is not None:
                if isinstance(news, EngineError):
                    raise news
                if codes := trim.feed(news):
                    on_codes(codes)
        finally:
            part.gone = True

    def _submit(self, part: _Part) -> None:
        with self._ready:
            self.check()
            if self._closing:
                raise EngineUnreachable("the embedded engine is closed")
            self._waiting.append(part)
            self._ready.notify()

    def _work(self, chorus: Chorus, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._admit(chorus):
                self._step(chorus)
                self._deliver(loop)
        except BaseException as exc:
            self.failure = exc
            self._fail_all(loop, "the embedded engine has died")
            _call(loop, self._died.set)
            raise
        self._fail_all(loop, "the embedded engine is closed")

    def _admit(self, chorus: Chorus) -> bool:
        """Let go who is gone, and let in who is next; False when closing. Waits while there is nothing to do.

        One joins at a time: reading a prompt holds the others up for as long as a few steps.
        """
        for row in [row for row, part in self._singing.items() if part.gone]:
            chorus.leave(row)
            del self._singing[row]
        if (part := self._next(chorus)) is not None:
            delivery = part.delivery
            row = chorus.join(
                part.phonemes, delivery.temperature, (delivery.seed, part.number), delivery.voice
            )
            self._singing[row] = part
        return not self._closing

    def _next(self, chorus: Chorus) -> _Part | None:
        with self._ready:
            while not self._closing:
                while self._waiting and not chorus.is_full:
                    if not (part := self._waiting.popleft()).gone:
                        return part
                if self._singing:
                    break
                self._ready.wait_for(lambda: self._waiting or self._closing)
        return None

    def _step(self, chorus: Chorus) -> None:
        self._steps += 1
        for row, code in chorus.step().items():
            part = self._singing[row]
            if code is not None:
                part.undelivered.append(code)
                part.made_frames += 1
                if part.made_frames < part.limit_frames:
                    continue
                chorus.leave(row)
                part.failure = EngineLength(
                    "the embedded engine did not come to the end of a sentence"
                )
            part.ended = True

    def _deliver(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand codes over every few steps, and at every end: one call into the event loop for all."""
        ended = [row for row, part in self._singing.items() if part.ended]
        if not ended and self._steps % STEPS_PER_DELIVERY:
            return
        news: list[tuple[_Part, News]] = []
        for part in self._singing.values():
            if part.undelivered:
                news.append((part, part.undelivered))
                part.undelivered = []
            if part.ended:
                news.append((part, part.failure))
        for row in ended:
            del self._singing[row]
        _call(loop, partial(_hear, news))

    def _fail_all(self, loop: asyncio.AbstractEventLoop, why: str) -> None:
        with self._ready:
            self._closing = True
            parts = [*self._singing.values(), *self._waiting]
            self._singing.clear()
            self._waiting.clear()
        error = EngineError if self.failure else EngineUnreachable
        _call(loop, partial(_hear, [(part, error(why)) for part in parts]))


def _call(loop: asyncio.AbstractEventLoop, hear: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(hear)
    except RuntimeError:  # the loop is closed: nobody waits any more
        log.debug("news of the language model came after their event loop was closed")


def _hear(news: Iterable[tuple[_Part, News]]) -> None:
    for part, item in news:
        part.news.put_nowait(item)


def load_chorus(weights: Path, rows: int = ROWS) -> Chorus:
    """The language model in a file, warm."""
    chorus = Chorus(read_language_model(weights.read_bytes()), rows)
    row = chorus.join([0, 1, 0], 1.0, 0)
    chorus.step()
    chorus.leave(row)
    return chorus


def longest_frames(piece: Piece) -> int:
    """When a piece is taken to be lost, or the model's context is full."""
    return min(piece.longest_frames, LONGEST_TOKENS - len(piece.ids) - 1)
