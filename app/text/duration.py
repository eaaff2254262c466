"""Bounds on the duration of a text's speech. Speech outside of them is of another text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from app.text.split import spoken_length

# Seconds added to the upper bound: a short text may be spoken slowly, between two silences.
EXTRA_S = 5.0
LOWER_BOUND_S = 2.0  # seconds of expected speech below which there is no lower bound
SIGN_LETTERS = 8  # letters in the name of a sign such as ∑ or ½
FASTEST_RATE = 1.5  # fastest speech of a voice, as a multiple of its usual rate
LETTER_NAME_LETTERS = 5  # extra letters in the name of a letter that stands alone: "w, x, y"
_LONE_LETTER = re.compile(r"(?<![^\W_])[^\W\d_](?![^\W_])")


@dataclass(frozen=True, slots=True)
class DurationBounds:
    """Minimum, maximum and typical number of frames in the speech of a text."""

    min_frames: int
    max_frames: int
    expected_frames: int = 0


ANY_LENGTH = DurationBounds(0, 2**31)


@dataclass(frozen=True, slots=True)
class SpeechRate:
    """Typical speech rate of a model, and the deviations that are accepted.

    `max_factor` and `min_factor` are multiples of the typical duration. A `min_factor` of 0 sets
    no bound.
    """

    characters_per_s: float
    frames_per_s: float
    max_factor: float
    min_factor: float

    def bounds(self, text: str) -> DurationBounds:
        """Return the bounds for the speech of `text`."""
        letters = (
            spoken_length(text)
            + LETTER_NAME_LETTERS * len(_LONE_LETTER.findall(text))
            + SIGN_LETTERS * _signs(text)
        )
        expected_s = letters / self.characters_per_s
        max_s = EXTRA_S + self.max_factor * expected_s
        # A model may skip punctuation and signs, so only letters and digits count here.
        words_s = sum(map(str.isalnum, text)) / self.characters_per_s
        min_s = self.min_factor * words_s if words_s >= LOWER_BOUND_S else 0.0
        return DurationBounds(
            min_frames=int(min_s * self.frames_per_s),
            max_frames=round(max_s * self.frames_per_s),
            expected_frames=round(expected_s * self.frames_per_s),
        )

    def min_expected_s(self, text: str) -> float:
        """Return the minimum duration of the speech of `text`, in seconds.

        Signs do not count, since a model may skip them. Capitals count as lower case, since they
        may be a shouted word.
        """
        spoken = "".join(filter(str.isalnum, text)).lower()
        return spoken_length(spoken) / self.characters_per_s / FASTEST_RATE


def _signs(text: str) -> int:
    """Return the number of signs outside ASCII. `spoken_length` counts those within."""
    if text.isascii():
        return 0
    return sum(unicodedata.category(sign)[0] == "S" for sign in text if sign > "\x7f")
