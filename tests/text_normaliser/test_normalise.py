"""Texts of a call centre as spoken, and hostile texts."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.text.clean import clean
from tests.text_normaliser.pairs import read_pairs
from tests.timing import Repeated, assert_linear
from text_normaliser import english_short, malay_short, normalise, read_english

PAIRS = read_pairs("english")
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
    "digits": Repeated("1", 50_000),
    "groups": Repeated("1,234", 10_000),
    "thousands": Repeated(",234", 12_500, before="1"),
    "phones": Repeated("1-", 25_000),
    "spaced digits": Repeated("12 ", 16_500),
    "dots": Repeated("1.", 25_000),
    "letters": Repeated("a", 50_000),
    "capitals": Repeated("A", 50_000),
    "codes": Repeated("A1-", 16_500),
    "initials": Repeated("A.", 25_000),
    "hosts": Repeated("a.", 25_000),
    "mail": Repeated("a@", 25_000),
    "local part": Repeated("a+", 25_000, after="@"),
    "url": Repeated("a/", 25_000, before="http://"),
    "www": Repeated("www.", 12_500),
    "signs": Repeated("RM", 25_000),
    "stars": Repeated("*", 50_000),
    "hash keys": Repeated("*1#", 16_500),
    "slashes": Repeated("1/", 25_000),
    "colons": Repeated("1:", 25_000),
    "percent": Repeated("1%", 25_000),
    "spaces": Repeated(" ", 50_000, before="1", after="2"),
    "hyphens": Repeated("-", 50_000),
    "minus": Repeated("-1", 25_000),
    "units": Repeated("1km", 16_500),
    "abbreviations": Repeated("Dr. ", 12_500),
    "roman": Repeated("X", 50_000),
    "plus": Repeated("+1", 25_000),
    "joined": Repeated("A&", 25_000),
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
    """Return if a text has no "vs" or "yg", which are read without any sign of it."""
    shorts = {*english_short.SHORT.dotted, *malay_short.SHORT.dotted, *malay_short.SHORT.bare}
    return shorts.isdisjoint(re.findall(r"[a-z]+", text))


@settings(deadline=None)
@given(
    st.text(alphabet=st.sampled_from("abcdefgh ijklmno,pqrstu'vwxyz?!éüñ"), max_size=200).filter(
        unshortened
    )
)
def test_text_without_digits_symbols_and_capitals_is_returned_unchanged(text: str) -> None:
    assert normalise(text) is text


@pytest.mark.process
@pytest.mark.parametrize("hostile", NASTY.values(), ids=NASTY)
def test_hostile_texts_take_linear_time(hostile: Repeated) -> None:
    assert_linear(read_english, hostile)
    assert not re.search(r"\d", read_english(hostile.text(hostile.times)))
