"""`python -m stress_test capacity`: capacity of a server, settings for it, cost of audio."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stress_test.capacity import Level, Slo, highest_sustained, level_load, search
from stress_test.load import Load
from stress_test.machine import describe
from stress_test.options import (
    add_common,
    check_files,
    common_load,
    count,
    fraction,
    positive_number,
)
from stress_test.processes import ProcessFailed
from stress_test.progress import run_shown, warm_up_shown
from stress_test.report import INTERRUPTED, RULE
from stress_test.result import PACKAGES

DESCRIPTION = """\
Searches the number of listeners that a server sustains and prints settings for it. The number is
raised until a request fails, the first audio is late or playback underruns. A listener plays its
answer to the end in real time, then sends the next request at once. If the service speaks for a
third of a call, one listener stands for three calls. Exits 1 if the server does not sustain one
listener, 130 if interrupted.

Set the server's MAX_CONCURRENT_REQUESTS high (1000) for this test, or it limits the result."""
HEADROOM = 0.7  # recommended share of the capacity, since arrivals cluster
COLUMNS = "{:>9} {:>8} {:>10} {:>10} {:>9} {:>10}   {}"


@dataclass(frozen=True, slots=True)
class CapacityReport:
    """Result of the search, and the recommendations derived from it."""

    slo: Slo
    levels: Sequence[Level]
    max_listeners: int
    price: float | None = None  # of the machine per hour
    use: float = 1.0  # utilised share of the capacity, averaged over the day

    @property
    def sustained(self) -> Level | None:
        """Highest level that met the targets."""
        return highest_sustained(self.levels)

    @property
    def at_least(self) -> bool:
        """True if the result is only a lower bound of the capacity.

        No level failed, or the load generator was too slow for the last one.
        """
        return (
            all(level.broken is None for level in self.levels)
            or not self.levels[-1].figures.generator.believable
        )

    @property
    def recommended(self) -> int:
        """Recommended number of listeners for a server like this one."""
        return max(1, int(HEADROOM * self.sustained.listeners)) if self.sustained else 0

    @property
    def hour_costs(self) -> float | None:
        """Cost of one hour of audio at utilisation `use`; None if unknown.

        A level shorter than an answer may contain no audio between its ramp and its end.
        """
        if self.price is None or self.sustained is None or not self.sustained.audio_s_per_s:
            return None
        return self.price / (self.sustained.audio_s_per_s * self.use)

    def report(self) -> Iterator[str]:
        """Yield the lines of the summary."""
        if not self.sustained:
            yield "The server does not sustain even one listener"
            return
        listeners = self.sustained.listeners
        peak = self.sustained.in_flight
        more = "at least " if self.at_least else ""
        streams = max(1, int(HEADROOM * peak))
        rate = f"{self.sustained.audio_s_per_s:.1f} audio-seconds per second"
        yield f"Listeners: {more}{listeners} ({rate}, at most {peak} requests in flight)"
        yield f"Recommended Load: {self.recommended} (the chart's streamsPerReplica: {streams})"
        sequences = f"vLLM's --max-num-seqs {2 * listeners}"
        yield f"Settings: MAX_CONCURRENT_REQUESTS={listeners}, {sequences}"
        if self.hour_costs is not None:
            bound = "at most " if self.at_least else ""
            paid = f"{self.price:g} per hour, utilisation {self.use:.0%}"
            yield f"Cost Per Hour Of Audio: {bound}{self.hour_costs:.4f} ({paid})"
        yield RULE

    def dump(self, load: Load) -> str:
        """Serialise to JSON with the figures of every level."""
        sustained = self.sustained
        values: dict[str, object] = {
            "tool": "speech-server stress_test capacity",
            "machine": describe(PACKAGES),
            "parameters": load.parameters()
            | {"most": self.max_listeners, "price": self.price, "use": self.use},
            "promise": asdict(self.slo),
            "carried_listeners": sustained.listeners if sustained else 0,
            "at_least": self.at_least,
            "planned_listeners": self.recommended,
            "hour_costs": self.hour_costs,
            "levels": [asdict(level) for level in self.levels],
        }
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def format_level(level: Level) -> str:
    """Format a level as a line of the table."""
    heard = level.figures.heard
    cells = [f"{heard.first_audio.p99:.3f}s", heard.underrun_streams] if heard else ["-", "-"]
    verdict = level.broken or "targets met"
    if not level.figures.generator.believable:
        verdict += "; the load generator was too slow: use more --processes or another machine"
    counts = (
        level.listeners,
        level.figures.requests,
        f"{level.audio_s_per_s:.2f}",
        level.in_flight,
    )
    return COLUMNS.format(*counts, *cells, verdict)


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """Build the parser; environment variables are the defaults."""
    slo = Slo()
    options = argparse.ArgumentParser(
        "stress_test capacity",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(options, environment)
    options.add_argument(
        "--duration",
        type=positive_number,
        default=30.0,
        metavar="S",
        help="length of each level in seconds; use several times the length of an answer",
    )
    options.add_argument(
        "--most", type=count, default=512, help="highest number of listeners to try"
    )
    options.add_argument(
        "--first-audio",
        type=positive_number,
        default=slo.first_audio_s,
        metavar="S",
        help="target for the p99 of the time to first audio",
    )
    options.add_argument(
        "--underruns",
        type=fraction,
        default=slo.underrun_share,
        metavar="SHARE",
        help="target for the share of answers with underruns",
    )
    options.add_argument(
        "--price",
        type=positive_number,
        help="price of the machine per hour; reports the cost of one hour of audio",
    )
    options.add_argument(
        "--use",
        type=fraction,
        default=1.0,
        metavar="SHARE",
        help="utilised share of the capacity, averaged over the day",
    )
    options.add_argument("--json", type=Path, help="write all figures to this JSON file")
    return options


async def measure(load: Load, slo: Slo, max_listeners: int) -> list[Level]:
    """Run the search and print each level as it ends; raises ProcessFailed."""
    await warm_up_shown(load)
    print(
        COLUMNS.format(
            "listeners", "answers", "audio-s/s", "in flight", "TTFA p99", "underruns", ""
        ),
        flush=True,
    )

    async def measure_level(listeners: int) -> Level:
        step = level_load(load, listeners)
        level = Level.of(step, await run_shown(step), slo)
        print(format_level(level), flush=True)
        return level

    return await search(measure_level, max_listeners)


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run the command line and return the exit status of the process."""
    options = parser(environment)
    parsed = options.parse_args(arguments)
    if not parsed.use:
        options.error("--use must be above 0")
    check_files(options, parsed.json)
    load = common_load(options, parsed, environment)
    slo = Slo(parsed.first_audio, parsed.underruns)
    try:
        levels = asyncio.run(measure(load, slo, parsed.most))
    except ProcessFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    capacity = CapacityReport(slo, levels, parsed.most, parsed.price, parsed.use)
    print("\n=== CAPACITY ===", *capacity.report(), sep="\n")
    if parsed.json:
        parsed.json.write_text(capacity.dump(load), encoding="utf-8")
    return 0 if capacity.sustained else 1
