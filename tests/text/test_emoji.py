"""Emoji are removed, and no other characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.clean import clean_markup
from app.text.emoji import strip_emoji
from tests.timing import Repeated, assert_linear


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Terima kasih 🙏", "Terima kasih"),
        ("Terima kasih 🙏! Jumpa lagi", "Terima kasih! Jumpa lagi"),
        ("Great job 🎉🎉 see you", "Great job see you"),
        ("Thanks👍bye", "Thanks bye"),
        ("👍🏽 OK", "OK"),
        ("the 👨‍👩‍👧 family ❤️ love", "the family love"),
        ("🇲🇾 Malaysia", "Malaysia"),
        ("Press 1️⃣ or #️⃣", "Press 1 or #"),
        ("☎️ 03-1234 5678", "03-1234 5678"),
        ("谢谢🙏。", "谢谢。"),
        ("one 😀\ntwo", "one\ntwo"),
    ],
)
def test_emoji_go(text: str, said: str) -> None:
    assert strip_emoji(text) == said


@pytest.mark.parametrize(
    "text", ["5 °C → 6 ½ ™ © ® № ± × ÷ €", "①②❶", "你好，世界", "நன்றி", "a ‐ b – c…", "x² + y³"]
)
def test_signs_that_are_read_stay(text: str) -> None:
    assert strip_emoji(text) == text


def test_emoji_go_only_where_the_text_is_normalised() -> None:
    assert clean_markup("Hi 😀 there", normalize=True) == "Hi there"
    assert clean_markup("Hi 😀 there", normalize=False) == "Hi 😀 there"


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert strip_emoji(strip_emoji(text)) == strip_emoji(text)


@pytest.mark.parametrize("piece", ["😀", "😀 ", " ", "☎️", "❤\u200d", "a😀"])
def test_hostile_texts_take_linear_time(piece: str) -> None:
    assert_linear(strip_emoji, Repeated(piece, 50_000, before="é", after="é"))
