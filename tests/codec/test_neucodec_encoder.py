"""NeuCodec's encoder equals a plain call of transformers' network."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import NeuCodecModel, SeamlessM4TFeatureExtractor

from app.audio.samples import Samples
from app.codec.neucodec.encoder import NeuCodecEncoder, load_encoder
from app.errors import LoadError


def sound(samples: int) -> Samples:
    time_s = np.arange(samples) / 16_000
    return (0.3 * np.sin(2 * np.pi * (200 + 300 * time_s) * time_s)).astype(np.float32)


@pytest.fixture(scope="module")
def encoder() -> NeuCodecEncoder:
    return load_encoder("random", "cpu")


@pytest.fixture(scope="module")
def saved(encoder: NeuCodecEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("neucodec")
    encoder._model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("samples", [16_000, 16_001, 31_999, 47_000])
def test_a_second_is_fifty_codes(encoder: NeuCodecEncoder, samples: int) -> None:
    codes = encoder.encode(sound(samples))
    assert abs(len(codes) - samples / 320) <= 1
    assert all(0 <= code < 65_536 for code in codes)
    assert len(set(codes)) > 5
    assert encoder.encode(sound(samples)) == codes


@pytest.mark.parametrize("samples", [16_000, 16_319, 16_320])
def test_our_call_is_transformers_own(encoder: NeuCodecEncoder, samples: int) -> None:
    """Sound padded by one sample and then to whole hops, features of it as they come, no masks."""
    padded = np.zeros((samples // 320 + 1) * 320, np.float32)
    padded[:samples] = sound(samples)
    features = SeamlessM4TFeatureExtractor(padding_value=1.0)(
        padded, sampling_rate=16_000, return_tensors="pt"
    )
    assert features["attention_mask"].all()
    with torch.inference_mode():
        expected = encoder._model.encode(
            torch.from_numpy(padded)[None, None],
            features["input_features"],
            padding_mask=torch.ones(1, len(padded)),
            input_features_mask=features["attention_mask"],
        )
    assert encoder.encode(sound(samples)) == tuple(expected.audio_codes.flatten().tolist())


def test_another_sound_has_other_codes(encoder: NeuCodecEncoder) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert encoder.encode(noise) != encoder.encode(sound(16_000))


def test_weights_are_read_from_a_folder_without_the_decoder(
    encoder: NeuCodecEncoder, saved: Path
) -> None:
    loaded = load_encoder(str(saved), "cpu")
    assert loaded.encode(sound(16_000)) == encoder.encode(sound(16_000))
    assert not hasattr(loaded._model, "acoustic_decoder")


def test_a_missing_tensor_is_an_error_and_not_noise(saved: Path, tmp_path: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    del tensors["fc_encoder.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((saved / "config.json").read_bytes())
    with pytest.raises(LoadError, match=r"has no tensor fc_encoder\.weight"):
        load_encoder(str(tmp_path), "cpu")


@pytest.mark.parametrize(
    ("missing", "wanted"), [("config.json", "config.json"), ("model.safetensors", "safetensors")]
)
def test_a_folder_in_another_layout_is_named(
    saved: Path, tmp_path: Path, missing: str, wanted: str
) -> None:
    for name in {"config.json", "model.safetensors"} - {missing}:
        (tmp_path / name).symlink_to(saved / name)
    with pytest.raises(LoadError, match=wanted) as caught:
        load_encoder(str(tmp_path), "cpu")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_file_is_named(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to(saved / "config.json")
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(LoadError, match="not NeuCodec"):
        load_encoder(str(tmp_path), "cpu")


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: object, **kwargs: object) -> object:
        if name == "transformers":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(LoadError, match=r"speech-server\[clone\]"):
        load_encoder("random", "cpu")


def test_the_network_is_transformers_model(encoder: NeuCodecEncoder) -> None:
    assert isinstance(encoder._model, NeuCodecModel)
    assert not encoder._model.training
