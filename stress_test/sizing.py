"""`python -m stress_test capacity`: how much a server carries, what to set then, and what an hour of audio costs."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stress_test.capacity import Level, Promise, carried, climb, level_load
from stress_test.load import Load
from stress_test.machine import describe
from stress_test.options import add_common, amount, check_files, common_load, count, share
from stress_test.processes import ProcessFailed
from stress_test.progress import run_shown, warm_up_shown
from stress_test.report import INTERRUPTED, RULE
from stress_test.result import PACKAGES

DESCRIPTION = """\
Raises the number of listeners until a request fails, the first audio comes late or a listener runs dry, looks for
the edge, and says what to set. A listener asks, listens to the end in real time, and asks again at once: who talks for
a third of a call stands for three calls. Exits 1 if not even one listener is carried, 130 if interrupted.

Let the server's MAX_CONCURRENT_REQUESTS not be what is found: 1000, say, for as long as this runs."""
HEADROOM = 0.7  # of what is carried, as the load to plan for: arrivals come in crowds
COLUMNS = "{:>9} {:>8} {:>10} {:>10} {:>9} {:>10}   {}"


@dataclass(frozen=True, slots=True)
class Sizing:
    """What was found, and what follows from it."""

    promise: Promise
    levels: Sequence[Level]
    most: int
    price: float | None = None  # of the machine, an hour
    use: float = 1.0  # the share of what is carried that is asked for, over the day

    @property
    def carried(self) -> Level | None:
        """The highest level that kept the promise."""
        return carried(self.levels)

    @property
    def at_least(self) -> bool:
        """Whether the server may carry more: no level was too much, or the load itself was too slow."""
        return (
            all(level.broken is None for level in self.levels)
            or not self.levels[-1].figures.generator.believable
        )

    @property
    def planned(self) -> int:
        """Listeners to plan for, on a server like this one."""
        return max(1, int(HEADROOM * self.carried.listeners)) if self.carried else 0

    @property
    def hour_costs(self) -> float | None:
        """An hour of audio in the price's money, `use` of what is carried being asked for; None: not to be told.

        A level that is shorter than an answer may hold none between its ramp and its end.
        """
        if self.price is None or self.carried is None or not self.carried.audio_s_per_s:
            return None
        return self.price / (self.carried.audio_s_per_s * self.use)

    def report(self) -> Iterator[str]:
        """As text; see COLUMNS for the levels' lines."""
        if not self.carried:
            yield "Not one listener is carried"
            return
        listeners, most, more = (
            self.carried.listeners,
            self.carried.in_flight,
            "at least " if self.at_least else "",
        )
        rate = f"{self.carried.audio_s_per_s:.1f} audio-seconds per second"
        yield f"Listeners: {more}{listeners} ({rate}, {most} requests in flight at the most)"
        yield f"To Plan For: {self.planned} (the chart's streamsPerReplica: {max(1, int(HEADROOM * most))})"
        yield f"To Set: MAX_CONCURRENT_REQUESTS={listeners}, vLLM's --max-num-seqs {2 * listeners}"
        if self.hour_costs is not None:
            most_paid = "at most " if self.at_least else ""
            paid = f"{self.price:g} an hour, {self.use:.0%} in use"
            yield f"Cost Of An Hour Of Audio: {most_paid}{self.hour_costs:.4f} ({paid})"
        yield RULE

    def dump(self, load: Load) -> str:
        """As JSON, with every level's figures."""
        found = self.carried
        values: dict[str, object] = {
            "tool": "speech-server stress_test capacity",
            "machine": describe(PACKAGES),
            "parameters": load.parameters()
            | {"most": self.most, "price": self.price, "use": self.use},
            "promise": asdict(self.promise),
            "carried_listeners": found.listeners if found else 0,
            "at_least": self.at_least,
            "planned_listeners": self.planned,
            "hour_costs": self.hour_costs,
            "levels": [asdict(level) for level in self.levels],
        }
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def line_of(level: Level) -> str:
    """A level in a line."""
    heard = level.figures.heard
    cells = [f"{heard.first_audio.p99:.3f}s", heard.underrun_streams] if heard else ["-", "-"]
    said = level.broken or "carried"
    if not level.figures.generator.believable:
        said += "; the load was late itself: more --processes, or another machine"
    counts = (
        level.listeners,
        level.figures.requests,
        f"{level.audio_s_per_s:.2f}",
        level.in_flight,
    )
    return COLUMNS.format(*counts, *cells, said)


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command's options."""
    promise = Promise()
    options = argparse.ArgumentParser(
        "stress_test capacity",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(options, environment)
    options.add_argument(
        "--duration",
        type=amount,
        default=30.0,
        metavar="S",
        help="of each level, in seconds; several answers long",
    )
    options.add_argument("--most", type=count, default=512, help="listeners to try at most")
    options.add_argument(
        "--first-audio",
        type=amount,
        default=promise.first_audio_s,
        metavar="S",
        help="promised for 99 of 100 answers",
    )
    options.add_argument(
        "--underruns",
        type=share,
        default=promise.underrun_share,
        metavar="SHARE",
        help="of the answers, at most",
    )
    options.add_argument(
        "--price", type=amount, help="of the machine an hour, for the cost of an hour of audio"
    )
    options.add_argument(
        "--use", type=share, default=1.0, metavar="SHARE", help="of what is carried, over the day"
    )
    options.add_argument("--json", type=Path, help="write every figure here")
    return options


async def measure(load: Load, promise: Promise, most: int) -> list[Level]:
    """Every level that was tried, each told on the terminal as it ends. Raises ProcessFailed."""
    await warm_up_shown(load)
    print(
        COLUMNS.format(
            "listeners", "answers", "audio-s/s", "in flight", "TTFA p99", "underruns", ""
        ),
        flush=True,
    )

    async def level_of(listeners: int) -> Level:
        asked = level_load(load, listeners)
        level = Level.of(asked, await run_shown(asked), promise)
        print(line_of(level), flush=True)
        return level

    return await climb(level_of, most)


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """The command line; the process's exit status."""
    options = parser(environment)
    given = options.parse_args(arguments)
    if not given.use:
        options.error("--use: what is never used has no cost for an hour")
    check_files(options, given.json)
    load = common_load(options, given, environment)
    promise = Promise(given.first_audio, given.underruns)
    try:
        levels = asyncio.run(measure(load, promise, given.most))
    except ProcessFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    sizing = Sizing(promise, levels, given.most, given.price, given.use)
    print("\n=== CAPACITY ===", *sizing.report(), sep="\n")
    if given.json:
        given.json.write_text(sizing.dump(load), encoding="utf-8")
    return 0 if sizing.carried else 1
