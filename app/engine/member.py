"""One engine of a pool, the requests that it works on, and the watch over its health."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import time
from collections.abc import Sequence
from random import Random

from app import metrics
from app.engine import Engine, Generation, OnTokens, Sampling, TokenNumbers
from app.engine.standing import Patience, Standing
from app.errors import (
    EngineError,
    EngineNoAudio,
    EngineOverloaded,
    EngineRefused,
    EngineTimeout,
    ServiceError,
)
from app.request_errors import InputTooLong

log = logging.getLogger(__name__)

NO_SPEECH = "it gives answers without speech"


class Member:
    """An engine and its standing. `name` stands in logs and metrics."""

    def __init__(self, name: str, engine: Engine, patience: Patience, chance: Random) -> None:
        self.name, self.engine = name, engine
        self.standing = Standing(patience, chance)
        self._calls: set[Call] = set()
        self._news = asyncio.Event()
        self._asking, self._answers = asyncio.Lock(), 0
        self._answer: EngineError | None = None  # to the latest question
        self._up, self._streams = (
            metrics.ENGINE_UP.labels(name),
            metrics.ENGINE_STREAMS.labels(name),
        )
        self._up.set(1)
        self._well = True  # as it was told

    @property
    def streams(self) -> int:
        """Requests in flight."""
        return len(self._calls)

    def begin(self, call: Call) -> None:
        """A request is on its way."""
        self._calls.add(call)
        self._streams.set(self.streams)

    def end(self, call: Call) -> None:
        """A request is over, in whatever way."""
        self._calls.discard(call)
        self._streams.set(self.streams)

    def served(self, call: Call) -> None:
        """A generation has ended well."""
        self.standing.served(call.begun_s)
        self._tell()

    def restore(self, standing: Standing) -> None:
        """Take back what has been counted since."""
        self.standing = standing
        self._tell(NO_SPEECH)

    def blame(self, fault: ServiceError, call: Call) -> None:
        """Another engine has spoken where this one has not."""
        if not isinstance(fault, EngineRefused):  # which has been counted already
            metrics.ENGINE_FAILURES.labels(self.name, fault.code).inc()
        self._fail(fault, call, time.monotonic())

    def failed(self, exc: EngineError, call: Call) -> bool:
        """A request has failed. Returns whether that speaks against the engine."""
        metrics.ENGINE_FAILURES.labels(self.name, exc.code).inc()
        now_s, standing = time.monotonic(), self.standing
        if isinstance(exc, EngineOverloaded):
            standing.full(now_s + (exc.retry_after_s or 0))
            return True
        busy = isinstance(exc, EngineTimeout) and not standing.stalls(call.heard_s, now_s)
        if not busy and not isinstance(exc, EngineRefused):
            self._fail(exc, call, now_s)
        return not isinstance(exc, EngineRefused)

    async def probe(self) -> EngineError | None:
        """Ask the engine how it is; the answer counts. A question that is under way is not asked once more."""
        answers = self._answers
        async with self._asking:
            if self._answers == answers:
                self._answer = await self._ask()
                self._answers += 1
            return self._answer

    async def _ask(self) -> EngineError | None:
        try:
            await self.engine.check()
        except EngineError as exc:
            metrics.ENGINE_FAILURES.labels(self.name, "probe").inc()
            was_out = self.standing.out
            self.standing.silent(time.monotonic())
            self._doubt(exc, was_out=was_out)
            return exc
        self.standing.answered(time.monotonic())
        self._tell()
        return None

    async def watch(self) -> None:
        """Probe whenever it is due, for ever."""
        while True:
            self._news.clear()
            wait_s = self.standing.due_s - time.monotonic()
            if wait_s <= 0:
                await self.probe()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()

    def _fail(self, fault: ServiceError, call: Call, now_s: float) -> None:
        was_out = self.standing.out
        self.standing.failed(call.begun_s, now_s)
        self._doubt(fault, was_out=was_out)

    def _doubt(self, exc: ServiceError, *, was_out: bool) -> None:
        self._news.set()
        if self.standing.out and not was_out:
            for call in self._calls:
                call.give_up()
        self._tell(exc.message)

    def _tell(self, reason: str = "") -> None:
        """Say whether it is well, where that has changed."""
        if self._well == self.standing.well:
            return
        self._well = self.standing.well
        self._up.set(self._well)
        if self._well:
            log.warning("engine %s is well again", self.name)
        else:
            log.warning("engine %s is not well: %s", self.name, reason)


class Call:
    """One request to one engine, and its answer (`EngineAnswer`).

    `begun`: tokens have come, so that no other engine can take it over. `disputed`: its refusal, or a failure that
    stands for an empty answer; nothing of it has been counted.
    """

    def __init__(
        self,
        member: Member,
        others: Sequence[Member],
        on_tokens: OnTokens,
        before: Sequence[Call] = (),
    ) -> None:
        """`others`: those that could be asked in its place; `before`: disputed answers to the same request."""
        self.member, self._others, self._on_tokens, self._before = member, others, on_tokens, before
        self._limit = asyncio.timeout(None)
        self._thrown: BaseException | None = None
        self._standing: Standing | None = None  # before the answer was counted as good
        self._counted = False  # as a failure
        self.begun = False
        self.begun_s = self.heard_s = time.monotonic()
        self.disputed: ServiceError | None = None

    def reject(self) -> None:
        """See `EngineAnswer.reject`."""
        if self._standing is not None:
            self.member.restore(self._standing)
            self._standing = None

    def blame(self) -> None:
        """See `EngineAnswer.blame`."""
        if not self._counted:
            self._counted = True
            self.member.blame(self.disputed or EngineNoAudio(NO_SPEECH), self)

    async def run(self, prompt: str, sampling: Sampling) -> Generation:
        """Ask the engine, and let its standing follow from what comes of it; see `Engine.generate`.

        An engine that is put out of use is not waited for (EngineTimeout) where it has sent nothing and another
        can be asked.
        """
        try:
            generation = await self._run(prompt, sampling)
        except EngineError as exc:
            if exc is not self._thrown:
                self._counted = self.member.failed(exc, self)
                self.disputed = None if self._counted else exc
            raise
        except InputTooLong as exc:
            self.disputed = exc
            raise
        if self.begun:
            self._standing = copy.copy(self.member.standing)
            self.member.served(self)
        else:
            self.disputed = EngineNoAudio(NO_SPEECH)
        return generation

    async def _run(self, prompt: str, sampling: Sampling) -> Generation:
        self.member.begin(self)
        try:
            async with self._limit:
                return await self.member.engine.generate(prompt, sampling, self._hear)
        except TimeoutError as exc:
            if self._limit.expired():
                raise EngineTimeout("the engine has stopped answering") from exc
            raise
        finally:
            self.member.end(self)

    def give_up(self) -> None:
        """Wait no longer for a first token, if another engine is there to send one."""
        waits = not self.begun and self._limit.when() is None
        if waits and any(not member.standing.out for member in self._others):
            self._limit.reschedule(asyncio.get_running_loop().time())

    def _hear(self, numbers: TokenNumbers) -> None:
        if not self.begun:
            self.begun = True
            self._limit.reschedule(None)  # it may have been given up at this very moment
            for call in self._before:
                call.blame()
        self.heard_s = self.member.standing.token_s = time.monotonic()
        try:
            self._on_tokens(numbers)
        except BaseException as exc:
            self._thrown = exc
            raise
