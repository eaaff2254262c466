from __future__ import annotations

import numpy as np
import pytest

from training.cast import SHARES, TIMBRES, draw_voice
from training.teacher import Teacher
from training.timbre import BINS, Frames, Timbre, change_timbre, shift_formants, through_harmonics

pytestmark = pytest.mark.process

LOWER = Timbre(pitch=0.5, formants=0.8)


def frames(pitch_hz: list[float]) -> Frames:
    chance = np.random.default_rng(0)
    parts = (chance.standard_normal((BINS, len(pitch_hz)), np.float32) for _ in range(5))
    return Frames(*parts, np.array(pitch_hz, np.float32))


def test_the_teacher_s_own_voice_is_left_alone() -> None:
    own = frames([100, 0])
    assert change_timbre(own, Timbre()) is own


def test_pitch_is_lowered_and_its_power_shared_by_more_harmonics() -> None:
    flat = frames([200.0, 0.0])
    flat.harmonic[:] = 1.0
    lower = change_timbre(flat, LOWER)
    assert lower.pitch_hz.tolist() == [100.0, 0.0]
    assert np.allclose(lower.harmonic, 1 + 0.5 * np.log(0.5), atol=1e-5)


def test_a_peak_moves_with_the_formants() -> None:
    values = np.zeros((BINS, 1), np.float32)
    values[100] = 1
    assert int(shift_formants(values, 0.8)[:, 0].argmax()) == 80
    assert int(shift_formants(values, 1.25)[:, 0].argmax()) == 125


def test_only_the_harmonics_of_voiced_frames_count() -> None:
    values = np.full((BINS, 2), 9.0, np.float32)
    values[10:551:10] = 2.0  # harmonics of 200 Hz in bins of 20 Hz
    drawn = through_harmonics(values, np.array([200.0, 0.0], np.float32))
    assert np.allclose(drawn[:, 0], 2.0)
    assert np.array_equal(drawn[:, 1], values[:, 1])


@pytest.mark.parametrize(
    ("voice", "lowest_hz", "highest_hz"), [("lark", 150, 260), ("heron", 90, 150)]
)
def test_each_voice_has_its_pitch(voice: str, lowest_hz: float, highest_hz: float) -> None:
    teacher = Teacher()
    ids = teacher.ids(teacher.phonemes("The weather is cold today.")[0])
    said = teacher.speak(ids, 1.0, np.random.default_rng(0), TIMBRES[voice])
    pitch = said.pitch_hz[said.pitch_hz > 0].astype(float)
    assert lowest_hz < np.median(pitch) < highest_hz
    assert len(said.samples) == 600 * sum(said.units) == 300 * len(said.pitch_hz)


def test_voices_are_drawn_in_their_shares() -> None:
    chance = np.random.default_rng(0)
    drawn = [draw_voice(chance) for _ in range(2000)]
    for voice, share in SHARES.items():
        assert abs(drawn.count(voice) / 2000 - share) < 0.05
