"""Sources of weights: a folder, the hub's cache, the hub."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest

from app.codec.hub import CodecWeightsError, find_file


def test_a_folder_gives_the_first_name_it_has(tmp_path: Path) -> None:
    (tmp_path / "second").touch()
    assert find_file(str(tmp_path), "first", "second") == tmp_path / "second"
    (tmp_path / "first").touch()
    assert find_file(str(tmp_path), "first", "second") == tmp_path / "first"


def test_a_file_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "other.bin"
    path.touch()
    assert find_file(str(path), "model.safetensors") == path


@pytest.mark.parametrize("weights", ["/no/such/folder", "./nowhere", "~/no-such-folder-of-weights"])
def test_a_path_that_is_not_there(weights: str) -> None:
    with pytest.raises(CodecWeightsError, match="no such file or folder"):
        find_file(weights, "model.safetensors")


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(
        CodecWeightsError, match=r"the folder has no model\.safetensors or pytorch_model\.bin"
    ):
        find_file(str(tmp_path), "model.safetensors", "pytorch_model.bin")


def test_an_unreachable_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CodecWeightsError, match="the hub cannot be reached") as caught:
        find_file("neuphonic/neucodec", "model.safetensors", "pytorch_model.bin")
    assert "\n" not in str(caught.value)


def test_a_name_that_no_repository_can_have() -> None:
    with pytest.raises(CodecWeightsError, match="neither a folder nor a repository"):
        find_file("not a/repository/at all", "model.safetensors")


def test_a_cached_copy_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--some--codec"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / "pytorch_model.bin").touch()
    assert (
        find_file("some/codec", "model.safetensors", "pytorch_model.bin")
        == snapshot / "pytorch_model.bin"
    )
