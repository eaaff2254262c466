"""Splitting: pieces fit, no text is lost, and cuts are at pauses of speech."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.split import split, spoken_length
from tests.timing import Repeated, assert_linear
from text_normaliser.segmenter import sentences


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("text", ["Hello.", "One. Two. Three.", "你好。"])
def test_text_that_fits_is_one_piece(text: str) -> None:
    assert split(text, 20) == [text]


def test_whole_sentences_are_packed() -> None:
    assert split("One two. Three. Four five six. Seven.", 20) == [
        "One two. Three.",
        "Four five six.",
        "Seven.",
    ]


def test_a_long_sentence_is_cut_after_clauses() -> None:
    text = "When the rain stops, we shall walk to the river; nobody minds."
    assert split(text, 30) == [
        "When the rain stops,",
        "we shall walk to the river;",
        "nobody minds.",
    ]


def test_a_long_clause_is_cut_between_words() -> None:
    assert split("alpha beta gamma delta epsilon", 12) == ["alpha beta", "gamma delta", "epsilon"]


def test_chinese_is_cut_at_its_own_stops() -> None:
    assert split("你好吗？我很好，谢谢你。再见！", 16) == [
        "你好吗？",
        "我很好，",
        "谢谢你。",
        "再见！",
    ]


def test_text_without_spaces_is_cut_hard() -> None:
    assert split("天地玄黄宇宙洪荒", 12) == ["天地玄", "黄宇宙", "洪荒"]


@pytest.mark.parametrize(
    ("text", "letters"),
    [("seven", 5), ("7", 6), ("7,777", 25), ("BBC", 12), ("Bank", 4), ("你好", 8), ("$5", 12)],
)
def test_what_takes_long_to_say_counts_for_more(text: str, letters: int) -> None:
    assert spoken_length(text) == letters


def test_numbers_are_cut_into_smaller_pieces_than_words() -> None:
    digits, words = "7777 " * 100, "word " * 100
    assert len(split(digits, 500)) > 4 * len(split(words, 500))
    assert all(spoken_length(piece) <= 500 for piece in split(digits, 500))


def test_combining_marks_stay_with_their_letter() -> None:
    assert split("x\u0323\u0301" * 3, 4) == ["x\u0323\u0301"] * 3


def test_a_stop_never_stands_alone() -> None:
    assert split("abcdefghij!", 10) == ["abcdefghi", "j!"]


@pytest.mark.parametrize("abbreviation", ["En.", "Pn.", "Jln.", "Hj.", "cth.", "Sdn."])
def test_malay_abbreviations_do_not_end_a_sentence(abbreviation: str) -> None:
    text = f"Kami pergi ke {abbreviation} Ahmad sekarang. Nanti jumpa lagi."
    assert split(text, len(text) - 3)[0] == f"Kami pergi ke {abbreviation} Ahmad sekarang."


def test_a_word_that_ends_like_an_abbreviation_does() -> None:
    assert split("They saw a Golden. Then they left the place.", 35) == [
        "They saw a Golden.",
        "Then they left the place.",
    ]


@given(
    st.text(
        st.one_of(st.sampled_from("abc .,;!?。，\n"), st.characters(codec="utf-8")), min_size=1
    ),
    st.integers(1, 30),
)
def test_pieces_fit_and_nothing_is_lost(text: str, max_characters: int) -> None:
    pieces = split(text, max_characters)
    assert squeezed("".join(pieces)) == squeezed(text)
    assert all(len(piece) <= max_characters for piece in pieces)
    if text.strip():
        assert all(piece.strip() for piece in pieces)


@given(
    st.lists(st.sampled_from(["word", "Hi.", "no,", "yes!", "你好。", "En.", "well:"]), min_size=1),
    st.integers(8, 30),
)
def test_every_piece_holds_something_to_speak(words: list[str], max_characters: int) -> None:
    assert all(any(map(str.isalnum, piece)) for piece in split(" ".join(words), max_characters))


@pytest.mark.fault(47)
@pytest.mark.parametrize("unit", ["En. ", "你。", "x.Y", "“你。", "`", "1. "])
def test_segmenting_is_linear(unit: str) -> None:
    assert_linear(sentences, Repeated(unit, 40_000 // len(unit)))


@pytest.mark.parametrize("unit", ["One two three. ", "a", "word ", "你。", "En. ", "\n"])
def test_a_long_text_is_cut_behind_its_sentences_or_words(unit: str) -> None:
    text = unit * (12_345 // len(unit))
    found = sentences(text)
    assert "".join(found) == text
    if unit != "a":
        assert all(len(piece) % len(unit) == 0 for piece in found)
    if unit == "One two three. ":
        assert set(found) == {unit}
