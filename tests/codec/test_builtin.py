from __future__ import annotations

import numpy as np
import pytest
import torch

from app.audio.samples import Samples
from app.codec import Codes, CodeWindow
from app.codec.builtin.load import load_builtin_codec
from app.codec.eager import EagerCodec
from app.codec.fsq import VOCABULARY
from app.codec.fsq_tensors import codes_to_digits, digits_to_codes
from app.engine.embedded.nar_worker import generate_codes, load_model
from app.engine.embedded.phonemes import Phonemiser
from app.engine.embedded.voices import WEIGHTS, read_phoneme_ids
from tests.audio_checks import snr_db

pytestmark = pytest.mark.process

torch.set_num_threads(1)
FRAME = 480


@pytest.fixture(scope="module")
def codec() -> EagerCodec:
    return load_builtin_codec()


@pytest.fixture(scope="module")
def spoken() -> Codes:
    """A sentence of the built-in voice."""
    phonemiser = Phonemiser(read_phoneme_ids())
    (piece,) = phonemiser.chunks("The weather is cold and wet today, so please take a coat.")
    return np.array(generate_codes(load_model(WEIGHTS), piece), np.int32)[:, None]


def noise(frames: int, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, VOCABULARY, (frames, 1)).astype(np.int32)


def in_windows(
    codec: EagerCodec, codes: Codes, hops: list[int], left: int = 78, right: int = 4
) -> Samples:
    """Decode in windows whose own frames follow `hops`, the last one repeated."""
    parts: list[Samples] = []
    done = 0
    while done < len(codes):
        hop = hops[min(len(parts), len(hops) - 1)]
        start, end = max(0, done - left), min(len(codes), done + hop)
        window = CodeWindow(codes[start : end + right], start)
        parts.append(codec.decode([window])[0][(done - start) * FRAME : (end - start) * FRAME])
        done = end
    return np.concatenate(parts)


def test_spec_describes_what_decode_returns(codec: EagerCodec) -> None:
    assert codec.spec.frames_per_s == 50
    assert codec.spec.vocabulary == VOCABULARY == 65_536
    for frames in (1, 2, 3, 80, codec.spec.max_window_frames):
        (samples,) = codec.decode([CodeWindow(noise(frames))])
        assert samples.shape == (frames * codec.spec.samples_per_frame,)
        assert samples.dtype == np.float32


@pytest.mark.parametrize("hops", [[1], [5, 10, 20, 40], [25], [7, 3, 50], [100]])
@pytest.mark.parametrize("source", ["noise", "speech"])
def test_windows_sound_as_one_pass(
    codec: EagerCodec, spoken: Codes, hops: list[int], source: str
) -> None:
    codes = noise(230) if source == "noise" else spoken
    whole = codec.decode([CodeWindow(codes)])[0]
    assert snr_db(whole, in_windows(codec, codes, hops)) >= 90


@pytest.mark.parametrize(("left", "right"), [(78, 3), (64, 4)])
def test_the_context_is_not_longer_than_needed(codec: EagerCodec, left: int, right: int) -> None:
    codes = noise(230)
    whole = codec.decode([CodeWindow(codes)])[0]
    assert snr_db(whole, in_windows(codec, codes, [10], left, right)) < 90


def test_a_batch_of_mixed_lengths_sounds_as_each_alone(codec: EagerCodec, spoken: Codes) -> None:
    windows = [CodeWindow(noise(frames, frames)) for frames in (1, 2, 3, 17, 64, 130)] + [
        CodeWindow(spoken)
    ]
    together = codec.decode(windows)
    for window, samples in zip(windows, together, strict=True):
        (alone,) = codec.decode([window])
        assert samples.shape == alone.shape
        assert snr_db(alone, samples) >= 90
        assert snr_db(alone[-FRAME:], samples[-FRAME:]) >= 90


def test_equal_neighbours_do_not_share_memory(codec: EagerCodec) -> None:
    first, second = codec.decode([CodeWindow(noise(4)), CodeWindow(noise(4))])
    first[:] = 0
    assert np.abs(second).max() > 0


def test_digits_count_from_the_least_significant() -> None:
    codes = torch.tensor([0, 1, 4, 65_535, 27])
    digits = codes_to_digits(codes)
    assert digits[2].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert digits[4].tolist() == [3, 2, 1, 0, 0, 0, 0, 0]
    assert torch.equal(digits_to_codes(digits), codes)
