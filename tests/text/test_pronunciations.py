"""Pronunciations: whole words, the longest first; errors of files name the line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.pronunciations import Pronunciations, PronunciationsError
from tests.timing import Repeated, assert_linear

ENTRIES = {
    "maybank2u": "maybank to you",
    "Astro": "Estro",
    "KLIA": "K L I A",
    "iPhone": "ai phone",
    "nasi": "NAH-see",
    "nasi lemak": "NAH-see ler-MAK",
    "C++": "C plus plus",
    "7-Eleven": "seven eleven",
    "重庆": "chóng qìng",
    "ரிங்கிட்": "ringgit",
    "e-wallet": "e wallet",
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I like nasi lemak and nasi.", "I like NAH-see ler-MAK and NAH-see."),
        ("NASI Lemak!", "NAH-see ler-MAK!"),
        ("nasional, nasi_x, xnasi, nasi2", "nasional, nasi_x, xnasi, nasi2"),
        ("astro ASTRO Astro Astros", "Estro Estro Estro Astros"),
        ("KLIA klia Klia KLIA2", "K L I A klia Klia KLIA2"),
        ("iPhone iphone IPHONE", "ai phone iphone IPHONE"),
        ("(Maybank2u)", "(maybank to you)"),
        ("C++, C++11 and C", "C plus plus, C plus plus11 and C"),
        ("at 7-eleven 17-Eleven", "at 7-eleven 17-Eleven"),
        ("at 7-Eleven", "at seven eleven"),
        ("我在重庆住", "我在chóng qìng住"),
        ("50 ரிங்கிட், ரிங்கிட்டு", "50 ringgit, ரிங்கிட்டு"),
        ("e-Wallet", "e wallet"),
        ("pre-nasi", "pre-NAH-see"),
    ],
)
def test_whole_words_are_replaced(text: str, said: str) -> None:
    assert Pronunciations(ENTRIES.items()).apply(text) == said


def test_text_without_an_entry_is_the_same_object() -> None:
    text = "Nothing to see here, 你好."
    assert Pronunciations(ENTRIES.items()).apply(text) is text
    assert Pronunciations([]).apply(text) is text


def test_an_exact_entry_goes_before_the_other() -> None:
    pronunciations = Pronunciations([("air", "air"), ("AIR", "A I R")])
    assert pronunciations.apply("air Air AIR") == "air air A I R"


def test_what_is_said_is_not_looked_up_again() -> None:
    assert Pronunciations([("a", "b b"), ("b", "a")]).apply("a b") == "b b a"


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_bytes(
        "\ufeff# names\r\nGrab\tgraeb\r\n\r\n  # more\nＫＬＩＡ\tK L I A\nGrab\tgraeb\n".encode()
    )
    pronunciations = Pronunciations.read(path)
    assert len(pronunciations) == 2
    assert pronunciations.apply("GRAB to KLIA") == "graeb to K L I A"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Grab graeb\n", "line 1: not a word, one tab and its pronunciation"),
        (b"# x\nGrab\ta\tb\n", "line 2: not a word, one tab and its pronunciation"),
        (b"a\tb\n\n\tc\n", "line 3: no text before or after the tab"),
        (b"a\t \n", "line 1: no text before or after the tab"),
        (b"@grab\tgraeb\n", "line 1: '@grab' does not begin with a letter or digit"),
        (b"a\tb\n\xff\tc\n", "line 2: not UTF-8"),
        (b"a\tb\na\tc\n", "line 2: 'a' has another pronunciation above"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "words.tsv"
    path.write_bytes(content)
    with pytest.raises(PronunciationsError) as caught:
        Pronunciations.read(path)
    assert str(caught.value) == f"{path}, {message}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PronunciationsError, match=r"none\.tsv: cannot be read"):
        Pronunciations.read(tmp_path / "none.tsv")


@given(
    st.text(max_size=60),
    st.dictionaries(st.from_regex(r"[a-zé你]\w{0,4}", fullmatch=True), st.text(max_size=5)),
)
def test_any_text_is_read(text: str, entries: dict[str, str]) -> None:
    Pronunciations(entries.items()).apply(text)


@given(st.lists(st.sampled_from(["nasi", "lemak", "x", "KLIA"])))
def test_words_between_spaces_are_all_found(words: list[str]) -> None:
    pronunciations = Pronunciations([("nasi", "1"), ("lemak", "2"), ("KLIA", "3")])
    names = {"nasi": "1", "lemak": "2", "KLIA": "3"}
    assert pronunciations.apply(" ".join(words)) == " ".join(
        names.get(word, word) for word in words
    )


@pytest.mark.parametrize(
    ("unit", "times"),
    [("a", 100_000), ("a ", 50_000), ("a b ", 25_000), ("你", 50_000), ("é̂", 25_000)],
)
def test_hostile_texts_take_linear_time(unit: str, times: int) -> None:
    pronunciations = Pronunciations([("a b c d", "x"), ("a b c", "y"), ("你好", "z")])
    assert_linear(pronunciations.apply, Repeated(unit, times))
    text = unit * times
    assert pronunciations.apply(text) is text
