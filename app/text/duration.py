"""Bounds on the duration of a text's speech, outside of which it is speech of another text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from app.text.split import spoken_length

# Seconds added to the upper bound: a short text may be spoken slowly, between two silences.
LONGEST_EXTRA_S = 5.0
SHORTEST_S = 2.0  # seconds of expected speech below which there is no lower bound
SIGN_LETTERS = 8  # letters in the name of a sign such as ∑ or ½
QUICKEST = 1.5  # fastest speech of a voice, as a multiple of its usual rate
NAME_LETTERS = 5  # extra letters in the name of a letter that stands alone, as in "w, x, y"
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

    `longest` and `shortest` are multiples of the typical duration. `shortest` 0 sets no bound.
    """

    characters_per_s: float
    frames_per_s: float
    longest: float
    shortest: float

    def bounds(self, text: str) -> DurationBounds:
        """Return the bounds for the speech of `text`."""
        letters = (
            spoken_length(text)
            + NAME_LETTERS * len(_LONE_LETTER.findall(text))
            + SIGN_LETTERS * _signs(text)
        )
        expected_s = letters / self.characters_per_s
        most_s = LONGEST_EXTRA_S + self.longest * expected_s
        surely_s = sum(map(str.isalnum, text)) / self.characters_per_s
        least_s = self.shortest * surely_s if surely_s >= SHORTEST_S else 0.0
        return DurationBounds(
            min_frames=int(least_s * self.frames_per_s),
            max_frames=round(most_s * self.frames_per_s),
            expected_frames=round(expected_s * self.frames_per_s),
        )

    def min_expected_s(self, text: str) -> float:
        """Return the least seconds that the speech of `text` takes.

        Signs do not count, since a model may skip them. Capitals count as lower case, since they
        may be a shouted word.
        """
        spoken = "".join(filter(str.isalnum, text)).lower()
        return spoken_length(spoken) / self.characters_per_s / QUICKEST


def _signs(text: str) -> int:
    """Return the number of signs outside ASCII. `spoken_length` counts those within."""
    if text.isascii():
        return 0
    return sum(unicodedata.category(sign)[0] == "S" for sign in text if sign > "\x7f")
