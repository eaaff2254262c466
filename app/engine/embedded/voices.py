"""Voices of the built-in models.

The language model has a token for each voice, in the order of VOICES. For the one-pass model the
pad id before and after the phonemes selects the voice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

WEIGHTS = Path(__file__).parents[2] / "weights"

VOICES = ("lark", "heron")
VOICE_PAD_IDS: Mapping[str, int] = {"lark": 0, "heron": 176}


def add_voice_pads(ids: Sequence[int], voice: str) -> list[int]:
    """Replace the pads of phoneme ids by those of the voice.

    Raises:
        KeyError: the voice is not in `VOICES`.
    """
    return [VOICE_PAD_IDS[voice], *ids[1:-1], VOICE_PAD_IDS[voice]]


def read_phoneme_ids() -> dict[str, int]:
    """Read the phoneme table of both models."""
    return cast("dict[str, int]", json.loads((WEIGHTS / "phonemes.json").read_text("utf-8")))
