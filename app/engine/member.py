"""One engine of a pool, the requests that it works on, and the watch over its health."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from random import Random

from app import metrics
from app.engine import Engine, Generation, OnTokens, Sampling, TokenNumbers
from app.engine.standing import Patience, Standing
from app.errors import EngineError, EngineOverloaded, EngineRefused, EngineTimeout

log = logging.getLogger(__name__)


class Member:
    """An engine and its standing. `name` stands in logs and metrics."""

    def __init__(self, name: str, engine: Engine, patience: Patience, chance: Random) -> None:
        self.name, self.engine = name, engine
        self.standing = Standing(patience, chance)
        self._calls: set[Call] = set()
        self._news = asyncio.Event()
        self._asking, self._answers = asyncio.Lock(), 0
        self._answer: EngineError | None = None  # to the latest question
        self._up, self._streams = metrics.ENGINE_UP.labels(name), metrics.ENGINE_STREAMS.labels(name)
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

    def failed(self, exc: EngineError, call: Call) -> None:
        """A request has failed; not every failure speaks against the engine."""
        metrics.ENGINE_FAILURES.labels(self.name, exc.code).inc()
        now_s, standing = time.monotonic(), self.standing
        if isinstance(exc, EngineOverloaded):
            standing.full(now_s + (exc.retry_after_s or 0))
            return
        busy = isinstance(exc, EngineTimeout) and not standing.stalls(call.heard_s, now_s)
        if not busy and not isinstance(exc, EngineRefused):
            was_out = standing.out
            standing.failed(call.begun_s, now_s)
            self._doubt(exc, was_out=was_out)

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

    def _doubt(self, exc: EngineError, *, was_out: bool) -> None:
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
    """One request to one engine. `begun`: tokens have come, so that no other engine can take it over."""

    def __init__(self, member: Member, others: Sequence[Member], on_tokens: OnTokens) -> None:
        """`others`: those that could be asked in its place."""
        self._member, self._others, self._on_tokens = member, others, on_tokens
        self._limit = asyncio.timeout(None)
        self._thrown: BaseException | None = None
        self.begun = False
        self.begun_s = self.heard_s = time.monotonic()

    async def run(self, prompt: str, sampling: Sampling) -> Generation:
        """Ask the engine, and let its standing follow from what comes of it; see `Engine.generate`.

        An engine that is put out of use is not waited for (EngineTimeout) where it has sent nothing and another
        can be asked.
        """
        try:
            generation = await self._run(prompt, sampling)
        except EngineError as exc:
            if exc is not self._thrown:
                self._member.failed(exc, self)
            raise
        self._member.served(self)
        return generation

    async def _run(self, prompt: str, sampling: Sampling) -> Generation:
        self._member.begin(self)
        try:
            async with self._limit:
                return await self._member.engine.generate(prompt, sampling, self._hear)
        except TimeoutError as exc:
            if self._limit.expired():
                raise EngineTimeout("the engine has stopped answering") from exc
            raise
        finally:
            self._member.end(self)

    def give_up(self) -> None:
        """Wait no longer for a first token, if another engine is there to send one."""
        waits = not self.begun and self._limit.when() is None
        if waits and any(not member.standing.out for member in self._others):
            self._limit.reschedule(asyncio.get_running_loop().time())

    def _hear(self, numbers: TokenNumbers) -> None:
        if not self.begun:
            self.begun = True
            self._limit.reschedule(None)  # it may have been given up at this very moment
        self.heard_s = self._member.standing.token_s = time.monotonic()
        try:
            self._on_tokens(numbers)
        except BaseException as exc:
            self._thrown = exc
            raise
