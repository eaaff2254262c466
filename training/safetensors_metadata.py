"""Metadata in the header of a safetensors file."""

from __future__ import annotations

import json
from typing import cast


def safetensors_metadata(weights: bytes) -> dict[str, str]:
    """Read the metadata. The file begins with 8 bytes of length and a header in JSON."""
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    return cast(dict[str, str], header["__metadata__"])


def phoneme_ids(weights: bytes) -> dict[str, int]:
    """Read the phoneme table of the one-pass model's file. The language model uses the same."""
    return cast(dict[str, int], json.loads(safetensors_metadata(weights)["phonemes"]))
