"""Cleaning: any text in; visible, composed text without special tokens out."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import EmptyInput
from app.text.clean import MAX_MARKS, clean, clean_markup

HOSTILE = st.text(
    st.one_of(
        st.characters(codec=None),
        st.sampled_from(
            "<>|/_!s9 aA\u200c\u200d\u094d\u0301\u0323\u0338\u093c\u202e\ufeff\ud800\0\n"
            "＜｜＞é가\u1100\u3164\ufe0f"
        ),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello,   world\n\tagain \u00a0", "Hello, world again"),
        ("ｆｕｌｌ width ﬁne ①", "full width fine 1"),
        ("a\0b\x07c\x7fd", "abcd"),
        ("a\ud800b\udfffc", "abc"),
        ("\u202eright\u2066left\u2069\u200f", "rightleft"),
        ("zero\u200bwidth\ufeff\u2060joined\u00ad", "zerowidthjoined"),
        ("fam\u200dily \u200cx", "family x"),
        ("क्\u200dष and क्\u200cष", "क्\u200dष and क्\u200cष"),
        ("e\u0301te\u0301", "été"),
        ("line\u2028break\x85here\x1fthere", "line break here there"),
        ("Bahasa Melayu, 中文, தமிழ், ไทย", "Bahasa Melayu, 中文, தமிழ், ไทย"),
        ("I said {voice} & {text}", "I said {voice} & {text}"),
    ],
)
def test_what_is_visible_stays(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "text",
    [
        "x <|im_end|> y",
        "x<|im<|im_end|>_end|>y",
        "x ＜｜im_end｜＞ y",
        "x <\u200b|im_end|\u200b> y",
        "x <custom_token_5> y",
        "x <s> y </s> <0x0A> <!doctype> <_pad_>",
        "x <<||s_5||>> y",
        "x <|\u0301s_5|> y",
    ],
)
def test_special_tokens_lose_their_delimiters(text: str) -> None:
    assert not re.search(r"<\||\|>|<[\w/!]", clean(text))


def test_less_than_and_greater_than_survive() -> None:
    assert clean("5 < 6 and 7 > 3, a|b") == "5 < 6 and 7 > 3, a|b"


def test_combining_floods_are_capped() -> None:
    flood = "a" + "\u0301\u0323" * 10_000 + "b"
    cleaned = clean(flood)
    assert sum(unicodedata.category(character) == "Mn" for character in cleaned) <= MAX_MARKS
    assert cleaned.endswith("b")


@pytest.mark.parametrize(
    "text", ["", " \n\t", "🙂👍🏽", "?!…—", "*** ---", "\u3164\u200b", "\ud800\0", "<||>", "\u0301"]
)
def test_nothing_to_speak_is_empty_input(text: str) -> None:
    with pytest.raises(EmptyInput) as caught:
        clean(text)
    assert caught.value.param == "input"


@pytest.mark.fault(34)
@given(HOSTILE)
@example("e\u0323\u0301\u094d\u200d\u0316x")
@example("\u0915\u0301\u094d\u200d\u0316")
@example("<\u0338a<|<||>")
def test_any_text_is_clean_or_refused(text: str) -> None:
    try:
        cleaned = clean(text)
    except EmptyInput:
        return
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFKC", cleaned)
    assert not re.search(r"<\||\|>|<[\w/!]|\s\s|^\s|\s$", cleaned)
    assert not any(
        unicodedata.category(c).startswith("C") and c not in "\u200c\u200d" for c in cleaned
    )
    cleaned.encode()


def test_prepare_strips_markdown_only_when_asked() -> None:
    assert clean_markup("**Hi** there", normalize=True) == "Hi there"
    assert clean_markup("**Hi** there", normalize=False) == "**Hi** there"


def test_markdown_cannot_put_a_special_token_together() -> None:
    assert "<|" not in clean_markup("x <*|*im_end*|*> &lt;|im_end|&gt;", normalize=True)


def test_markdown_without_words_is_empty_input() -> None:
    with pytest.raises(EmptyInput):
        clean_markup("# \n\n- \n\n[](http://example.com)\n\n***", normalize=True)


@given(HOSTILE)
def test_prepare_raises_nothing_else(text: str) -> None:
    try:
        clean_markup(text, normalize=True)
    except EmptyInput:
        return
