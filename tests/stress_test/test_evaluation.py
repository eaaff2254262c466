"""The evaluation of an answer whose chunks arrived at known times."""

from __future__ import annotations

import numpy as np
import pytest

from stress_test.client import Recording
from stress_test.evaluation import evaluate
from stress_test.load import RequestSpec
from stress_test.outcome import Completed, Failed, from_json, to_json
from tests.stress_test.outcomes import completed, failed
from tests.stress_test.server import RATE_HZ, pcm, streamed_wav, tone


def recording(*pieces: tuple[float, bytes], error: str | None = None) -> Recording:
    """Due at 100 s, sent 5 ms later, its pieces so long after 100 s, the end with the last."""
    made = Recording(
        RequestSpec(7, "text"), due_s=100.0, sent_s=100.005, answered=True, error=error
    )
    made.arrived_s = [100.0 + after_s for after_s, _ in pieces]
    made.chunks = [piece for _, piece in pieces]
    made.write_ends = list(range(len(pieces)))
    made.ended_s = 100.0 + max((after_s for after_s, _ in pieces), default=0.5)
    return made


def evaluated(*pieces: tuple[float, bytes], response_format: str = "pcm") -> Completed:
    outcome = evaluate(recording(*pieces), response_format, load_start_s=90.0)
    assert isinstance(outcome, Completed)
    return outcome


def test_moments_count_from_when_the_request_was_due() -> None:
    outcome = evaluated((0.25, pcm(tone(1.0))), (1.0, pcm(tone(1.0))))
    assert (outcome.number, outcome.due_s) == (7, 10.0)
    assert outcome.late_s == pytest.approx(0.005)
    assert (outcome.first_audio_s, outcome.latency_s, outcome.audio_s) == (0.25, 1.0, 2.0)
    assert outcome.real_time_factor == 0.5


def test_a_wav_header_is_not_the_first_audio() -> None:
    body = streamed_wav(tone(1.0))
    assert evaluated(
        (0.1, body[:44]), (0.4, body[44:]), response_format="wav"
    ).first_audio_s == pytest.approx(0.4)


def test_a_stream_that_runs_dry_is_an_underrun() -> None:
    second = pcm(tone(1.0))
    outcome = evaluated((0.2, second), (1.5, second), (2.0, second))
    assert (outcome.underruns, outcome.underrun_s) == (1, pytest.approx(0.3))


def test_a_step_between_chunks_is_at_a_seam_and_one_within_is_not() -> None:
    first, then = tone(0.5), tone(0.5) + np.float32(0.3)
    outcome = evaluated((0.1, pcm(first)), (0.2, pcm(then)))
    assert (outcome.steps, outcome.seam_steps) == (1, 1)
    outcome = evaluated((0.1, pcm(np.concatenate([first, then]))))
    assert (outcome.steps, outcome.seam_steps) == (1, 0)


def test_silence_within_the_speech_is_counted() -> None:
    pause = np.zeros(2 * RATE_HZ, np.float32)
    outcome = evaluated((0.1, pcm(np.concatenate([tone(0.5), pause, tone(0.5)]))))
    assert (outcome.silences, outcome.silence_s) == (1, pytest.approx(2.0, abs=0.02))


@pytest.mark.parametrize(
    ("pieces", "response_format", "error"),
    [
        ([], "pcm", "no audio"),
        ([], "wav", "no audio"),
        ([(0.1, b"\0")], "pcm", "no audio"),
        ([(0.1, streamed_wav(tone(0.0)))], "wav", "no audio"),
        ([(0.1, b"<html>")], "wav", "not audio"),
        ([(0.1, pcm(np.zeros(RATE_HZ, np.float32)))], "pcm", "silent answer"),
    ],
)
def test_an_answer_without_sound_has_failed(
    pieces: list[tuple[float, bytes]], response_format: str, error: str
) -> None:
    outcome = evaluate(recording(*pieces), response_format, load_start_s=90.0)
    assert isinstance(outcome, Failed)
    assert (outcome.error, outcome.due_s) == (error, 10.0)


def test_what_came_of_a_broken_answer_is_no_success() -> None:
    outcome = evaluate(
        recording((0.1, pcm(tone(1.0))), error="broken body"), "pcm", load_start_s=90.0
    )
    assert isinstance(outcome, Failed)
    assert outcome.error == "broken body"


@pytest.mark.parametrize(
    "outcome", [completed(), completed(steps=None, seam_steps=None), failed("timed out")]
)
def test_an_outcome_survives_as_json(outcome: Completed | Failed) -> None:
    assert from_json(to_json(outcome)) == outcome


def test_what_is_no_outcome_is_refused() -> None:
    with pytest.raises(TypeError):
        from_json({"number": 1})
