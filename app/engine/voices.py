"""The voices of the built-in models.

The language model is told the voice by a token of its own (their order here); the one-pass model by the
phoneme id that stands before and after the phonemes, which is 0 for the first voice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "voices"
TOKEN_MODEL = (
    FOLDER / "token_model.safetensors"
)  # its header holds the phoneme table of both models

VOICES = ("lark", "heron")
PADS: Mapping[str, int] = {"lark": 0, "heron": 176}


def padded(ids: Sequence[int], voice: str) -> list[int]:
    """Phoneme ids with the voice's own pads in the pads' places.

    Raises KeyError for a voice that is not in `VOICES`.
    """
    return [PADS[voice], *ids[1:-1], PADS[voice]]
