"""Weights files: those in the repository, and those in a data folder."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import save
from torch import nn

ROOT = Path(__file__).parents[1]
SERVED = ROOT / "app" / "weights"  # weights that the service loads
TRAINING = ROOT / "training" / "weights"  # weights for training and export alone


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights file of each network."""

    encoder: Path = TRAINING / "codec_encoder.safetensors"
    decoder: Path = TRAINING / "codec_decoder.safetensors"
    language_model: Path = TRAINING / "language_model.safetensors"
    token_model: Path = TRAINING / "token_model.safetensors"

    def facts(self) -> dict[str, dict[str, str | int]]:
        """Return size, number of parameters and checksum of each existing file."""
        files = {name: Path(path) for name, path in asdict(self).items()}
        return {name: facts_of(path) for name, path in files.items() if path.exists()}


def trained_weights(data: Path) -> Weights:
    """Return the files in the data folder, and those in the repository for all others."""
    folders = {"encoder": "codec", "decoder": "codec", "language_model": "lm", "token_model": "nar"}
    shipped = asdict(Weights())
    trained = {name: data / folder / shipped[name].name for name, folder in folders.items()}
    return Weights(
        **{name: path if path.exists() else shipped[name] for name, path in trained.items()}
    )


def save_weights(model: nn.Module, path: Path, header: Mapping[str, str] | None = None) -> None:
    """Write a model in float16, with `header` as the file's metadata."""
    state = {name: value.half().cpu().contiguous() for name, value in model.state_dict().items()}
    path.write_bytes(save(state, dict(header) if header else None))


def facts_of(path: Path) -> dict[str, str | int]:
    """Return the facts about a safetensors file, which lists its tensors in a JSON header."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    header.pop("__metadata__", None)
    return {
        "file": path.name,
        "bytes": len(content),
        "parameters": sum(math.prod(tensor["shape"]) for tensor in header.values()),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
