from __future__ import annotations

import numpy as np
import pytest
import torch

from app.audio.samples import Samples
from app.codec import Codes, CodeWindow
from app.codec.builtin.load import load_builtin_codec
from app.codec.eager import EagerCodec
from app.engine.embedded.nar_worker import generate_codes, load_model
from app.engine.embedded.phonemes import Phonemiser
from app.engine.embedded.voices import WEIGHTS, read_phoneme_ids
from training.codec_encoder import BuiltinEncoder, LogMel, load_builtin_encoder

torch.set_num_threads(1)
FRAME = 480


@pytest.fixture(scope="module")
def codec() -> EagerCodec:
    return load_builtin_codec()


@pytest.fixture(scope="module")
def encoder() -> BuiltinEncoder:
    return load_builtin_encoder()


@pytest.fixture(scope="module")
def spoken() -> Codes:
    """A sentence of the built-in voice."""
    phonemiser = Phonemiser(read_phoneme_ids())
    (piece,) = phonemiser.chunks("The weather is cold and wet today, so please take a coat.")
    return np.array(generate_codes(load_model(WEIGHTS), piece), np.int32)[:, None]


def test_speech_survives_the_round_trip(
    codec: EagerCodec, encoder: BuiltinEncoder, spoken: Codes
) -> None:
    (speech,) = codec.decode([CodeWindow(spoken)])
    codes = encoder.encode(speech)
    assert codes.shape == spoken.shape
    (again,) = codec.decode([CodeWindow(codes)])
    shuffled = np.random.default_rng(1).permutation(codes)
    (scrambled,) = codec.decode([CodeWindow(shuffled)])
    assert mel_distance(speech, again) < 0.35 * mel_distance(speech, scrambled)


def test_encoding_fills_the_last_frame(encoder: BuiltinEncoder) -> None:
    tone = np.sin(np.arange(2 * FRAME + 1) * 0.05).astype(np.float32)
    assert encoder.encode(tone).shape == (3, 1)
    assert encoder.encode(tone[:FRAME]).shape == (1, 1)


def mel_distance(first: Samples, second: Samples) -> float:
    """Mean difference of the log-mel spectrograms."""
    mel = LogMel()
    return float(
        (mel(torch.as_tensor(first)[None]) - mel(torch.as_tensor(second)[None])).abs().mean()
    )
