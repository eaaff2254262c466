"""How long the speech of a text lasts: bounds outside of which it is not that text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from app.speech.sentences import spoken_length

LONGEST_EXTRA_S = (
    5.0  # beyond its text's share: a short text may be said slowly, between two silences
)
SHORTEST_S = 2.0  # expected speech below which a text is too short to be missed
SIGN_LETTERS = 8  # of the name of a sign such as ∑ or ½
QUICKEST = 1.5  # times its usual pace, the most at which a voice speaks
NAME_LETTERS = 5  # more than one, of the name of a letter that stands alone, as in "w, x, y"
_LONE_LETTER = re.compile(r"(?<![^\W_])[^\W\d_](?![^\W_])")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and most frames of codes that the speech of a text can honestly have, and how many it has as a rule."""

    least_frames: int
    most_frames: int
    expected_frames: int = 0


ANY_LENGTH = Bounds(0, 2**31)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a model speaks: `characters_per_s` as a rule, and by which factors an honest answer may be off.

    `longest` and `shortest` are times the length that the rule gives; `shortest` 0 allows any.
    """

    characters_per_s: float
    frames_per_s: float
    longest: float
    shortest: float

    def bounds(self, text: str) -> Bounds:
        """Of the speech of `text`."""
        letters = (
            spoken_length(text)
            + NAME_LETTERS * len(_LONE_LETTER.findall(text))
            + SIGN_LETTERS * _signs(text)
        )
        expected_s = letters / self.characters_per_s
        most_s = LONGEST_EXTRA_S + self.longest * expected_s
        surely_s = sum(map(str.isalnum, text)) / self.characters_per_s
        least_s = self.shortest * surely_s if surely_s >= SHORTEST_S else 0.0
        return Bounds(
            least_frames=int(least_s * self.frames_per_s),
            most_frames=round(most_s * self.frames_per_s),
            expected_frames=round(expected_s * self.frames_per_s),
        )

    def quickest_s(self, text: str) -> float:
        """Least seconds that the speech of `text` takes: signs may be left unsaid, capitals may be a shouted word's."""
        spoken = "".join(filter(str.isalnum, text)).lower()
        return spoken_length(spoken) / self.characters_per_s / QUICKEST


def _signs(text: str) -> int:
    """Signs beyond ASCII; `spoken_length` knows the others."""
    return (
        0
        if text.isascii()
        else sum(unicodedata.category(sign)[0] == "S" for sign in text if sign > "\x7f")
    )
