from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from app.codec.builtin.decoder import noise_samples
from app.codec.fsq_tensors import codes_to_digits, digits_to_values
from app.engine.embedded.voices import VOICES
from training.aperiodicity import (
    BANDS,
    PULSES_OVER_NOISE,
    aperiodicity,
    aperiodicity_distance,
    band_weights,
    bytes_to_shares,
    noise_log_odds,
)
from training.cast import TIMBRES
from training.codec import SpeechExcerpts, nearest_frames
from training.codec_encoder import load_builtin_encoder
from training.networks.codec_decoder import BANDS as POINTS
from training.networks.codec_decoder import Decoder, Envelopes, read_decoder
from training.networks.pulses import pulses
from training.teacher import SAMPLES_PER_PITCH, Spoken, Teacher
from training.utterances import SpeechSet
from training.weight_files import Weights

pytestmark = pytest.mark.process

LOW, HIGH = slice(0, 5), slice(12, BANDS)  # below 900 Hz, above 3.6 kHz


def spoken(voice: str) -> Spoken:
    """A sentence with three of them, as the teacher says it."""
    teacher = Teacher()
    (phonemes,) = teacher.phonemes("See the sea.")
    return teacher.speak(teacher.ids(phonemes), 1.0, np.random.default_rng(0), TIMBRES[voice])


def hissing_and_vowels(samples: NDArray[np.int16]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the teacher's frames are loud, with most of their power above 3 kHz, or next to none
    there.
    """
    frames = samples.astype(np.float32).reshape(-1, SAMPLES_PER_PITCH)
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(SAMPLES_PER_PITCH), axis=1)))
    whole = power.sum(1)
    high = power[:, 38:].sum(1) / np.maximum(whole, 1)
    loud = whole > 0.01 * whole.max()
    return loud & (high > 0.5), loud & (high < 0.05)


def test_every_bin_is_shared_among_the_bands() -> None:
    weights = band_weights(601)
    assert weights.shape == (BANDS, 601)
    assert np.allclose(weights.sum(0), 1)
    assert weights[0, 0] == 1
    assert weights[-1, -1] == 1


def test_a_share_is_one_of_power_band_by_band() -> None:
    periodic, other = np.zeros((601, 2), np.float32), np.ones((601, 2), np.float32)
    periodic[300:, 1] = 3
    share = bytes_to_shares(aperiodicity(periodic, other))
    assert share.shape == (2, BANDS)
    assert torch.all(share[0] == 1)
    assert share[1, 0] == 1
    assert abs(share[1, -1] - 0.25) < 0.01


def test_silence_has_a_share_too() -> None:
    nothing = np.zeros((601, 1), np.float32)
    assert np.all(aperiodicity(nothing, nothing) == 0)


def test_flat_envelopes_have_the_odds_that_their_sounds_show() -> None:
    decoder = Decoder()
    steps = 400
    train = pulses(
        torch.full((1, steps), 200.0, dtype=torch.float64), torch.zeros(1, dtype=torch.long)
    )
    powers = [
        decoder.spectrum(sound).abs().square()[..., 40:440].mean()
        for sound in (train, torch.from_numpy(noise_samples()).unsqueeze(0))
    ]
    assert abs(torch.log(powers[0] / powers[1]).item() - PULSES_OVER_NOISE) < 0.05


def test_the_distance_is_least_where_the_envelopes_have_the_right_odds() -> None:
    pitch_hz = torch.tensor([[0.0, 200.0]])
    share = torch.full((1, 2, BANDS), 0.2)
    right = (PULSES_OVER_NOISE + np.log(0.2 / 0.8)) / 2
    distances = [
        aperiodicity_distance(
            Envelopes(
                torch.zeros(1, 2, POINTS),
                torch.tensor([[[9.0], [right + off]]]).expand(1, 2, POINTS),
            ),
            share,
            pitch_hz,
        ).item()
        for off in (-0.3, 0.0, 0.3)
    ]
    assert distances[1] == min(distances)
    assert abs(distances[1] + 0.2 * np.log(0.2) + 0.8 * np.log(0.8)) < 1e-4


@pytest.mark.parametrize("voice", VOICES)
def test_the_teacher_s_s_is_noise_and_its_vowels_are_not(voice: str) -> None:
    said = spoken(voice)
    assert said.aperiodicity.shape == (len(said.pitch_hz), BANDS)
    share = said.aperiodicity / 255
    hissing, vowels = hissing_and_vowels(said.samples)
    assert hissing.sum() >= 8
    assert np.mean(said.pitch_hz[hissing] > 0) > 0.3  # it gives them a pitch as well
    assert np.quantile(share[hissing][:, HIGH], 0.1) > 0.9
    assert vowels.sum() >= 20
    assert np.median(share[vowels][:, LOW]) < 0.3


@pytest.mark.parametrize("voice", VOICES)
def test_the_codec_that_ships_keeps_to_that(voice: str) -> None:
    said = spoken(voice)
    codes = (
        load_builtin_encoder()
        .encode(said.samples.astype(np.float32) / 32768)[:, 0]
        .astype(np.int64)
    )
    numbers = digits_to_values(codes_to_digits(torch.as_tensor(codes).unsqueeze(0)))
    with torch.inference_mode():
        levels = read_decoder(Weights().decoder.read_bytes()).predict_envelopes(
            numbers, torch.ones(numbers.shape[:2], dtype=torch.bool)
        )
    share = noise_log_odds(levels)[0].sigmoid().numpy()
    hissing, vowels = (
        frames[nearest_frames(len(frames), 0, len(share))]
        for frames in hissing_and_vowels(said.samples)
    )
    assert share[hissing][:, HIGH].mean() > 0.8
    assert np.median(share[vowels][:, LOW]) < 0.2


def test_stretches_bring_the_shares_of_their_place(data: Path) -> None:
    files = SpeechSet(data / "speech", "train")
    shares, size = files.aperiodicities(), 128 * 240
    assert len(shares) == len(files.pitches())
    batch = SpeechExcerpts(files).draw(np.random.default_rng(0), torch.device("cpu"))
    start = int(
        np.random.default_rng(0).integers(0, (len(files.samples()) - size) // 240 + 1, 8)[0] * 240
    )
    assert batch.aperiodicity.shape == (8, 128, BANDS)
    for step in (0, 50, 127):
        frame = min(round((start + 240 * step + 120) / 300 - 0.5), len(shares) - 1)
        assert np.allclose(batch.aperiodicity[0, step].numpy() * 255, shares[frame], atol=0.01)
