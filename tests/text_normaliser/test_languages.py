"""Malay, Mandarin and Tamil as spoken, the language of a sentence, and hostile texts."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.text_normaliser.pairs import read_pairs
from tests.timing import Repeated, assert_linear
from text_normaliser import normalise
from text_normaliser.detect import guess, languages

LANGUAGES = {"en": "english", "ms": "malay", "zh": "mandarin", "ta": "tamil"}
PAIRS = {language: read_pairs(name) for language, name in LANGUAGES.items()}
OTHERS = [(language, *pair) for language in ("ms", "zh", "ta") for pair in PAIRS[language]]
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
                    "pagi",
                    "petang",
                    "15/3/2026",
                    "2026-03-15",
                    "-",
                    "–",
                ),
                *(
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
                    "Pn.",
                    "A",
                    "B-12",
                    "@",
                    "example.com",
                    "ke-3",
                ),
                *(
                    "+60",
                    "#",
                    "https://",
                    "*",
                    "°C",
                    "hb",
                    "2",
                    "年",
                    "月",
                    "日",
                    "点",
                    "个",
                    "元",
                    "下午",
                    "ஆம்",
                    "க்கு",
                ),
                *(
                    "க்கு",
                    "மணி",
                    "–",
                    "நவம்பர்",
                    "தேதி",
                    "(",
                    ")",
                    "٣",
                    "²",
                    "buku2",
                    "1990-an",
                    "yg",
                    "jam 2030",
                ),
            ]
        ),
        st.text(max_size=4),
    ),
    max_size=14,
).map("".join)
NASTY = {
    "digits": Repeated("1", 50_000),
    "groups": Repeated("1,234", 10_000),
    "places": Repeated("ke-1", 12_500),
    "hours": Repeated("jam 2030 ", 5_500),
    "days": Repeated("1hb", 16_500),
    "doubled": Repeated("buku2", 10_000),
    "halves": Repeated("9 pagi - ", 5_500),
    "codes": Repeated("A1/", 16_500),
    "plates": Repeated("WXY 1234 ", 5_500),
    "towns": Repeated("50480 Kuala ", 4_000),
    "continental": Repeated("1.000,50", 6_000),
    "Chinese dates": Repeated("2026年1月1日", 5_000),
    "Chinese seams": Repeated("1个", 25_000),
    "Chinese numbers": Repeated("二", 50_000, after="1"),
    "spaces": Repeated(" ", 50_000, before="1", after="年"),
    "Tamil endings": Repeated("1ஆம்", 12_500),
    "Tamil months": Repeated("நவம்பர் 12 ", 4_000),
    "nothing between": Repeated("RM", 25_000),
}


def test_there_are_enough_sentences() -> None:
    least = {"en": 300, "ms": 300, "zh": 60, "ta": 60}
    assert all(
        len(PAIRS[language]) == len(dict(PAIRS[language])) >= count
        for language, count in least.items()
    )


@pytest.mark.parametrize(
    ("language", "written", "spoken"), OTHERS, ids=[written for _, written, _ in OTHERS]
)
def test_a_sentence_is_said_as_people_say_it(language: str, written: str, spoken: str) -> None:
    assert normalise(written) == spoken
    assert normalise(spoken) == spoken


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_by_itself_is_in_its_language(language: str) -> None:
    """At least 99 of 100; what a rule would read differently is told by the sentences above."""
    guesses = [languages([written])[0] for written, _ in PAIRS[language]]
    assert guesses.count(language) >= 0.99 * len(guesses)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Sila tunggu. RM50. OK.", "Sila tunggu. lima puluh ringgit. OK."),
        ("Please wait. RM50. OK.", "Please wait. fifty ringgit. OK."),
        ("RM50. Sila bayar sekarang.", "lima puluh ringgit. Sila bayar sekarang."),
        (
            "Baki anda RM5.  Thank you for calling, press 1.\n请按1。",
            "Baki anda lima ringgit.  Thank you for calling, press one.\n请按一。",
        ),
        (
            "Please transfer RM50 ke akaun saya.",
            "Please transfer lima puluh ringgit ke akaun saya.",
        ),
        ("Please pay RM50 at the kaunter.", "Please pay fifty ringgit at the kaunter."),
        ("สวัสดี 5 คน. Press 5.", "สวัสดี 5 คน. Press five."),
        ("Привет 5. 5 こんにちは 5。", "Привет 5. 5 こんにちは 5。"),
    ],
)
def test_each_sentence_is_read_in_its_own_language(text: str, spoken: str) -> None:
    assert normalise(text) == spoken


def test_a_sentence_that_tells_nothing_has_the_language_before_it_or_else_behind_it() -> None:
    assert languages(["OK. ", "Sila tunggu. ", "RM50. ", "你好。", "50 ", "สวัสดี", "5"]) == [
        *("ms", "ms", "ms", "zh", "zh"),
        *(None, "zh"),
    ]
    assert languages(["RM50"]) == ["en"]
    assert languages([]) == []


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("MR TAN 陈 is here", "en"),
        ("您的 tracking number 是 5", "zh"),
        ("KLCC இல் 5", "ta"),
        ("WhatsApp KLCC RM50", "unknown"),
        ("xin chào bạn, đây là tiếng Việt ạ", "other"),
        ("안녕하세요 5", "other"),
    ],
)
def test_the_script_and_the_words_decide(text: str, language: str) -> None:
    assert guess(text) == language


def test_a_language_can_be_asked_for() -> None:
    assert normalise("RM5, 2026", "ms") == "lima ringgit, dua ribu dua puluh enam"
    assert normalise("RM5, 2026", "en") == "five ringgit, twenty twenty six"
    assert normalise("RM5", "zh") == "五令吉"
    assert normalise("RM5", "ta") == "ஐந்து ரிங்கிட்"
    assert normalise("Sila tekan 5", "en") == "Sila tekan five"


@pytest.mark.parametrize("language", LANGUAGES)
def test_prose_is_the_same_object_in_every_language(language: str) -> None:
    for text in ("", "Selamat pagi, apa khabar?", "你好 世界", "வணக்கம்", "สวัสดี"):
        assert normalise(text, language) is text  # pyright: ignore[reportArgumentType]


def test_spaces_of_chinese_text_stay() -> None:
    assert normalise("你好 世界，请按 1 键") == "你好 世界，请按一键"


@settings(max_examples=200, deadline=None)
@given(WRITTEN, st.sampled_from(sorted(LANGUAGES)))
@example("99:99 13/13/2026 0/0 1..2 RM RM. $ -- +-1 #", "ms")
@example("9" * 5_000 + "年0月0日99点99分", "zh")
@example("0ஆம் 99999999999999999999ஆம் நவம்பர் 99", "ta")
def test_whatever_holds_numbers_comes_out_without_any(text: str, language: str) -> None:
    spoken = normalise(text, language)  # pyright: ignore[reportArgumentType]
    assert not re.search(r"\d", spoken)


@settings(max_examples=100, deadline=None)
@given(WRITTEN)
def test_any_text_is_read(text: str) -> None:
    normalise(text)


@pytest.mark.process
@pytest.mark.parametrize("language", ["ms", "zh", "ta", "auto"])
@pytest.mark.parametrize("hostile", NASTY.values(), ids=NASTY)
def test_hostile_texts_take_linear_time(hostile: Repeated, language: str) -> None:
    def read(text: str) -> str:
        return normalise(text, language)  # pyright: ignore[reportArgumentType]

    assert_linear(read, hostile)
    assert not re.search(r"\d", read(hostile.text(hostile.times)))
