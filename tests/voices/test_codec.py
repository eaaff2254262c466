from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from app.codec import CodeWindow
from app.codec.builtin_encoder import quantise
from voices.train import codec
from voices.train.encode import load_encoder
from voices.train.evaluate import load_codec
from voices.train.utterances import SpeechSet


def test_rounding_the_bounded_number_is_what_the_encoder_does() -> None:
    latent = torch.linspace(-6, 6, 1001)
    assert torch.equal(codec.bound(latent).round().long() + 2, quantise(latent))


def test_the_decoder_hears_the_codes_and_the_encoder_its_gradient(data: Path) -> None:
    torch.manual_seed(0)
    both = codec.TrainedCodec()
    target = codec.cut(SpeechSet(data / "speech", "train").samples(), np.random.default_rng(0), torch.device("cpu"))
    made = both(target[:2])
    digits = both.encoder(target[:2])
    codes = codec.codes_of(digits)
    decoder = codec.Decoder()
    decoder.load_state_dict(both.decoder.state_dict())
    assert torch.allclose(decoder(codes, torch.ones_like(codes, dtype=torch.bool)), made, atol=1e-5)
    made.square().mean().backward()
    assert both.encoder.embed.weight.grad is not None
    assert bool(both.encoder.embed.weight.grad.abs().max() > 0)


def test_the_same_sound_is_at_no_distance(data: Path) -> None:
    sound = codec.cut(SpeechSet(data / "speech", "train").samples(), np.random.default_rng(0), torch.device("cpu"))[:2]
    distance = codec.SpectralLoss()
    assert distance(sound, sound) == 0
    assert distance(0.5 * sound, sound) < distance(0.1 * sound, sound)


def test_the_codec_is_trained_and_saved_as_the_service_loads_it(data: Path, tmp_path: Path) -> None:
    (tmp_path / "speech").symlink_to(data / "speech")
    codec.main(["--data", str(tmp_path), "--steps", "1"])
    folder = tmp_path / "codec"
    encoder = load_encoder(folder / "codec_encoder.safetensors")
    codes = encoder.encode(np.zeros(4800, np.float32))
    assert codes.shape == (10, 1)
    (samples,) = load_codec(folder / "codec_decoder.safetensors").decode([CodeWindow(codes)])
    assert len(samples) == 4800


def test_one_batch_is_learnt(data: Path) -> None:
    torch.manual_seed(0)
    both, distance = codec.TrainedCodec(), codec.SpectralLoss()
    sound = codec.cut(SpeechSet(data / "speech", "train").samples(), np.random.default_rng(0), torch.device("cpu"))[:2]
    optimiser = torch.optim.AdamW(both.parameters(), lr=1e-3)
    losses: list[float] = []
    for _ in range(6):
        loss = distance(both(sound), sound)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]
