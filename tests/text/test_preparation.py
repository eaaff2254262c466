"""The preparation of a text: pronunciations before the rules, the rules of its language, pauses."""

from __future__ import annotations

import pytest

from app.errors import EmptyInput, InputTooLong
from app.text.pauses import PausedText
from app.text.preparation import NormalisationOptions, TextPreparation
from app.text.pronunciations import Pronunciations

RULES = NormalisationOptions(normalize=True)
PREPARATION = TextPreparation(100, Pronunciations([("Maxis", "mack siss"), ("4G", "four gee")]))


@pytest.mark.parametrize(
    ("language", "spoken"),
    [("en", "one hundred five"), ("ms", "seratus lima"), ("zh", "一百零五"), ("ta", "நூற்று ஐந்து")],
)
def test_the_rules_are_those_of_the_language(language: str, spoken: str) -> None:
    options = NormalisationOptions(normalize=True, language=language)  # type: ignore[arg-type]
    assert PREPARATION.text("105", options).casefold() == spoken


@pytest.mark.parametrize("normalize", [True, False])
def test_pronunciations_are_applied_before_the_rules_and_without_them(normalize: bool) -> None:
    text = PREPARATION.text("Maxis has 4G.", NormalisationOptions(normalize))
    assert text == "mack siss has four gee."


def test_a_text_is_split_at_its_pauses() -> None:
    text = "[pause:1s] Pay RM5. [pause:200ms] ... [pause:300ms] Thanks. [pause:2s]"
    assert PREPARATION.paused_texts(text, RULES) == [
        PausedText(1.0, "Pay five ringgit."),
        PausedText(0.5, "Thanks."),
        PausedText(2.0, ""),
    ]
    assert PREPARATION.text(text, RULES) == (
        "[pause:1000ms] Pay five ringgit. [pause:500ms] Thanks. [pause:2000ms]"
    )


@pytest.mark.parametrize("text", ["", " ... ", "[pause:1s]"])
def test_a_text_without_words_is_rejected(text: str) -> None:
    with pytest.raises(EmptyInput):
        PREPARATION.text(text, RULES)
    assert PREPARATION.sentence("...", RULES) == ""


@pytest.mark.parametrize(
    "text", ["a" * 101, "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 100]
)
def test_a_text_that_is_too_long_is_rejected_also_after_its_expansion(text: str) -> None:
    with pytest.raises(InputTooLong):
        PREPARATION.text(text, RULES)
