"""A pool of engines. A request goes to the least loaded one, or to the next if that one fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from app.engine import Engine, Generation, OnTokens, Sampling
from app.engine.pool.health import HealthPolicy, Rank
from app.engine.pool.pooled_engine import EngineRequest, PooledEngine
from app.errors import (
    EngineAnswer,
    EngineError,
    EngineOverloaded,
    EngineRefused,
    InputTooLong,
    ServiceError,
)

log = logging.getLogger(__name__)


class Pool:
    """An `Engine` that distributes requests to several engines of the same model.

    A request goes to the engine with the fewest streams in flight; ties are broken at random.
    Engines with suspect health are tried last, so no request is rejected without being tried. If an
    engine fails before its first token, rejects the request, or ends without a token, the next
    engine is tried, each at most once.

    A rejection or an empty answer from all engines is attributed to the caller. If another engine
    sends tokens, it counts as a failure of the engine that gave it.
    """

    def __init__(
        self,
        engines: Sequence[tuple[str, Engine]],
        policy: HealthPolicy | None = None,
        seed: int | None = None,
    ) -> None:
        """`engines`: with their names in logs and metrics."""
        self._random = Random(seed)
        self._engines = [
            PooledEngine(name, client, policy or HealthPolicy(), self._random)
            for name, client in engines
        ]
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the engines and the task that probes them."""
        for engine in self._engines:
            await engine.client.start()
        self._watch = asyncio.create_task(self._watch_engines())
        self._watch.add_done_callback(_log_failure)

    async def close(self) -> None:
        """Stop the probes, and close the engines."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        for engine in self._engines:
            await engine.client.close()

    async def check(self) -> None:
        """Return if an engine is known to be healthy; else probe all, until one is.

        Raises:
            EngineError: the error of the first engine, if none is healthy.
        """
        if any(engine.health.verified for engine in self._engines):
            return
        probes = [asyncio.create_task(engine.probe()) for engine in self._engines]
        try:
            for probe in asyncio.as_completed(probes):
                if await probe is None:
                    return
        finally:
            for probe in probes:
                probe.cancel()
        raise next(exc for probe in probes if (exc := probe.result()) is not None)

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Generate on one engine, or on the next if that one fails; see `Engine.generate`.

        Raises:
            EngineRefused, InputTooLong: an engine in use rejects the request; no other serves it.
            EngineOverloaded: no engine serves the request, and one has a full queue.
            EngineError: an engine failed after its first token, or none serves the request; then it
                is the failure of the first engine that was tried.
        """
        untried, failures = list(self._engines), list[ServiceError]()
        empty: Generation | None = None
        # Rejections and empty answers, for which the prompt or the engine may be the cause.
        disputed: list[EngineRequest] = []
        while untried:
            engine = self._best(untried, sampling.after)
            untried.remove(engine)
            request = EngineRequest(engine, untried, on_tokens, disputed)
            try:
                generation = await request.run(prompt, sampling)
            except (EngineError, InputTooLong) as exc:
                if request.started:
                    exc.answer = self._answer(request)
                    raise
                failures.append(exc)
            else:
                if request.started:
                    return replace(generation, answer=self._answer(request))
                empty = empty or generation
            if request.disputed:
                disputed.append(request)
        errors = (request.disputed for request in disputed if not request.engine.health.ejected)
        rejections = [exc for exc in errors if isinstance(exc, EngineRefused | InputTooLong)]
        overloads = [exc for exc in failures if isinstance(exc, EngineOverloaded)]
        if empty is not None and not (rejections or overloads):
            return empty
        raise [*rejections, *overloads, *failures][0]

    def _answer(self, request: EngineRequest) -> EngineRequest | None:
        """Return the request if there is another engine to compare its answer with."""
        return request if len(self._engines) > 1 else None

    def _best(self, engines: Sequence[PooledEngine], after: EngineAnswer | None) -> PooledEngine:
        now_s = time.monotonic()

        def order(engine: PooledEngine) -> tuple[int, int, float]:
            rank = engine.health.rank(engine.streams, now_s)
            if isinstance(after, EngineRequest) and after.engine is engine:
                rank = max(rank, Rank.SUSPECT)
            return rank, engine.streams, self._random.random()

        return min(engines, key=order)

    async def _watch_engines(self) -> None:
        async with asyncio.TaskGroup() as group:
            for engine in self._engines:
                group.create_task(engine.watch())


def _log_failure(watch: asyncio.Task[None]) -> None:
    """Log a failure of the task that probes the engines, which must end at close only."""
    if not watch.cancelled() and (exc := watch.exception()):
        log.critical("the task that probes the engines has failed", exc_info=exc)
