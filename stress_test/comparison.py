"""Comparison of two results: `python -m stress_test compare A.json B.json`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stress_test.figures import Figures, Spread
from stress_test.result import NotAResult, Result, read

COLUMNS = "{:<34} {:>12} {:>12} {:>8}"
Values = dict[str, float | None]


def compare(before: Result, after: Result) -> str:
    """Return the parameters that differ, then a table of all figures with their ratios."""
    differing = [*_differing(before.parameters, after.parameters)]
    differing += _differing(before.machine, after.machine)
    rows = [
        COLUMNS.format("", "A", "B", "B / A"),
        *_rows(Figures.of(before.run), Figures.of(after.run)),
    ]
    return "\n".join([*differing, *([""] if differing else []), *rows])


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield f"{name}: A {before.get(name)}, B {after.get(name)}"


def _rows(before: Figures, after: Figures) -> Iterator[str]:
    first, second = figures_by_name(before), figures_by_name(after)
    for name in dict.fromkeys([*first, *second]):
        one, other = first.get(name), second.get(name)
        yield COLUMNS.format(name, _shown(one), _shown(other), _ratio(one, other))


def figures_by_name(figures: Figures) -> Values:
    """Return all figures by display name; None if the format does not show one."""
    values: Values = {"requests": figures.requests, "failed": figures.failed}
    values |= {f"failed: {error}": count for error, count in figures.errors.items()}
    heard = figures.heard
    if heard:
        values |= _spread("time to first audio", "s", heard.first_audio)
        values |= _spread("time", "s", heard.latency) | _spread("RTF", "", heard.real_time_factor)
        values |= {
            "audio per answer, s": heard.audio_s_mean,
            "audio-seconds per second": heard.audio_s_per_s,
            "answers per second": heard.answers_per_s,
            "streams with underruns": heard.underrun_streams,
            "underruns": heard.underruns,
            "underruns, s": heard.underrun_s,
            "steps": heard.steps,
            "steps at seams": heard.seam_steps,
            "silences over 1 s": heard.silences,
        }
    own = figures.generator
    return values | {"late starts": own.late_starts, "event loop lag p95, ms": own.lag_ms_p95}


def _spread(name: str, unit: str, spread: Spread) -> Values:
    suffix = f", {unit}" if unit else ""
    shown = {
        "mean": spread.mean,
        "p50": spread.p50,
        "p90": spread.p90,
        "p95": spread.p95,
        "p99": spread.p99,
    }
    return {f"{name} {which}{suffix}": value for which, value in shown.items()}


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _ratio(before: float | None, after: float | None) -> str:
    return f"{after / before:.3f}" if before and after is not None else "-"


def main(files: Sequence[str]) -> int:
    """Print the comparison of two files; the exit status is 2 if one is not a result."""
    if len(files) != 2 or files[0].startswith("-"):
        print("usage: stress_test compare A.json B.json", file=sys.stderr)
        return 2
    try:
        before, after = (read(Path(file)) for file in files)
    except NotAResult as exc:
        print(exc, file=sys.stderr)
        return 2
    print(f"A: {files[0]}\nB: {files[1]}\n\n{compare(before, after)}")
    return 0
