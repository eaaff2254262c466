from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from training import codec, pitch
from training.utterances import SpeechSet

pytestmark = pytest.mark.process

CPU = torch.device("cpu")


def test_codes_and_pitch_keep_step(data: Path) -> None:
    files = SpeechSet(data / "speech", "train")
    codes, pitch_hz = pitch.Pitches(files).draw(np.random.default_rng(0), CPU)
    assert pitch_hz.shape == (pitch.ROWS, 2 * codes.shape[1])
    every = np.concatenate([own for _, own in files.with_codes()])
    first = next(
        start for start in range(len(every)) if np.array_equal(every[start : start + 128], codes[0])
    )
    utterance, position = None, first
    for utterance in files.utterances():
        if position < utterance.frames:
            break
        position -= utterance.frames
    assert utterance is not None
    sample = utterance.first_sample + 480 * position
    expected = codec.pitch_at_steps(files.pitches(), sample, 2)
    assert np.allclose(pitch_hz[0, :2], expected)


def test_pitch_is_learnt_from_codes(data: Path) -> None:
    torch.manual_seed(0)
    known, network = pitch.Pitches(SpeechSet(data / "speech", "train")), codec.Decoder().pitch
    codes, pitch_hz = known.draw(np.random.default_rng(0), CPU)
    values = codec_values(codes)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    losses: list[float] = []
    for _ in range(12):
        off, voicing = codec.pitch_distance(
            network(values, torch.ones_like(codes, dtype=torch.bool)), pitch_hz
        )
        optimiser.zero_grad()
        (off + voicing).backward()
        optimiser.step()
        losses.append(off.item())
    assert losses[-1] < 0.8 * losses[0]


def codec_values(codes: torch.Tensor) -> torch.Tensor:
    return pitch.digits_to_values(pitch.codes_to_digits(codes))


def test_only_the_pitch_changes_in_the_decoder_s_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "speech").symlink_to(data / "speech")
    codec.main(["--data", str(tmp_path), "--steps", "1"])
    path = tmp_path / "codec" / "codec_decoder.safetensors"
    shutil.copy(path, tmp_path / "before")
    pitch.main(["--data", str(tmp_path), "--steps", "1"])
    before, after = load((tmp_path / "before").read_bytes()), load(path.read_bytes())
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"pitch"}
