from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from app.codec.hub import CodecWeightsError
from app.codec.weights import draw_tensors, pick_dtype, read_tensors

TENSORS = {"decoder.a": torch.ones(3), "encoder.b": torch.zeros(2)}


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "legacy.bin"])
def test_only_the_wanted_tensors_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "model.safetensors":
        save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=name != "legacy.bin")
    tensors = read_tensors(path, ("decoder.", "quantizer."))
    assert list(tensors) == ["decoder.a"]
    assert torch.equal(tensors["decoder.a"], torch.ones(3))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1", b"\x80\x02}q\x00."]
)
def test_a_file_that_holds_no_tensors(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CodecWeightsError) as caught:
        read_tensors(tmp_path / name, ("decoder.",))
    assert str(tmp_path / name) in str(caught.value)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "pytorch_model.bin")
    with pytest.raises(CodecWeightsError, match="not a readable file of weights"):
        read_tensors(tmp_path / "pytorch_model.bin", ("weight",))


def test_a_checkpoint_of_something_else(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    with pytest.raises(
        CodecWeightsError, match=r"has no tensor named generator\.\* or fc_post_a\.\*"
    ):
        read_tensors(tmp_path / "model.safetensors", ("generator.", "fc_post_a."))


def test_random_weights_are_seeded_and_announced(caplog: pytest.LogCaptureFixture) -> None:
    module = nn.Sequential(nn.Linear(400, 300), nn.LayerNorm(300))
    with caplog.at_level(logging.WARNING):
        first, second = draw_tensors(module, seed=1), draw_tensors(module, seed=1)
    assert "RANDOM CODEC WEIGHTS" in caplog.text
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["0.weight"], draw_tensors(module, seed=2)["0.weight"])
    assert first["0.weight"].std().item() == pytest.approx(400**-0.5, rel=0.05)
    assert first["1.weight"].unique().tolist() == [1.0]


@pytest.mark.parametrize(
    ("setting", "capability", "expected"),
    [
        ("float32", "avx512_bf16", torch.float32),
        ("bfloat16", "none", torch.bfloat16),
        ("auto", "avx512_bf16", torch.bfloat16),
        ("auto", "amx_bf16", torch.bfloat16),
        ("auto", "avx2", torch.float32),
    ],
)
def test_auto_is_bfloat16_where_the_cpu_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, setting: str, capability: str, expected: torch.dtype
) -> None:
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {capability: True, "architecture": "x86_64"}
    )
    assert pick_dtype(setting, "cpu") is expected
