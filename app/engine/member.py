"""One engine of a pool: its requests in flight, and the probes of its health."""

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
from app.engine.standing import EngineHealth, HealthPolicy
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

NO_SPEECH = "its responses contain no speech"


class Member:
    """An engine and its health. `name` is used in logs and metrics."""

    def __init__(self, name: str, engine: Engine, policy: HealthPolicy, chance: Random) -> None:
        self.name, self.engine = name, engine
        self.standing = EngineHealth(policy, chance)
        self._calls: set[Call] = set()
        self._news = asyncio.Event()
        self._asking, self._answers = asyncio.Lock(), 0
        self._answer: EngineError | None = None  # result of the latest probe
        self._up = metrics.ENGINE_UP.labels(name)
        self._streams = metrics.ENGINE_STREAMS.labels(name)
        self._up.set(1)
        self._well = True  # as logged last

    @property
    def streams(self) -> int:
        """Number of requests in flight."""
        return len(self._calls)

    def begin(self, call: Call) -> None:
        """Add a request in flight."""
        self._calls.add(call)
        self._streams.set(self.streams)

    def end(self, call: Call) -> None:
        """Remove a request that has ended, failed or was cancelled."""
        self._calls.discard(call)
        self._streams.set(self.streams)

    def served(self, call: Call) -> None:
        """Count a successful generation."""
        self.standing.on_success(call.begun_s)
        self._tell()

    def restore(self, standing: EngineHealth) -> None:
        """Restore the health from before an answer that was rejected later."""
        self.standing = standing
        self._tell(NO_SPEECH)

    def blame(self, fault: ServiceError, call: Call) -> None:
        """Count a failure of this engine: another one has answered the same request with speech."""
        if not isinstance(fault, EngineRefused):  # `failed` has counted it in the metric
            metrics.ENGINE_FAILURES.labels(self.name, fault.code).inc()
        self._fail(fault, call, time.monotonic())

    def failed(self, exc: EngineError, call: Call) -> bool:
        """Count a failed request; return False if the request itself may be the cause."""
        metrics.ENGINE_FAILURES.labels(self.name, exc.code).inc()
        now_s, standing = time.monotonic(), self.standing
        if isinstance(exc, EngineOverloaded):
            standing.on_overload(now_s + (exc.retry_after_s or 0))
            return True
        busy = isinstance(exc, EngineTimeout) and not standing.is_stalled(call.heard_s, now_s)
        if not busy and not isinstance(exc, EngineRefused):
            self._fail(exc, call, now_s)
        return not isinstance(exc, EngineRefused)

    async def probe(self) -> EngineError | None:
        """Probe the engine and count the result. Concurrent callers share one probe."""
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
            was_out = self.standing.ejected
            self.standing.on_probe_failed(time.monotonic())
            self._doubt(exc, was_out=was_out)
            return exc
        self.standing.on_probe_succeeded(time.monotonic())
        self._tell()
        return None

    async def watch(self) -> None:
        """Probe the engine whenever a probe is due, forever."""
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
        was_out = self.standing.ejected
        self.standing.on_failure(call.begun_s, now_s)
        self._doubt(fault, was_out=was_out)

    def _doubt(self, exc: ServiceError, *, was_out: bool) -> None:
        self._news.set()
        if self.standing.ejected and not was_out:
            for call in self._calls:
                call.give_up()
        self._tell(exc.message)

    def _tell(self, reason: str = "") -> None:
        """Log and export a change of the reported health."""
        if self._well == self.standing.healthy:
            return
        self._well = self.standing.healthy
        self._up.set(self._well)
        if self._well:
            log.warning("engine %s is healthy again", self.name)
        else:
            log.warning("engine %s is unhealthy: %s", self.name, reason)


class Call:
    """One request to one engine, and its answer (`EngineAnswer`).

    `begun`: tokens have arrived, so no other engine can serve the request. `disputed`: the error of
    a rejection or of an empty answer, which is not counted as a failure of the engine yet.
    """

    def __init__(
        self,
        member: Member,
        others: Sequence[Member],
        on_tokens: OnTokens,
        before: Sequence[Call] = (),
    ) -> None:
        """Prepare a request to `member`.

        `others`: engines that have not been tried yet. `before`: disputed answers to the same
        request.
        """
        self.member = member
        self._others = others
        self._on_tokens = on_tokens
        self._before = before
        self._limit = asyncio.timeout(None)
        self._thrown: BaseException | None = None
        self._standing: EngineHealth | None = (
            None  # health before the answer was counted as a success
        )
        self._counted = False  # True if counted as a failure
        self.begun = False
        self.begun_s = self.heard_s = time.monotonic()
        self.disputed: ServiceError | None = None

    def reject(self) -> None:
        if self._standing is not None:
            self.member.restore(self._standing)
            self._standing = None

    def blame(self) -> None:
        if not self._counted:
            self._counted = True
            self.member.blame(self.disputed or EngineNoAudio(NO_SPEECH), self)

    async def run(self, prompt: str, sampling: Sampling) -> Generation:
        """Send the request to the engine and count the result; see `Engine.generate`.

        Raises EngineTimeout if the engine is ejected before its first token and another engine is
        available.
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
                raise EngineTimeout("the engine stopped responding") from exc
            raise
        finally:
            self.member.end(self)

    def give_up(self) -> None:
        """Stop waiting for the first token, if another engine is available."""
        waits = not self.begun and self._limit.when() is None
        if waits and any(not member.standing.ejected for member in self._others):
            self._limit.reschedule(asyncio.get_running_loop().time())

    def _hear(self, numbers: TokenNumbers) -> None:
        if not self.begun:
            self.begun = True
            self._limit.reschedule(None)  # `give_up` may have set it just before
            for call in self._before:
                call.blame()
        self.heard_s = self.member.standing.token_s = time.monotonic()
        try:
            self._on_tokens(numbers)
        except BaseException as exc:
            self._thrown = exc
            raise
