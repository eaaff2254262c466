"""Pictures of results: `python -m bench.plots` draws bench/results/plots/*.png. Needs '.[judge]'."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

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

Row = dict[str, str | float]


def draw_simulation(rows: Sequence[Row], title: str) -> Figure:
    """Throughput and TTFA of each policy over the number of streams."""
    figure = Figure((9, 3.6), dpi=100, layout="constrained")
    throughput, ttfa = figure.subplots(1, 2)
    _draw_policies(throughput, rows, "audio_s_per_s")
    _draw_policies(ttfa, rows, "ttfa_ms_p99")
    throughput.set_ylabel("audio-seconds per second")
    ttfa.set_ylabel("time to first audio, p99 (ms)")
    ttfa.set_yscale("log")
    throughput.legend(fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=10)
    return figure


def _draw_policies(axes: Axes, rows: Sequence[Row], key: str) -> None:
    for policy, name in NAMES.items():
        points = [
            (int(str(row["load"]).split()[0]), float(row[key]))
            for row in rows
            if row["policy"] == policy and str(row["load"]).endswith("streams")
        ]
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=name)
    axes.set_xlabel("streams that always ask again")
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)


def save(figure: Figure, path: Path) -> None:
    """Write a small PNG."""
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)


def main() -> None:
    """Draw what there are results of."""
    simulated = json.loads((RESULTS / "simulation.json").read_text(encoding="utf-8"))
    title = "Simulated: NeuCodec decoded eagerly at 20 ms a call, one GPU, vLLM's pace on an H200"
    save(draw_simulation(simulated["h200-eager"], title), PLOTS / "simulation.png")


if __name__ == "__main__":
    main()
