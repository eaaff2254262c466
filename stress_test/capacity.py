"""How many listeners a server carries: raised until they notice, then the edge is looked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from stress_test.figures import Figures
from stress_test.load import Load
from stress_test.outcome import Spoken
from stress_test.processes import Run
from stress_test.throughput import Answered, audio_rate, in_flight

EDGE = 1.1  # the search ends when the load that is too much is no more than so many times the one that is not
RAMP_SHARE = (
    0.25  # of a level's time, in which its listeners begin one after the other; not counted
)


@dataclass(frozen=True, slots=True)
class Promise:
    """What listeners are promised; a load that does not keep it is too much."""

    first_audio_s: float = 1.0  # for 99 of 100 answers
    underrun_share: float = 0.01  # of the answers

    def broken_by(self, figures: Figures) -> str | None:
        """What a listener would complain of first; None where all is kept."""
        if figures.errors:
            error, count = next(iter(figures.errors.items()))
            return f"{error} ({count} of {figures.requests})"
        if figures.heard is None:
            return "nothing was asked"
        if figures.heard.first_audio.p99 > self.first_audio_s:
            return "first audio"
        return (
            "underruns"
            if figures.heard.underrun_streams > self.underrun_share * figures.requests
            else None
        )


@dataclass(frozen=True, slots=True)
class Level:
    """So many listeners for a while, and what they heard."""

    listeners: int
    audio_s_per_s: float
    in_flight: int  # the most requests under way at once
    figures: Figures
    broken: str | None

    @classmethod
    def of(cls, load: Load, run: Run, promise: Promise) -> Level:
        """Of a run of `level_load`'s. Raises KeyboardInterrupt for one that was interrupted."""
        if run.interrupted:
            raise KeyboardInterrupt
        figures = Figures.of(run)
        spoken = [outcome for outcome in run.outcomes if isinstance(outcome, Spoken)]
        rate = audio_rate(map(_answered, spoken), load.ramp_s, load.duration_s or 0.0)
        most = max((count for _, count in in_flight(run.outcomes)), default=0)
        return cls(load.concurrency, round(rate, 3), int(most), figures, promise.broken_by(figures))


def level_load(load: Load, listeners: int) -> Load:
    """The load of so many who ask, listen to the end and ask again, for its `duration_s`."""
    ramp_s = RAMP_SHARE * (load.duration_s or 0.0)
    processes = min(load.processes, listeners)
    return replace(load, concurrency=listeners, listening=True, processes=processes, ramp_s=ramp_s)


async def climb(measure: Callable[[int], Awaitable[Level]], most: int) -> list[Level]:
    """Every level that was tried, in their order: doubled up to `most` until one is too much, then halves of the rest.

    It ends early at a level that the load itself was too slow for, which says nothing about the server.
    """
    levels: list[Level] = []
    while (listeners := following(levels, most)) is not None:
        levels.append(await measure(listeners))
        if not levels[-1].figures.generator.believable:
            break
    return levels


def following(levels: Sequence[Level], most: int) -> int | None:
    """How many listeners to try after these levels; None where the edge is known."""
    kept = max((level.listeners for level in levels if level.broken is None), default=0)
    too_many = min((level.listeners for level in levels if level.broken is not None), default=None)
    if too_many is None:
        return min(2 * kept or 1, most) if kept < most else None
    return (kept + too_many) // 2 if too_many - kept > 1 and too_many > EDGE * kept else None


def carried(levels: Sequence[Level]) -> Level | None:
    """The highest level that kept its promise, by a load that kept its own times; None where the first did not."""
    kept = [
        level for level in levels if level.broken is None and level.figures.generator.believable
    ]
    return max(kept, key=lambda level: level.listeners, default=None)


def _answered(outcome: Spoken) -> Answered:
    return Answered(outcome.due_s, outcome.due_s + outcome.latency_s, outcome.audio_s)
