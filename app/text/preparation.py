"""Prepare text for speech: clean it, normalize it and split it at pauses."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import EmptyInput, InputTooLong
from app.text.clean import clean, clean_markup
from app.text.markdown import strip_unpaired_marks
from app.text.pauses import PausedText, split_at_pauses
from app.text.pronunciations import Pronunciations
from text_normaliser import normalise
from text_normaliser.detect import Language, LanguageChoice

READ_AHEAD: tuple[Language, ...] = ("en", "ms", "zh", "ta")


@dataclass(frozen=True, slots=True)
class NormalisationOptions:
    """Options of the normalization: `normalize` enables it, `language` selects its rules."""

    normalize: bool
    language: LanguageChoice = "auto"


class TextPreparation:
    """Prepares texts. The lexicon is applied before the rules, which never see its words."""

    def __init__(self, most_characters: int, pronunciations: Pronunciations) -> None:
        self.most_characters = most_characters
        self._pronunciations = pronunciations

    def warm(self) -> None:
        """Compile the rules of all languages, which would delay their first texts by 60 ms."""
        for language in READ_AHEAD:
            normalise("1", language)

    def passages(self, text: str, normalisation: NormalisationOptions) -> list[PausedText]:
        """Split a text at its pauses and normalize it.

        The last passage is empty and holds the trailing pause.

        Raises:
            InputTooLong: the text exceeds MAX_INPUT_CHARACTERS.
            EmptyInput: the text has no letters or digits.
            UnsupportedValue: pauses are too long.
        """
        if len(text) > self.most_characters:
            message = f"input is longer than {self.most_characters} characters"
            raise InputTooLong(message, param="input")
        found: list[PausedText] = []
        silence_s = 0.0
        for paused_text in split_at_pauses(text):
            silence_s += paused_text.pause_s
            if any(map(str.isalnum, paused_text.text)):
                found.append(PausedText(silence_s, self._prepare(paused_text.text, normalisation)))
                silence_s = 0.0
        if not found:
            raise EmptyInput("input has no letter or digit to speak", param="input")
        return [*found, PausedText(silence_s, "")]

    def text(self, text: str, normalisation: NormalisationOptions) -> str:
        """Return the prepared text in one piece, with its pauses as tags."""
        spoken = self.passages(text, normalisation)
        pauses = [
            f"[pause:{round(paused_text.pause_s * 1000)}ms]" if paused_text.pause_s else ""
            for paused_text in spoken
        ]
        words = zip(pauses, (paused_text.text for paused_text in spoken), strict=True)
        return " ".join(word for pair in words for word in pair if word)

    def sentence(self, text: str, normalisation: NormalisationOptions) -> str:
        """Prepare a sentence of a text that is still being received. Empty if it has no words."""
        if not any(map(str.isalnum, text)):
            return ""
        try:
            return self._prepare(
                strip_unpaired_marks(text) if normalisation.normalize else text, normalisation
            )
        except EmptyInput:
            return ""

    def _prepare(self, text: str, normalisation: NormalisationOptions) -> str:
        cleaned = self._pronunciations.apply(clean_markup(text, normalize=normalisation.normalize))
        if len(cleaned) > 2 * self.most_characters:  # NFKC expands a character to up to 18
            message = "input is too long after Unicode normalization (NFKC) and the lexicon"
            raise InputTooLong(message, param="input")
        return clean(
            normalise(cleaned, normalisation.language) if normalisation.normalize else cleaned
        )
