"""What a call centre writes, and how it is said; and that no text can do harm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.speech.normalise import english_short, malay_short, normalise, read_english
from app.speech.text import clean

PAIRS = [
    tuple(line.split("\t"))
    for line in Path(__file__)
    .with_name("normalise_english.tsv")
    .read_text(encoding="utf-8")
    .splitlines()
]
WRITTEN = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    "RM",
                    "$",
                    "1",
                    "12",
                    "007",
                    "1,250.50",
                    "9:30",
                    "am",
                    "p.m.",
                    "15/3/2026",
                    "2026-03-15",
                    "-",
                    "–",
                ),
                *(
                    " ",
                    " ",
                    " ",
                    ".",
                    ",",
                    ":",
                    "/",
                    "%",
                    "km",
                    "GB",
                    "No.",
                    "Dr.",
                    "A",
                    "B-12",
                    "@",
                    "example.com",
                ),
                *(
                    "+60",
                    "#",
                    "https://",
                    "*",
                    "°C",
                    "x",
                    "SMS",
                    "U.S.",
                    "J.",
                    "Tan",
                    "the",
                    "March",
                    "IV",
                    "'s",
                ),
                *("(", ")", "٣", "²"),
            ]
        ),
        st.text(max_size=4),
    ),
    max_size=14,
).map("".join)
NASTY = {
    "digits": "1" * 100_000,
    "groups": "1,234" * 20_000,
    "thousands": "1" + ",234" * 25_000,
    "phones": "1-" * 50_000,
    "spaced digits": "12 " * 33_000,
    "dots": "1." * 50_000,
    "letters": "a" * 100_000,
    "capitals": "A" * 100_000,
    "codes": "A1-" * 33_000,
    "initials": "A." * 50_000,
    "hosts": "a." * 50_000,
    "mail": "a@" * 50_000,
    "local part": "a+" * 50_000 + "@",
    "url": "http://" + "a/" * 50_000,
    "www": "www." * 25_000,
    "signs": "RM" * 50_000,
    "stars": "*" * 100_000,
    "hash keys": "*1#" * 33_000,
    "slashes": "1/" * 50_000,
    "colons": "1:" * 50_000,
    "percent": "1%" * 50_000,
    "spaces": "1" + " " * 100_000 + "2",
    "hyphens": "-" * 100_000,
    "minus": "-1" * 50_000,
    "units": "1km" * 33_000,
    "abbreviations": "Dr. " * 25_000,
    "roman": "X" * 100_000,
    "plus": "+1" * 50_000,
    "joined": "A&" * 50_000,
}


def test_there_are_enough_sentences() -> None:
    assert len(PAIRS) == len(dict(PAIRS)) >= 300


@pytest.mark.parametrize(("written", "spoken"), PAIRS, ids=[written for written, _ in PAIRS])
def test_a_sentence_is_said_as_people_say_it(written: str, spoken: str) -> None:
    assert normalise(written) == spoken


@pytest.mark.parametrize("spoken", [spoken for written, spoken in PAIRS if spoken != written])
def test_what_is_spoken_already_stays(spoken: str) -> None:
    assert normalise(spoken) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Good afternoon, how are you today? Please hold the line.",
        "It's a well-known fact; isn't it (really)?",
        "Encik Ahmad, sila tunggu sebentar.",
        "请稍等 谢谢",
        "நன்றி, வணக்கம்",
        "สวัสดี 5",
    ],
)
def test_prose_and_other_scripts_are_the_same_object(text: str) -> None:
    assert normalise(text) is text


def test_a_voice_that_knows_only_english_reads_everything_as_english() -> None:
    assert read_english("Baki anda RM50, 请按 1") == "Baki anda fifty ringgit, 请按 one"


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read(text: str) -> None:
    normalise(text)


@settings(max_examples=200, deadline=None)
@given(WRITTEN)
@example("1" * 5_000)
@example("99:99 13/13/2026 0/0 1..2 RM RM. $ -- +-1 #")
def test_whatever_holds_numbers_comes_out_without_any(text: str) -> None:
    spoken = read_english(text)
    assert not re.search(r"\d", spoken)
    assert spoken == text or "  " not in spoken


@settings(max_examples=100, deadline=None)
@given(WRITTEN)
def test_cleaned_text_stays_clean(text: str) -> None:
    spoken = read_english(clean("a " + text))
    assert clean(spoken) == clean(clean(spoken))
    assert not re.search(r"<\||\|>", clean(spoken))


def unshortened(text: str) -> bool:
    """Whether there is no "vs" or "yg" in a text, which are read without any sign of it."""
    shorts = {*english_short.SHORT.dotted, *malay_short.SHORT.dotted, *malay_short.SHORT.worn}
    return shorts.isdisjoint(re.findall(r"[a-z]+", text))


@settings(deadline=None)
@given(
    st.text(alphabet=st.sampled_from("abcdefgh ijklmno,pqrstu'vwxyz?!éüñ"), max_size=200).filter(
        unshortened
    )
)
def test_text_without_digits_symbols_and_capitals_is_returned_unchanged(text: str) -> None:
    assert normalise(text) is text


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_hostile_texts_take_linear_time(text: str) -> None:
    """A rule that takes quadratic time would run into the time limit of every test."""
    assert not re.search(r"\d", read_english(text))
