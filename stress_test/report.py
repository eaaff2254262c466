"""Report as text: the format of the published figures, then the streaming report."""

from __future__ import annotations

from collections.abc import Iterator

from stress_test.figures import AnswerFigures, Figures, LoadTiming, Spread

RULE = "=========================="
REFUSED = "status 429"  # prefix of the errors of a full server
INTERRUPTED = 130  # exit status of a program ended by SIGINT, as in a shell


def report(figures: Figures) -> str:
    """Return both reports.

    Total Requests counts all requests; all other figures of the first report exclude failed ones.
    """
    return "\n".join([*_latency_report(figures), "", *_streaming_report(figures)])


def _latency_report(figures: Figures) -> Iterator[str]:
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


def _real_time_factor(heard: AnswerFigures) -> Iterator[str]:
    """Yield the RTF lines; like the published reports they have an "s" after Min and Max RTF."""
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


def _streaming_report(figures: Figures) -> Iterator[str]:
    yield "=== STREAMING REPORT ==="
    answered = figures.requests - figures.failed
    yield f"Answered: {answered}, Failed: {figures.failed}, in {figures.took_s:.3f}s"
    if figures.heard:
        yield from _first_audio(figures.heard.first_audio)
        yield from _heard(figures.heard, answered)
    if figures.errors:
        yield "\n--- Errors ---"
    yield from (f"{error}: {count}" for error, count in figures.errors.items())
    if rejected := sum(
        count for error, count in figures.errors.items() if error.startswith(REFUSED)
    ):
        yield "The load exceeds the server's capacity:"
        yield f"{answered} requests answered, {rejected} rejected with 429."
        yield "python -m stress_test capacity finds the number of listeners that it sustains."
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


def _heard(heard: AnswerFigures, answered: int) -> Iterator[str]:
    yield "\n--- Playback ---"
    yield f"Throughput: {heard.audio_s_per_s:.2f} audio-seconds per second"
    yield f"Answers Per Second: {heard.answers_per_s:.2f}"
    where = f"{heard.underrun_streams} of {answered} streams, {heard.underrun_s:.3f}s"
    yield f"Underruns Per Stream: {heard.underruns / answered:.3f} ({where})"
    if heard.steps is None:
        yield "Steps In The Signal: not visible in this format"
    else:
        yield f"Steps In The Signal: {heard.steps}, of them at seams: {heard.seam_steps}"
    yield f"Silences Over 1s: {heard.silences} ({heard.silence_s:.3f}s)"


def _generator(generator: LoadTiming) -> Iterator[str]:
    yield "\n--- Load Generator ---"
    yield f"Late Starts: {generator.late_starts} (worst {generator.latest_start_ms:.1f}ms)"
    cpu = f"{generator.cpu_share_max:.0%} of a core"
    yield f"Event Loop Lag P95: {generator.lag_ms_p95:.1f}ms, CPU: {cpu}"
    if not generator.believable:
        yield "The load generator was too slow for these figures."
        yield "Use more --processes or another machine."
