"""Several engines as one: the least loaded serves, and another where one fails before its first token."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from app.engine import Engine, Generation, OnTokens, Sampling
from app.engine.member import Call, Member
from app.engine.standing import Patience, Rank
from app.errors import EngineAnswer, EngineError, EngineOverloaded, EngineRefused, ServiceError
from app.request_errors import InputTooLong

log = logging.getLogger(__name__)


class Pool:
    """An `Engine` of engines that serve the same model.

    A request goes to the engine with the fewest streams in flight, chance deciding between equals; engines whose
    health is in doubt come last, but they come: a request is never refused without having been tried. Where an
    engine fails before its first token, refuses, or ends without a token, the next one is asked, each at most once.

    A refusal or an empty answer that all engines give is the caller's fault. Where another engine gives tokens it
    counts as a failure of the engine that gave it.
    """

    def __init__(
        self,
        engines: Sequence[tuple[str, Engine]],
        patience: Patience | None = None,
        seed: int | None = None,
    ) -> None:
        """`engines` with their names in logs and metrics."""
        self._chance = Random(seed)
        self._members = [
            Member(name, engine, patience or Patience(), self._chance) for name, engine in engines
        ]
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
            EngineRefused, InputTooLong: an engine that is in use refuses the request, and no other serves it.
            EngineOverloaded: no engine can, and one of them asks for time.
            EngineError: the failure of the only engine that was left to ask, or of the first.
        """
        untried, failures = list(self._members), list[ServiceError]()
        empty: Generation | None = None
        disputed: list[Call] = []  # answers that may be the caller's fault or the engine's
        while untried:
            member = self._best(untried, sampling.after)
            untried.remove(member)
            call = Call(member, untried, on_tokens, disputed)
            try:
                generation = await call.run(prompt, sampling)
            except (EngineError, InputTooLong) as exc:
                if call.begun:
                    exc.answer = self._answer(call)
                    raise
                failures.append(exc)
            else:
                if call.begun:
                    return replace(generation, answer=self._answer(call))
                empty = empty or generation
            if call.disputed:
                disputed.append(call)
        refused = (call.disputed for call in disputed if not call.member.standing.out)
        refusals = [exc for exc in refused if isinstance(exc, EngineRefused | InputTooLong)]
        overloads = [exc for exc in failures if isinstance(exc, EngineOverloaded)]
        if empty is not None and not (refusals or overloads):
            return empty
        raise [*refusals, *overloads, *failures][0]

    def _answer(self, call: Call) -> Call | None:
        """A call whose answer can be compared with another engine's."""
        return call if len(self._members) > 1 else None

    def _best(self, members: Sequence[Member], after: EngineAnswer | None) -> Member:
        now_s = time.monotonic()

        def order(member: Member) -> tuple[int, int, float]:
            rank = member.standing.rank(member.streams, now_s)
            if isinstance(after, Call) and after.member is member:
                rank = max(rank, Rank.DOUBTED)
            return rank, member.streams, self._chance.random()

        return min(members, key=order)

    async def _watch_members(self) -> None:
        async with asyncio.TaskGroup() as group:
            for member in self._members:
                group.create_task(member.watch())


def _report(watch: asyncio.Task[None]) -> None:
    """The watch ends at close only; if it fails, that must not go unseen."""
    if not watch.cancelled() and (exc := watch.exception()):
        log.critical("the watch over the engines has failed", exc_info=exc)
