"""An engine of a pool: its requests in flight, and the probes of its health."""

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
    """The client of an engine, with the engine's health. `name` is used in logs and metrics."""

    def __init__(self, name: str, client: Engine, policy: HealthPolicy, random: Random) -> None:
        self.name, self.client = name, client
        self.health = EngineHealth(policy, random)
        self._requests: set[EngineRequest] = set()
        self._changed = asyncio.Event()
        self._probe_lock = asyncio.Lock()
        self._probes = 0  # number of finished probes
        self._probe_error: EngineError | None = None  # result of the latest probe
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

    def blame(self, error: ServiceError, request: EngineRequest) -> None:
        """Count a failure of this engine, because another one served the same request."""
        if not isinstance(error, EngineRefused):  # `on_failure` has counted it in the metric
            metrics.ENGINE_FAILURES.labels(self.name, error.code).inc()
        self._record_failure(error, request, time.monotonic())

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
        probes = self._probes
        async with self._probe_lock:
            if self._probes == probes:
                self._probe_error = await self._send_probe()
                self._probes += 1
            return self._probe_error

    async def _send_probe(self) -> EngineError | None:
        try:
            await self.client.check()
        except EngineError as exc:
            metrics.ENGINE_FAILURES.labels(self.name, "probe").inc()
            was_ejected = self.health.ejected
            self.health.on_probe_failed(time.monotonic())
            self._suspect(exc, was_ejected=was_ejected)
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

    def _record_failure(self, error: ServiceError, request: EngineRequest, now_s: float) -> None:
        was_ejected = self.health.ejected
        self.health.on_failure(request.started_s, now_s)
        self._suspect(error, was_ejected=was_ejected)

    def _suspect(self, exc: ServiceError, *, was_ejected: bool) -> None:
        self._changed.set()
        if self.health.ejected and not was_ejected:
            for request in self._requests:
                request.stop_waiting()
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

    `started`: tokens have arrived, so no other engine can serve the request. `disputed`: the error
    of a rejection or of an empty answer, which is not counted as a failure of the engine yet.
    """

    def __init__(
        self,
        engine: PooledEngine,
        others: Sequence[PooledEngine],
        on_tokens: OnTokens,
        disputed: Sequence[EngineRequest] = (),
    ) -> None:
        """Prepare a request to `engine`.

        `others`: engines that have not been tried yet. `disputed`: disputed answers of other
        engines to the same prompt.
        """
        self.engine = engine
        self._others = others
        self._on_tokens = on_tokens
        self._disputed = disputed
        self._limit = asyncio.timeout(None)
        self._callback_error: BaseException | None = None  # raised by `on_tokens`
        # The engine's health before the answer was counted as a success.
        self._health: EngineHealth | None = None
        self._counted = False  # True if counted as a failure
        self.started = False
        self.started_s = self.last_token_s = time.monotonic()
        self.disputed: ServiceError | None = None

    def reject(self) -> None:
        if self._health is not None:
            self.engine.restore(self._health)
            self._health = None

    def blame(self) -> None:
        if not self._counted:
            self._counted = True
            self.engine.blame(self.disputed or EngineNoAudio(NO_SPEECH), self)

    async def run(self, prompt: str, sampling: Sampling) -> Generation:
        """Send the request to the engine and count the result; see `Engine.generate`.

        Raises EngineTimeout if the engine is ejected before its first token and another engine is
        available.
        """
        try:
            generation = await self._run(prompt, sampling)
        except EngineError as exc:
            if exc is not self._callback_error:
                self._counted = self.engine.on_failure(exc, self)
                self.disputed = None if self._counted else exc
            raise
        except InputTooLong as exc:
            self.disputed = exc
            raise
        if self.started:
            self._health = copy.copy(self.engine.health)
            self.engine.on_success(self)
        else:
            self.disputed = EngineNoAudio(NO_SPEECH)
        return generation

    async def _run(self, prompt: str, sampling: Sampling) -> Generation:
        self.engine.add_request(self)
        try:
            async with self._limit:
                return await self.engine.client.generate(prompt, sampling, self._on_tokens_received)
        except TimeoutError as exc:
            if self._limit.expired():
                raise EngineTimeout("the engine stopped responding") from exc
            raise
        finally:
            self.engine.remove_request(self)

    def stop_waiting(self) -> None:
        """Stop waiting for the first token, if another engine is available."""
        waits = not self.started and self._limit.when() is None
        if waits and any(not engine.health.ejected for engine in self._others):
            self._limit.reschedule(asyncio.get_running_loop().time())

    def _on_tokens_received(self, numbers: TokenNumbers) -> None:
        if not self.started:
            self.started = True
            self._limit.reschedule(None)  # `stop_waiting` may have set it just before
            for request in self._disputed:
                request.blame()
        self.last_token_s = self.engine.health.token_s = time.monotonic()
        try:
            self._on_tokens(numbers)
        except BaseException as exc:
            self._callback_error = exc
            raise
