"""Several engines as one: the least loaded serves, and another where one fails before its first token."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from random import Random

from app.engine import Engine, Generation, OnTokens, Sampling
from app.engine.member import Call, Member
from app.engine.standing import Patience
from app.errors import EngineError, EngineOverloaded, EngineRefused

log = logging.getLogger(__name__)


class Pool:
    """An `Engine` of engines that serve the same model.

    A request goes to the engine with the fewest streams in flight, chance deciding between equals; engines whose
    health is in doubt come last, but they come: a request is never refused without having been tried. Where an
    engine fails before its first token the next one is asked, each at most once.
    """

    def __init__(
        self, engines: Sequence[tuple[str, Engine]], patience: Patience | None = None, seed: int | None = None
    ) -> None:
        """`engines` with their names in logs and metrics."""
        self._chance = Random(seed)
        self._members = [Member(name, engine, patience or Patience(), self._chance) for name, engine in engines]
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the engines and the watch over their health."""
        for member in self._members:
            await member.engine.start()
        self._watch = asyncio.create_task(self._watch_members())
        self._watch.add_done_callback(_report)

    async def close(self) -> None:
        """End the watch, and close the engines."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        for member in self._members:
            await member.engine.close()

    async def check(self) -> None:
        """Return while any engine serves; where none is known to, all are asked, until one says that it is well.

        Raises:
            EngineError: what the first of them says, when none is well.
        """
        if any(member.standing.proven for member in self._members):
            return
        probes = [asyncio.create_task(member.probe()) for member in self._members]
        try:
            for answered in asyncio.as_completed(probes):
                if await answered is None:
                    return
        finally:
            for probe in probes:
                probe.cancel()
        raise next(exc for probe in probes if (exc := probe.result()) is not None)

    async def lost(self) -> None:
        """Never return: a lost engine is one that is not well, and the watch over it goes on."""
        await asyncio.get_running_loop().create_future()

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Generate on one engine, or on the next one that can; see `Engine.generate`.

        Raises:
            EngineOverloaded: no engine can, and one of them asks for time.
            EngineError: the failure of the only engine that was left to ask, or of the first.
        """
        untried, failures = list(self._members), list[EngineError]()
        while untried:
            member = self._best(untried)
            untried.remove(member)
            call = Call(member, untried, on_tokens)
            try:
                return await call.run(prompt, sampling)
            except EngineRefused:
                raise
            except EngineError as exc:
                if call.begun:
                    raise
                failures.append(exc)
        raise next((exc for exc in failures if isinstance(exc, EngineOverloaded)), failures[0])

    def _best(self, members: Sequence[Member]) -> Member:
        now_s = time.monotonic()

        def order(member: Member) -> tuple[int, int, float]:
            return member.standing.rank(member.streams, now_s), member.streams, self._chance.random()

        return min(members, key=order)

    async def _watch_members(self) -> None:
        async with asyncio.TaskGroup() as group:
            for member in self._members:
                group.create_task(member.watch())


def _report(watch: asyncio.Task[None]) -> None:
    """The watch ends at close only; if it fails, that must not go unseen."""
    if not watch.cancelled() and (exc := watch.exception()):
        log.critical("the watch over the engines has failed", exc_info=exc)
