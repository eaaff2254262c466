"""What a request's text becomes before it is spoken: cleaned, put into words, parted at its pauses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.request_errors import EmptyInput, InputTooLong
from app.speech.lexicon import Lexicon
from app.speech.markdown import without_halves
from app.speech.normalise import normalise
from app.speech.normalise.detect import Language
from app.speech.pauses import Passage, passages
from app.speech.text import clean, prepare

LanguageChoice = Language | Literal["auto"]
READ_AHEAD: tuple[Language, ...] = ("en", "ms", "zh", "ta")


@dataclass(frozen=True, slots=True)
class Manner:
    """How a text is read: `normalize` puts it into words, by the rules of `language`."""

    normalize: bool
    language: LanguageChoice = "auto"


class Wording:
    """The texts of a service. Words of the lexicon are replaced first, so the rules never see them."""

    def __init__(self, most_characters: int, lexicon: Lexicon) -> None:
        self.most_characters = most_characters
        self._lexicon = lexicon

    def warm(self) -> None:
        """The first text of a language compiles its rules: 60 ms in all."""
        for language in READ_AHEAD:
            normalise("1", language)

    def passages(self, text: str, manner: Manner) -> list[Passage]:
        """What is to be spoken, as it is to be spoken; the last passage is empty, and holds the closing pause.

        Raises:
            InputTooLong: more than MAX_INPUT_CHARACTERS.
            EmptyInput: nothing to speak.
            UnsupportedValue: pauses that are too long.
        """
        if len(text) > self.most_characters:
            raise InputTooLong(
                f"input is longer than {self.most_characters} characters", param="input"
            )
        found: list[Passage] = []
        silence_s = 0.0
        for passage in passages(text):
            silence_s += passage.pause_s
            if any(map(str.isalnum, passage.text)):
                found.append(Passage(silence_s, self._worded(passage.text, manner)))
                silence_s = 0.0
        if not found:
            raise EmptyInput("input holds nothing to speak", param="input")
        return [*found, Passage(silence_s, "")]

    def text(self, text: str, manner: Manner) -> str:
        """The same as one text, its pauses written out."""
        spoken = self.passages(text, manner)
        pauses = [
            f"[pause:{round(passage.pause_s * 1000)}ms]" if passage.pause_s else ""
            for passage in spoken
        ]
        words = zip(pauses, (passage.text for passage in spoken), strict=True)
        return " ".join(word for pair in words for word in pair if word)

    def sentence(self, text: str, manner: Manner) -> str:
        """A sentence of a text that is still being written; nothing where it says nothing."""
        if not any(map(str.isalnum, text)):
            return ""
        try:
            return self._worded(without_halves(text) if manner.normalize else text, manner)
        except EmptyInput:
            return ""

    def _worded(self, text: str, manner: Manner) -> str:
        cleaned = self._lexicon.apply(prepare(text, normalize=manner.normalize))
        if len(cleaned) > 2 * self.most_characters:  # one character can stand for eighteen in NFKC
            raise InputTooLong(
                "input is too long once its characters are written out", param="input"
            )
        return clean(normalise(cleaned, manner.language) if manner.normalize else cleaned)
