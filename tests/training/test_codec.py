from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from app.codec import CodeWindow
from app.codec.fsq import LEVELS
from app.codec.fsq_tensors import digits_to_values
from training import codec
from training.encode import load_encoder
from training.networks.codec_decoder import read_decoder, torch_codec
from training.teacher import SAMPLES_PER_PITCH
from training.utterances import SpeechSet

pytestmark = pytest.mark.process

CPU = torch.device("cpu")
WEIGHTS = ("codec_encoder.safetensors", "codec_decoder.safetensors")


def stretches(data: Path) -> codec.SpeechExcerpts:
    return codec.SpeechExcerpts(SpeechSet(data / "speech", "train"))


def drawn(data: Path, rows: int = 2) -> codec.Batch:
    batch = stretches(data).draw(np.random.default_rng(0), CPU)
    return codec.Batch(batch.samples[:rows], batch.pitch_hz[:rows], batch.aperiodicity[:rows])


def test_the_decoder_hears_the_codes_and_the_encoder_its_gradient(data: Path) -> None:
    torch.manual_seed(0)
    both, batch = codec.TrainedCodec(), drawn(data)
    heard: list[torch.Tensor] = []
    both.decoder.envelopes.embed.register_forward_pre_hook(
        lambda _, inputs: heard.append(inputs[0])
    )
    made = both(batch)
    digits = both.encoder(batch.samples)
    assert torch.allclose(heard[0], digits_to_values(digits), atol=1e-6)
    assert made.samples.shape == batch.samples.shape
    assert made.pitch_numbers.shape == (*batch.pitch_hz.shape, 2)
    made.samples.square().mean().backward()
    gradient = both.encoder.embed.weight.grad
    assert gradient is not None
    assert bool(gradient.abs().max() > 0)


def test_the_encoder_rounds_what_it_is_trained_with(data: Path) -> None:
    torch.manual_seed(0)
    encoder, batch = codec.Encoder(), drawn(data)
    levels = encoder.levels(batch.samples)
    assert torch.equal(levels.round().long() + LEVELS // 2, encoder(batch.samples))
    assert levels.min() >= -2.01
    assert levels.max() <= 1.01


def test_pitch_is_read_where_the_sound_is(data: Path) -> None:
    files = SpeechSet(data / "speech", "train")
    pitches = files.pitches().astype(np.float32)
    assert len(pitches) * SAMPLES_PER_PITCH == len(files.samples())
    batch = stretches(data).draw(np.random.default_rng(0), CPU)
    assert batch.pitch_hz.dtype == torch.float32
    size = batch.samples.shape[1]
    starts = (
        np.random.default_rng(0).integers(0, (len(files.samples()) - size) // 240 + 1, codec.ROWS)
        * 240
    )
    for start, pitch in zip(starts, batch.pitch_hz.numpy(), strict=True):
        for step in (0, 40, len(pitch) - 1):
            place = (start + 240 * step + 120) / SAMPLES_PER_PITCH - 0.5
            around = pitches[max(0, int(place)) : int(place) + 2]
            if around.min() > 0:
                assert around.min() - 0.1 <= pitch[step] <= around.max() + 0.1
            else:
                assert pitch[step] in around


def test_the_same_sound_is_at_no_distance(data: Path) -> None:
    sound, distance = drawn(data).samples, codec.SpectralDistance()
    assert distance(sound, sound) == 0
    assert distance(0.5 * sound, sound) < distance(0.1 * sound, sound)


def test_the_pitch_s_distance_is_relative_and_over_voiced_steps() -> None:
    pitch_hz = torch.tensor([[0.0, 100.0, 200.0]])
    right = (pitch_hz.clamp_min(1).log() - 5.1) / 0.5
    numbers = torch.stack(
        (right + torch.tensor([9.0, 0.2, 0.2]), torch.tensor([[-50.0, 50.0, 50.0]])), -1
    )
    off, entropy = codec.pitch_distance(numbers, pitch_hz)
    assert abs(off.item() - 0.1) < 1e-5
    assert entropy < 1e-6


def test_the_codec_is_trained_and_saved_as_the_service_loads_it(data: Path, tmp_path: Path) -> None:
    (tmp_path / "speech").symlink_to(data / "speech")
    codec.main(["--data", str(tmp_path), "--steps", "1"])
    folder = tmp_path / "codec"
    encoder = load_encoder(folder / WEIGHTS[0])
    codes = encoder.encode(np.zeros(4800, np.float32))
    assert codes.shape == (10, 1)
    (samples,) = torch_codec(read_decoder((folder / WEIGHTS[1]).read_bytes())).decode(
        [CodeWindow(codes)]
    )
    assert len(samples) == 4800


def test_a_codec_goes_on_from_weights_without_changing_its_codes(
    data: Path, tmp_path: Path
) -> None:
    (tmp_path / "speech").symlink_to(data / "speech")
    codec.main(["--data", str(tmp_path), "--steps", "1"])
    first = {name: (tmp_path / "codec" / name).read_bytes() for name in WEIGHTS}
    start = tmp_path / "start"
    (tmp_path / "codec").rename(start)
    codec.main(["--data", str(tmp_path), "--steps", "2", "--start", str(start), "--keep-encoder"])
    assert (tmp_path / "codec" / WEIGHTS[0]).read_bytes() == first[WEIGHTS[0]]
    assert (tmp_path / "codec" / WEIGHTS[1]).read_bytes() != first[WEIGHTS[1]]


def test_one_batch_is_learnt(data: Path) -> None:
    torch.manual_seed(0)
    both, distance, batch = codec.TrainedCodec(), codec.SpectralDistance(), drawn(data)
    optimiser = torch.optim.AdamW(both.parameters(), lr=1e-3)
    losses: list[float] = []
    for _ in range(6):
        made = both(batch)
        loss = (
            distance(made.samples, batch.samples)
            + codec.pitch_distance(made.pitch_numbers, batch.pitch_hz)[0]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


def test_silence_has_one_code_away_from_its_edges(data: Path) -> None:
    codes = load_encoder(data / "codec" / WEIGHTS[0]).encode(np.zeros(60 * 480, np.float32))
    assert len(np.unique(codes[15:-15])) == 1
