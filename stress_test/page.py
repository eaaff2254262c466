"""A result as one HTML page with figures and plots, without external resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from stress_test.comparison import figures_by_name
from stress_test.figures import Figures
from stress_test.outcome import Completed, Failed, Outcome
from stress_test.plot import Plot, Points
from stress_test.report import report
from stress_test.result import Result
from stress_test.throughput import in_flight

MAX_LINES = 400  # requests shown in the plot of each request

TOO_SLOW = "The load generator was too slow for these figures: see Late Starts and Event Loop Lag."

STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --faint: #d9dde5; }
:root { --a: #1f6fb2; --b: #c8641b; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaf0; --faint: #3a4150; --a: #6db3ee; --b: #f0a05c; --bad: #ff8a80; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); }
body { max-width: 1120px; margin: 24px auto; padding: 0 16px; }
h1 { font-size: 22px; } h2 { font-size: 17px; margin-top: 28px; }
.plots { display: grid; gap: 16px; }
.plots { grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); }
.tables { display: flex; flex-wrap: wrap; gap: 16px 40px; align-items: start; }
table { border-collapse: collapse; }
td, th { padding: 2px 12px 2px 0; text-align: left; font-weight: normal; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; } .bad { color: var(--bad); }
pre { overflow-x: auto; font-size: 13px; }
figure { margin: 0; }
svg { width: 100%; height: auto; } text { fill: var(--ink); }
.title { font-size: 14px; } .tick { font-size: 11px; }
.grid { stroke: var(--faint); } polyline { fill: none; stroke-width: 1.6; }
polyline.a { stroke: var(--a); } polyline.b { stroke: var(--b); }
polyline.bad { stroke: var(--bad); }
circle.a { fill: var(--a); } circle.b { fill: var(--b); } circle.bad { fill: var(--bad); }
"""


def page(result: Result) -> str:
    """Return the complete HTML document."""
    figures = Figures.of(result.run)
    late = "" if figures.generator.believable else f'<p class="bad">{TOO_SLOW}</p>'
    plots = "".join(f"<figure>{plot.svg()}</figure>" for plot in draw(result.run.outcomes))
    shown = {
        name: "-" if value is None else f"{value:.6g}"
        for name, value in figures_by_name(figures).items()
    }
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Stress test</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>"
        f"<h1>Stress test of {escape(str(result.parameters.get('url')))}</h1>{late}"
        f'<h2>Plots</h2><div class="plots">{plots}</div>'
        f'<h2>Figures</h2><div class="tables">{_table(shown)}'
        f"<pre>{escape(report(figures))}</pre></div>"
        '<h2>Load parameters and machine of the load generator</h2><div class="tables">'
        f"{_table(result.parameters)}{_table(result.machine)}</div>"
        "</body></html>\n"
    )


def draw(outcomes: Sequence[Outcome]) -> list[Plot]:
    """Return the plots for which there is data."""
    completed = [outcome for outcome in outcomes if isinstance(outcome, Completed)]
    plots = [draw_requests(outcomes), draw_in_flight(outcomes)] if outcomes else []
    return [draw_shares(completed), draw_factors(completed), *plots] if completed else plots


def draw_shares(completed: Sequence[Completed]) -> Plot:
    """Plot the share of answers that have begun and ended over time since due."""
    max_s = max(outcome.latency_s for outcome in completed)
    plot = Plot("Answers begun and ended", "seconds since due", "percent", max_s, 100.0)
    plot.line(shares([outcome.first_audio_s for outcome in completed]), "a", "first audio")
    plot.line(shares([outcome.latency_s for outcome in completed]), "b", "last byte")
    return plot


def draw_factors(completed: Sequence[Completed]) -> Plot:
    """Plot the real-time factor over the length of the answer."""
    points = [(outcome.audio_s, outcome.real_time_factor) for outcome in completed]
    max_s = max(x for x, _ in points)
    max_factor = max(y for _, y in points)
    plot = Plot(
        "Real-time factor over length",
        "seconds of audio",
        "real-time factor",
        max_s,
        max(1.0, max_factor),
    )
    plot.dots(points, "a")
    plot.line([(0.0, 1.0), (max_s, 1.0)], "bad", "real time")
    return plot


def draw_requests(outcomes: Sequence[Outcome]) -> Plot:
    """Plot due time, first audio and end of each request; of many, every n-th."""
    step = -(-len(outcomes) // MAX_LINES)
    max_s = max(outcome.due_s + outcome.latency_s for outcome in outcomes)
    plot = Plot("Each request: due, first audio, end", "seconds", "request", max_s, len(outcomes))
    for number, outcome in list(enumerate(outcomes))[::step]:
        ends = [(outcome.due_s, float(number)), (outcome.due_s + outcome.latency_s, float(number))]
        if isinstance(outcome, Failed):
            plot.line(ends, "bad", "failed")
        else:
            plot.line(ends, "a")
            plot.dots([(outcome.due_s + outcome.first_audio_s, float(number))], "b", "first audio")
    return plot


def draw_in_flight(outcomes: Sequence[Outcome]) -> Plot:
    """Plot the number of requests that were due and had not ended."""
    steps = in_flight(outcomes)
    plot = Plot(
        "Requests in flight", "seconds", "requests", steps[-1][0], max(count for _, count in steps)
    )
    plot.line(steps, "a")
    return plot


def shares(values: Sequence[float]) -> Points:
    """Return the cumulative distribution in percent as a step function."""
    points = [(0.0, 0.0)]
    for rank, value in enumerate(sorted(values)):
        points += [(value, 100 * rank / len(values)), (value, 100 * (rank + 1) / len(values))]
    return points


def _table(rows: Mapping[str, object]) -> str:
    cells = (
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{''.join(cells)}</table>"
