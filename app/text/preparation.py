"""Preparation of text for speech: cleaning, pronunciations, normalization and pauses."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import EmptyInput, InputTooLong
from app.text.clean import clean, clean_markup
from app.text.markdown import strip_unpaired_marks
from app.text.pauses import PausedText, split_at_pauses
from app.text.pronunciations import Pronunciations
from text_normaliser import normalise
from text_normaliser.detect import Language, LanguageChoice

WARMED_LANGUAGES: tuple[Language, ...] = ("en", "ms", "zh", "ta")


@dataclass(frozen=True, slots=True)
class NormalisationOptions:
    """Options of the normalization: `normalize` enables it, `language` selects its rules."""

    normalize: bool
    language: LanguageChoice = "auto"


class TextPreparation:
    """Prepares texts. Pronunciations are applied before the rules, which never see their words."""

    def __init__(self, max_characters: int, pronunciations: Pronunciations) -> None:
        self.max_characters = max_characters
        self._pronunciations = pronunciations

    def warm(self) -> None:
        """Compile the rules of all languages, which would delay their first texts by 60 ms."""
        for language in WARMED_LANGUAGES:
            normalise("1", language)

    def paused_texts(self, text: str, normalisation: NormalisationOptions) -> list[PausedText]:
        """Split a text at its pauses and normalize it.

        The last text is empty and holds the trailing pause.

        Raises:
            InputTooLong: the text exceeds MAX_INPUT_CHARACTERS.
            EmptyInput: the text has no letters or digits.
            UnsupportedValue: pauses are too long.
        """
        if len(text) > self.max_characters:
            message = f"input is longer than {self.max_characters} characters"
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
        words: list[str] = []
        for paused_text in self.paused_texts(text, normalisation):
            if paused_text.pause_s:
                words.append(f"[pause:{round(paused_text.pause_s * 1000)}ms]")
            if paused_text.text:
                words.append(paused_text.text)
        return " ".join(words)

    def sentence(self, text: str, normalisation: NormalisationOptions) -> str:
        """Prepare a sentence of a text that is still being received. Empty if it has no words."""
        if not any(map(str.isalnum, text)):
            return ""
        if normalisation.normalize:
            text = strip_unpaired_marks(text)
        try:
            return self._prepare(text, normalisation)
        except EmptyInput:
            return ""

    def _prepare(self, text: str, normalisation: NormalisationOptions) -> str:
        cleaned = self._pronunciations.apply(clean_markup(text, normalize=normalisation.normalize))
        if len(cleaned) > 2 * self.max_characters:  # NFKC expands a character to up to 18
            message = "input is too long after Unicode normalization (NFKC) and PRONUNCIATIONS"
            raise InputTooLong(message, param="input")
        if normalisation.normalize:
            cleaned = normalise(cleaned, normalisation.language)
        return clean(cleaned)  # again, because pronunciations and rules insert text
