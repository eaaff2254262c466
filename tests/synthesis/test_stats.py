"""Statistics of a request: the times to the first audio, and the figures after a retry."""

from __future__ import annotations

from dataclasses import replace

from app.synthesis.stats import KeptCodes, SynthesisStats


def test_times_are_0_before_the_first_write() -> None:
    stats = SynthesisStats(begun_s=10.0)
    stats.first_codes_s = 10.2
    assert (stats.first_audio_s, stats.first_window_s) == (0.0, 0.0)
    stats.first_write_s = 10.5
    assert round(stats.first_audio_s, 9) == 0.5
    assert round(stats.first_window_s, 9) == 0.3


def test_a_retry_drops_all_figures_of_the_failed_attempt() -> None:
    stats = SynthesisStats(begun_s=10.0, keeps_codes=True)
    fresh = replace(stats)
    stats.audio_s = 1.0
    stats.codec_tokens = 50
    stats.prompt_tokens = 5
    stats.finish_reason = "length"
    stats.first_codes_s = 10.2
    stats.first_write_s = 10.5
    stats.codes = KeptCodes("tone", 2)
    stats.keep_segment(0.5, None)
    stats.retry()
    assert stats == replace(fresh, retries=1)
