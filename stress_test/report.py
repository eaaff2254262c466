"""The report as text: first the one in which the published figures of this service are written, then ours."""

from __future__ import annotations

from collections.abc import Iterator

from stress_test.figures import Figures, Heard, Punctuality, Spread

RULE = "=========================="
REFUSED = "status 429"  # begins the name of a request that came to a full server
INTERRUPTED = 130  # the exit status, as a shell says of what SIGINT ended


def report(figures: Figures) -> str:
    """Both reports. Total Requests counts every request; the other figures of the first are of the answered ones."""
    return "\n".join([*_published(figures), "", *_ours(figures)])


def _published(figures: Figures) -> Iterator[str]:
    yield "=== SLO LATENCY REPORT ==="
    yield f"Total Requests: {figures.requests}"
    if figures.heard:
        yield from _latency(figures.heard.latency)
        yield from _real_time_factor(figures.heard)
    yield RULE


def _latency(spread: Spread) -> Iterator[str]:
    yield f"Min Time: {spread.min:.3f}s"
    yield f"Max Time: {spread.max:.3f}s"
    yield f"Avg Time: {spread.mean:.3f}s"
    yield f"P50 (Median): {spread.p50:.3f}s"
    yield f"P90: {spread.p90:.3f}s"
    yield f"P95: {spread.p95:.3f}s"
    yield f"P99: {spread.p99:.3f}s"


def _real_time_factor(heard: Heard) -> Iterator[str]:
    """The published reports write an "s" after the least and the greatest factor; so does this one."""
    spread = heard.real_time_factor
    yield "\n=== AUDIO & REAL-TIME FACTOR (RTF) REPORT ==="
    yield f"Avg Audio Duration: {heard.audio_s_mean:.3f}s"
    yield "\n--- RTF Percentiles ---"
    yield f"Min RTF: {spread.min:.3f}s"
    yield f"Max RTF: {spread.max:.3f}s"
    yield f"Avg RTF: {spread.mean:.3f}"
    yield f"P50 RTF: {spread.p50:.3f}"
    yield f"P90 RTF: {spread.p90:.3f}"
    yield f"P95 RTF: {spread.p95:.3f}"
    yield f"P99 RTF: {spread.p99:.3f}"


def _ours(figures: Figures) -> Iterator[str]:
    yield "=== STREAMING REPORT ==="
    yield f"Answered: {figures.requests - figures.failed}, Failed: {figures.failed}, in {figures.took_s:.3f}s"
    if figures.heard:
        yield from _first_audio(figures.heard.first_audio)
        yield from _heard(figures.heard, figures.requests - figures.failed)
    if figures.errors:
        yield "\n--- Errors ---"
    yield from (f"{error}: {count}" for error, count in figures.errors.items())
    if refused := sum(
        count for error, count in figures.errors.items() if error.startswith(REFUSED)
    ):
        yield f"The server carries less than this load: it answered {figures.requests - figures.failed} requests and"
        yield f"refused {refused}. python -m stress_test capacity finds the listeners that it carries."
    yield from _generator(figures.generator)
    yield RULE


def _first_audio(spread: Spread) -> Iterator[str]:
    yield "\n--- Time To First Audio (TTFA) ---"
    yield f"Min TTFA: {spread.min:.3f}s"
    yield f"Max TTFA: {spread.max:.3f}s"
    yield f"Avg TTFA: {spread.mean:.3f}s"
    yield f"P50 TTFA: {spread.p50:.3f}s"
    yield f"P90 TTFA: {spread.p90:.3f}s"
    yield f"P95 TTFA: {spread.p95:.3f}s"
    yield f"P99 TTFA: {spread.p99:.3f}s"


def _heard(heard: Heard, answered: int) -> Iterator[str]:
    yield "\n--- What Was Heard ---"
    yield f"Throughput: {heard.audio_s_per_s:.2f} audio-seconds per second"
    yield f"Answers Per Second: {heard.answers_per_s:.2f}"
    where = f"{heard.underrun_streams} of {answered} streams, {heard.underrun_s:.3f}s"
    yield f"Underruns Per Stream: {heard.underruns / answered:.3f} ({where})"
    if heard.steps is None:
        yield "Steps In The Signal: not visible in this format"
    else:
        yield f"Steps In The Signal: {heard.steps}, of them at seams: {heard.seam_steps}"
    yield f"Silences Over 1s: {heard.silences} ({heard.silence_s:.3f}s)"


def _generator(generator: Punctuality) -> Iterator[str]:
    yield "\n--- The Load Itself ---"
    yield f"Late Starts: {generator.late_starts} (worst {generator.latest_start_ms:.1f}ms)"
    yield f"Event Loop Lag P95: {generator.lag_ms_p95:.1f}ms, CPU: {generator.cpu_share_max:.0%} of a core"
    if not generator.believable:
        yield "The load was late itself: more --processes, or another machine, before these figures are believed"
