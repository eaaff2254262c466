"""Voices that the models are trained on: the teacher's own, and a lower one derived from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from app.engine.embedded.voices import VOICES
from training.timbre import Timbre

TIMBRES: Mapping[str, Timbre] = {"lark": Timbre(), "heron": Timbre(pitch=0.62, formants=0.87)}
SHARES: Mapping[str, float] = {"lark": 0.6, "heron": 0.4}  # share of the sentences of each voice


def draw_voice(rng: np.random.Generator) -> str:
    """Draw a voice by its share."""
    return VOICES[rng.choice(len(VOICES), p=[SHARES[voice] for voice in VOICES])]
