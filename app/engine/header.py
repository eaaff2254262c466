"""What the header of a safetensors file says beside its tensors."""

from __future__ import annotations

import json
from typing import cast


def metadata_of(weights: bytes) -> dict[str, str]:
    """The metadata of a file that has some: 8 bytes of length, then a header of JSON."""
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    return cast(dict[str, str], header["__metadata__"])


def phoneme_ids(weights: bytes) -> dict[str, int]:
    """The phoneme table in the header of the one-pass model's file; the language model has the same."""
    return cast(dict[str, int], json.loads(metadata_of(weights)["phonemes"]))
