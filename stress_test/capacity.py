"""Search for the number of listeners that a server sustains.

The search doubles the listeners until the targets are missed, then halves the interval.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from stress_test.figures import Figures
from stress_test.load import Load
from stress_test.outcome import Completed
from stress_test.processes import Run
from stress_test.throughput import TimedAudio, audio_rate, in_flight

EDGE = 1.1  # the search ends when failing and passing load have at most this ratio
RAMP_SHARE = 0.25  # share of a level's time in which its listeners start, excluded from the rate


@dataclass(frozen=True, slots=True)
class Slo:
    """Service level objectives: targets that a load must meet."""

    first_audio_s: float = 1.0  # p99 of the time to first audio
    underrun_share: float = 0.01  # share of the answers that may have underruns

    def missed_by(self, figures: Figures) -> str | None:
        """Return the first target that was missed; None if all were met."""
        if figures.errors:
            error, count = next(iter(figures.errors.items()))
            return f"{error} ({count} of {figures.requests})"
        if figures.heard is None:
            return "no requests"
        if figures.heard.first_audio.p99 > self.first_audio_s:
            return "first audio"
        if figures.heard.underrun_streams > self.underrun_share * figures.requests:
            return "underruns"
        return None


@dataclass(frozen=True, slots=True)
class Level:
    """One step of the search: a number of listeners and the figures of their run."""

    listeners: int
    audio_s_per_s: float
    in_flight: int  # maximum number of requests at the same time
    figures: Figures
    broken: str | None  # the missed target

    @classmethod
    def of(cls, load: Load, run: Run, slo: Slo) -> Level:
        """Evaluate a run of `level_load`; raises KeyboardInterrupt if it was interrupted."""
        if run.interrupted:
            raise KeyboardInterrupt
        figures = Figures.of(run)
        completed = [outcome for outcome in run.outcomes if isinstance(outcome, Completed)]
        rate = audio_rate(map(TimedAudio.of, completed), load.ramp_s, load.duration_s or 0.0)
        peak = max((count for _, count in in_flight(run.outcomes)), default=0)
        return cls(load.concurrency, round(rate, 3), int(peak), figures, slo.missed_by(figures))


def level_load(load: Load, listeners: int) -> Load:
    """Return `load` with so many listeners: each plays its answer, then sends the next request."""
    ramp_s = RAMP_SHARE * (load.duration_s or 0.0)
    processes = min(load.processes, listeners)
    return replace(load, concurrency=listeners, listening=True, processes=processes, ramp_s=ramp_s)


async def search(measure: Callable[[int], Awaitable[Level]], max_listeners: int) -> list[Level]:
    """Measure levels until the limit is known; return them in the order of measurement.

    The listeners double up to `max_listeners` until a level fails, then each level halves the
    interval.
    The search ends early when the load generator was too slow, which says nothing about the server.
    """
    levels: list[Level] = []
    while (listeners := next_listeners(levels, max_listeners)) is not None:
        levels.append(await measure(listeners))
        if not levels[-1].figures.generator.believable:
            break
    return levels


def next_listeners(levels: Sequence[Level], max_listeners: int) -> int | None:
    """Return the next number of listeners to measure; None if the limit is known."""
    passed = max((level.listeners for level in levels if level.broken is None), default=0)
    too_many = min((level.listeners for level in levels if level.broken is not None), default=None)
    if too_many is None:
        return min(2 * passed or 1, max_listeners) if passed < max_listeners else None
    return (passed + too_many) // 2 if too_many - passed > 1 and too_many > EDGE * passed else None


def highest_sustained(levels: Sequence[Level]) -> Level | None:
    """Return the highest level that met all targets with a punctual load; None if no level did."""
    passed = [
        level for level in levels if level.broken is None and level.figures.generator.believable
    ]
    return max(passed, key=lambda level: level.listeners, default=None)
