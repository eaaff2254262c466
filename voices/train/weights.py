"""Files of weights: those that ship, those that the commands have just made, and how they are written."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import save
from torch import nn

ROOT = Path(__file__).parents[2]
SERVED = ROOT / "app" / "voices"  # loaded by the service
TRAINING = ROOT / "voices" / "weights"  # loaded by training and export alone


@dataclass(frozen=True, slots=True)
class Weights:
    """One file for each network."""

    encoder: Path = TRAINING / "codec_encoder.safetensors"
    decoder: Path = SERVED / "codec_decoder.safetensors"
    language_model: Path = TRAINING / "language_model.safetensors"
    token_model: Path = SERVED / "token_model.safetensors"

    def facts(self) -> dict[str, dict[str, str | int]]:
        """Size, parameters and checksum of every file that exists."""
        files = {name: Path(path) for name, path in asdict(self).items()}
        return {name: facts_of(path) for name, path in files.items() if path.exists()}


def trained_weights(data: Path) -> Weights:
    """What lies in the data folder; what ships where nothing does."""
    folders = {"encoder": "codec", "decoder": "codec", "language_model": "lm", "token_model": "nar"}
    shipped = asdict(Weights())
    trained = {name: data / folder / shipped[name].name for name, folder in folders.items()}
    return Weights(
        **{name: path if path.exists() else shipped[name] for name, path in trained.items()}
    )


def save_weights(model: nn.Module, path: Path, header: Mapping[str, str] | None = None) -> None:
    """float16, as the service reads it, with `header` as the file's metadata."""
    state = {name: value.half().cpu().contiguous() for name, value in model.state_dict().items()}
    path.write_bytes(save(state, dict(header) if header else None))


def facts_of(path: Path) -> dict[str, str | int]:
    """A safetensors file begins with the length of its header, which lists the tensors."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    header.pop("__metadata__", None)
    return {
        "file": path.name,
        "bytes": len(content),
        "parameters": sum(math.prod(tensor["shape"]) for tensor in header.values()),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
