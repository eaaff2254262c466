"""HTML: the words stay, the tags are removed, and text that only looks like a tag stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.clean import clean_markup
from app.text.html import strip_html
from tests.timing import Repeated, assert_linear


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<p>Hello <b>Siti</b>!</p><p>Your bill is ready.</p>", "Hello Siti!\nYour bill is ready."),
        ("Line one<br/>line two<BR>three", "Line one line two three"),
        ("<ul>\n    <li>milk</li>\n    <li>bread</li>\n</ul>", "milk.\nbread"),
        (
            "<table><tr><th>Plan</th><th>RM</th></tr><tr><td>A</td> <td>5</td></tr></table>",
            "Plan, RM.\nA, 5",
        ),
        ('See <a href="https://example.com/?a=1&amp;b=2">our site</a>.', "See our site."),
        ("<img src=x alt='a red cat'> sat, <img src=y> too", "a red cat sat, too"),
        (
            "<!-- hidden --><style>p { x: y }</style>Seen<script>if (a<b) alert('x')</script>",
            "Seen",
        ),
        ("<!DOCTYPE html><html><body><h1>Title</h1>text</body></html>", "Title.\ntext"),
        ("H<sub>2</sub>O costs &lt; RM5 &amp; more", "H2O costs < RM5 & more"),
        ("<p>It is **bold** here</p>", "It is bold here"),
    ],
)
def test_what_a_browser_shows_is_said(text: str, shown: str) -> None:
    said = clean_markup(text, normalize=True)
    assert said == " ".join(shown.split())


@pytest.mark.parametrize(
    "text",
    [
        "5 < 6 and 7 > 3",
        "a <b and c> d",
        "if x<y then y>x",
        "I <3 you",
        "Dear <name>, your <code_1> is <unknown-tag/>",
        "<https://example.com>",
        "a < b > c",
        "<b",
        "<!-- never closed",
        "x <|im_end|> y",
        "< p >",
    ],
)
def test_what_only_looks_like_html_stays(text: str) -> None:
    assert strip_html(text) is text


def test_a_script_without_an_end_is_text() -> None:
    assert strip_html("<script>a<b and more").endswith("a<b and more")


def test_html_cannot_put_a_special_token_together() -> None:
    assert "<|" not in clean_markup("x <<b>|im_end|<i>> y", normalize=True)


@given(
    st.text(st.one_of(st.sampled_from("<>/!-=\"' abp&;\n"), st.characters(codec=None)), max_size=80)
)
def test_any_text_is_read(text: str) -> None:
    strip_html(text)


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a ",
        "<a b='",
        "</a",
        "<!--",
        "<script>",
        "<style><",
        "<!doctype",
        "<td>",
        "</td>   ",
        "<b>x</b>",
    ],
)
def test_hostile_texts_take_linear_time(piece: str) -> None:
    """The standard html.parser takes 48 s for "<a " 20,000 times."""
    assert_linear(strip_html, Repeated(piece, 20_000))
