"""Plots of results: `python -m bench.plots` writes bench/results/plots/. Needs '.[judge]'."""

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
COLOURS = 32  # colours of the palette, which reduces the file to a third
NAMES = {
    "deadline": "earliest deadline, when the device is free (ours)",
    "cut at arrival": "cut at arrival, 10 ms",
    "exact length": "equal lengths only",
    "one by one": "no batching",
}

Row = dict[str, Any]


def draw_load(rows: Sequence[Row], title: str) -> Figure:
    """Draw throughput, TTFA and the service's share of it over the streams of a closed loop."""
    figure = Figure((11, 4), dpi=100, layout="constrained")
    axes = figure.subplots(1, 3)
    panels = {
        "audio-seconds per second": ("audio_s_per_s",),
        "time to first audio, ms": ("first_audio_ms_p50", "first_audio_ms_p99"),
        "TTFA, share of the service, ms": ("first_window_ms_p50", "first_window_ms_p99"),
    }
    for panel, (label, names) in zip(axes, panels.items(), strict=True):
        for colour, series in enumerate(_series(rows)):
            for name, style in zip(names, ("-", "--") if len(names) > 1 else ("-",), strict=True):
                _draw_series(panel, series, name, f"C{colour}", style)
        panel.set_ylabel(label + (" (p99 dashed)" if len(names) > 1 else ""))
        panel.set_xlabel("concurrent streams")
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
    """Group the closed loops by codec and policy."""
    closed = [row for row in rows if row["streams"]]
    names = list(dict.fromkeys((row["codec"], row["policy"]) for row in closed))
    return [[row for row in closed if (row["codec"], row["policy"]) == name] for name in names]


def _draw_series(axes: Axes, series: Sequence[Row], key: str, colour: str, style: str) -> None:
    """Draw a line; a hollow mark means that the machine was too small for the load."""
    codec, policy = series[0]["codec"], str(series[0]["policy"])
    label = "a codec that takes no time" if codec == "free" else NAMES[policy]
    streams = [float(row["streams"]) for row in series]
    values = [float(row[key]) for row in series]
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
    """Draw memory, descriptors, threads and tasks during a soak."""
    fields, rows = result["samples"]["fields"], result["samples"]["rows"]
    watched = {name: [row[index] for row in rows] for index, name in enumerate(fields)}
    figure = Figure((9, 5), dpi=100, layout="constrained")
    names = ("memory_mb", "descriptors", "threads", "tasks")
    for axes, name in zip(figure.subplots(2, 2).flat, names, strict=True):
        axes.plot([at_s / 60 for at_s in watched["at_s"]], watched[name], linewidth=0.9)
        axes.set_ylim(0, 1.15 * max(watched[name]) + 1)
        axes.set_xlabel("minutes")
        axes.set_title(name.replace("_mb", " (MB)"), fontsize=10)
    requests = f"{result['requests']} requests in {result['minutes']:.0f} minutes"
    figure.suptitle(f"{requests}, a third of them invalid or disconnecting")
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG with a reduced palette."""
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)


def main() -> None:
    """Draw a plot of each result."""
    for file in sorted(RESULTS.glob("load-*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        if result["streams"]:
            save(draw_load(result["rows"], _load_title(result)), PLOTS / f"{file.stem}.png")
    soak = RESULTS / "soak.json"
    save(draw_soak(json.loads(soak.read_text(encoding="utf-8"))), PLOTS / "soak.png")


def _load_title(result: Row) -> str:
    codec, machine = result["codec"], result["machine"]
    named = f"{codec} codec ({result['cost']})" if codec == "stub" else f"{codec} codec"
    return f"The service with the {named}, {machine['cores']} cores; hollow: the machine was busy"


if __name__ == "__main__":
    main()
