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
from app.engine.pool.health import EngineHealth, HealthPolicy
from app.errors import (
    EngineError,
    EngineNoAudio,
    EngineOverloaded,
    EngineRefused,
    EngineTimeout,
    InputTooLong,
    ServiceError,
)

log = logging.getLogger(__name__)

NO_SPEECH = "its responses contain no speech"


class PooledEngine:
    """An engine and its health. `name` is used in logs and metrics."""

    def __init__(self, name: str, engine: Engine, policy: HealthPolicy, chance: Random) -> None:
        self.name, self.engine = name, engine
        self.health = EngineHealth(policy, chance)
        self._requests: set[EngineRequest] = set()
        self._changed = asyncio.Event()
        self._probe, self._answers = asyncio.Lock(), 0
        self._answer: EngineError | None = None  # result of the latest probe
        self._up = metrics.ENGINE_UP.labels(name)
        self._streams = metrics.ENGINE_STREAMS.labels(name)
        self._up.set(1)
        self._was_healthy = True  # as logged last

    @property
    def streams(self) -> int:
        """Number of requests in flight."""
        return len(self._requests)

    def add_request(self, request: EngineRequest) -> None:
        """Add a request in flight."""
        self._requests.add(request)
        self._streams.set(self.streams)

    def remove_request(self, request: EngineRequest) -> None:
        """Remove a request that has ended, failed or was cancelled."""
        self._requests.discard(request)
        self._streams.set(self.streams)

    def on_success(self, request: EngineRequest) -> None:
        """Count a successful generation."""
        self.health.on_success(request.started_s)
        self._publish()

    def restore(self, health: EngineHealth) -> None:
        """Restore the health from before an answer that was rejected later."""
        self.health = health
        self._publish(NO_SPEECH)

    def blame(self, fault: ServiceError, request: EngineRequest) -> None:
        """Count a failure of this engine: another one has answered the same request with speech."""
        if not isinstance(fault, EngineRefused):  # `failed` has counted it in the metric
            metrics.ENGINE_FAILURES.labels(self.name, fault.code).inc()
        self._record_failure(fault, request, time.monotonic())

    def on_failure(self, exc: EngineError, request: EngineRequest) -> bool:
        """Count a failed request; return False if the request itself may be the cause."""
        metrics.ENGINE_FAILURES.labels(self.name, exc.code).inc()
        now_s, health = time.monotonic(), self.health
        if isinstance(exc, EngineOverloaded):
            health.on_overload(now_s + (exc.retry_after_s or 0))
            return True
        busy = isinstance(exc, EngineTimeout) and not health.is_stalled(request.last_token_s, now_s)
        if not busy and not isinstance(exc, EngineRefused):
            self._record_failure(exc, request, now_s)
        return not isinstance(exc, EngineRefused)

    async def probe(self) -> EngineError | None:
        """Probe the engine and count the result. Concurrent callers share one probe."""
        answers = self._answers
        async with self._probe:
            if self._answers == answers:
                self._answer = await self._send_probe()
                self._answers += 1
            return self._answer

    async def _send_probe(self) -> EngineError | None:
        try:
            await self.engine.check()
        except EngineError as exc:
            metrics.ENGINE_FAILURES.labels(self.name, "probe").inc()
            was_out = self.health.ejected
            self.health.on_probe_failed(time.monotonic())
            self._suspect(exc, was_out=was_out)
            return exc
        self.health.on_probe_succeeded(time.monotonic())
        self._publish()
        return None

    async def watch(self) -> None:
        """Probe the engine whenever a probe is due, forever."""
        while True:
            self._changed.clear()
            wait_s = self.health.due_s - time.monotonic()
            if wait_s <= 0:
                await self.probe()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()

    def _record_failure(self, fault: ServiceError, request: EngineRequest, now_s: float) -> None:
        was_out = self.health.ejected
        self.health.on_failure(request.started_s, now_s)
        self._suspect(fault, was_out=was_out)

    def _suspect(self, exc: ServiceError, *, was_out: bool) -> None:
        self._changed.set()
        if self.health.ejected and not was_out:
            for request in self._requests:
                request.give_up()
        self._publish(exc.message)

    def _publish(self, reason: str = "") -> None:
        """Log and export a change of the reported health."""
        if self._was_healthy == self.health.healthy:
            return
        self._was_healthy = self.health.healthy
        self._up.set(self._was_healthy)
        if self._was_healthy:
            log.warning("engine %s is healthy again", self.name)
        else:
            log.warning("engine %s is unhealthy: %s", self.name, reason)


class EngineRequest:
    """One request to one engine, and its answer (`EngineAnswer`).

    `begun`: tokens have arrived, so no other engine can serve the request. `disputed`: the error of
    a rejection or of an empty answer, which is not counted as a failure of the engine yet.
    """

    def __init__(
        self,
        member: PooledEngine,
        others: Sequence[PooledEngine],
        on_tokens: OnTokens,
        before: Sequence[EngineRequest] = (),
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
        self._health: EngineHealth | None = (
            None  # health before the answer was counted as a success
        )
        self._counted = False  # True if counted as a failure
        self.started = False
        self.started_s = self.last_token_s = time.monotonic()
        self.disputed: ServiceError | None = None

    def reject(self) -> None:
        if self._health is not None:
            self.member.restore(self._health)
            self._health = None

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
                self._counted = self.member.on_failure(exc, self)
                self.disputed = None if self._counted else exc
            raise
        except InputTooLong as exc:
            self.disputed = exc
            raise
        if self.started:
            self._health = copy.copy(self.member.health)
            self.member.on_success(self)
        else:
            self.disputed = EngineNoAudio(NO_SPEECH)
        return generation

    async def _run(self, prompt: str, sampling: Sampling) -> Generation:
        self.member.add_request(self)
        try:
            async with self._limit:
                return await self.member.engine.generate(prompt, sampling, self._on_tokens_received)
        except TimeoutError as exc:
            if self._limit.expired():
                raise EngineTimeout("the engine stopped responding") from exc
            raise
        finally:
            self.member.remove_request(self)

    def give_up(self) -> None:
        """Stop waiting for the first token, if another engine is available."""
        waits = not self.started and self._limit.when() is None
        if waits and any(not member.health.ejected for member in self._others):
            self._limit.reschedule(asyncio.get_running_loop().time())

    def _on_tokens_received(self, numbers: TokenNumbers) -> None:
        if not self.started:
            self.started = True
            self._limit.reschedule(None)  # `give_up` may have set it just before
            for request in self._before:
                request.blame()
        self.last_token_s = self.member.health.token_s = time.monotonic()
        try:
            self._on_tokens(numbers)
        except BaseException as exc:
            self._thrown = exc
            raise
