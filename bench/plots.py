"""Pictures of results: `python -m bench.plots` draws bench/results/plots/*.png. Needs '.[judge]'."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

RESULTS = Path(__file__).parent / "results"
PLOTS = RESULTS / "plots"
COLOURS = 32  # as many as lines and their edges need; a third of the file
NAMES = {
    "deadline": "most urgent, when the device is free (ours)",
    "cut at arrival": "cut at arrival, 10 ms",
    "exact length": "equal lengths only",
    "one by one": "no batching",
}

Row = dict[str, Any]


def draw_load(rows: Sequence[Row], title: str) -> Figure:
    """Throughput, TTFA and what the service adds to it, over the streams of a closed loop."""
    figure = Figure((11, 4), dpi=100, layout="constrained")
    axes = figure.subplots(1, 3)
    panels = {
        "audio-seconds per second": ("audio_s_per_s",),
        "time to first audio, ms": ("first_audio_ms_p50", "first_audio_ms_p99"),
        "of it from us, ms": ("first_window_ms_p50", "first_window_ms_p99"),
    }
    for panel, (label, names) in zip(axes, panels.items(), strict=True):
        for colour, series in enumerate(_series(rows)):
            for name, style in zip(names, ("-", "--") if len(names) > 1 else ("-",), strict=True):
                _draw_series(panel, series, name, f"C{colour}", style)
        panel.set_ylabel(label + (" (p99 dashed)" if len(names) > 1 else ""))
        panel.set_xlabel("streams that always ask again")
        panel.set_xlim(left=0)
        if len(names) > 1:
            panel.set_yscale("log")
        else:
            panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        fontsize=8,
        frameon=False,
    )
    figure.suptitle(title, fontsize=10)
    return figure


def _series(rows: Sequence[Row]) -> list[list[Row]]:
    """The closed loops of each codec and policy."""
    closed = [row for row in rows if row["streams"]]
    names = list(dict.fromkeys((row["codec"], row["policy"]) for row in closed))
    return [[row for row in closed if (row["codec"], row["policy"]) == name] for name in names]


def _draw_series(axes: Axes, series: Sequence[Row], key: str, colour: str, style: str) -> None:
    """A line; a hollow mark where the machine was too small for the load."""
    codec, policy = series[0]["codec"], str(series[0]["policy"])
    label = "a codec that takes no time" if codec == "free" else NAMES[policy]
    streams, values = [float(row["streams"]) for row in series], [float(row[key]) for row in series]
    axes.plot(streams, values, style, color=colour, label=label)
    for at, value, row in zip(streams, values, series, strict=True):
        axes.plot(
            at,
            value,
            "o",
            markersize=4,
            color=colour,
            fillstyle="full" if row["believable"] else "none",
        )


def draw_soak(result: Row) -> Figure:
    """What was watched of a service during a soak."""
    fields, rows = result["samples"]["fields"], result["samples"]["rows"]
    watched = {name: [row[place] for row in rows] for place, name in enumerate(fields)}
    figure = Figure((9, 5), dpi=100, layout="constrained")
    names = ("memory_mb", "descriptors", "threads", "tasks")
    for axes, name in zip(figure.subplots(2, 2).flat, names, strict=True):
        axes.plot([at_s / 60 for at_s in watched["at_s"]], watched[name], linewidth=0.9)
        axes.set_ylim(0, 1.15 * max(watched[name]) + 1)
        axes.set_xlabel("minutes")
        axes.set_title(name.replace("_mb", " (MB)"), fontsize=10)
    figure.suptitle(
        f"{result['requests']} requests in {result['minutes']:.0f} minutes, a third of them bad or leaving"
    )
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a small PNG."""
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)


def main() -> None:
    """Draw what there are results of."""
    for file in sorted(RESULTS.glob("load-*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        if result["streams"]:
            save(draw_load(result["rows"], _load_title(result)), PLOTS / f"{file.stem}.png")
    soak = RESULTS / "soak.json"
    save(draw_soak(json.loads(soak.read_text(encoding="utf-8"))), PLOTS / "soak.png")


def _load_title(result: Row) -> str:
    codec, machine = result["codec"], result["machine"]
    named = f"{codec} codec ({result['cost']})" if codec == "stub" else f"{codec} codec"
    return f"Measured: the service with the {named}, {machine['cores']} cores; hollow: the machine was busy"


if __name__ == "__main__":
    main()
