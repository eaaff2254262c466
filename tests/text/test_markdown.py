"""Markdown: the words stay, the marks are removed, and nothing is lost silently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it.token import Token

from app.text import markdown
from app.text.markdown import strip_markdown, strip_unpaired_marks
from tests.timing import Repeated, assert_linear


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*one* **two** ~~three~~ `four`", "one two three four"),
        ("[the site](https://example.com 'title')", "the site"),
        ("![a [red] cat](cat.png) sat", "a [red] cat sat"),
        ("![a *red* cat](cat.png)", "a red cat"),
        ("<https://example.com>", "https://example.com"),
        ("# Title #\ntext", "Title.\ntext"),
        ("Title\n=====\ntext", "Title.\ntext"),
        ("one\n\n***\n\ntwo!\n\nthree", "one.\ntwo!\nthree"),
        ("- milk\n- bread,\n- eggs", "milk.\nbread,\neggs"),
        ("1. open\n2. close", "1. open.\n2. close"),
        ("3) go\n4) stop", "3) go.\n4) stop"),
        ("- a\n  - b\n\n    c", "a.\nb.\nc"),
        ("| a | b |\n|---|---|\n| 1 | |\n| 2 | 3 |", "a, b.\n1.\n2, 3"),
        ("```python\nx = 1\n```\ndone", "x = 1.\ndone"),
        ("    y = 2\n\ndone", "y = 2.\ndone"),
        ("> so be it\n\nhe said", "so be it.\nhe said"),
        ("你好\n\n再见", "你好。\n再见"),
        ("안녕\n\n네", "안녕.\n네"),
        ('He said "yes."\n\n(no)\n\nend', 'He said "yes."\n(no).\nend'),
        ("🙂\n\nhello", "🙂\nhello"),
        ("a&amp;b \\*not\\*", "a&b *not*"),
        ("one\\\ntwo", "one\ntwo"),
    ],
)
def test_blocks_and_spans(text: str, expected: str) -> None:
    assert strip_markdown(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "snake_case_name, 5 * 3 * 2, C:\\Users, ~5 km, #1, 100% & more",
        "1986. A great year",
        "[Narrator]: Hello",
        "5 < 6 and <b>bold</b> stays",
        "He said: ... {voice}",
    ],
)
def test_text_that_only_looks_like_markdown_stays(text: str) -> None:
    assert strip_markdown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        ">" * 4000 + " deep",
        "- " * 2000 + "deep",
        "".join("  " * depth + "- x\n" for depth in range(60)) + "deep",
        "[" * 4000 + "deep",
        "*a_ " * 1000 + "deep",
    ],
)
def test_hostile_nesting_loses_nothing(text: str) -> None:
    assert strip_markdown(text).endswith("deep")


def table(columns: int, characters: int) -> str:
    """A table of one line with cells, and then of lines without any, which is filled up to its
    columns.
    """
    head = "|a" * columns + "\n" + "|-" * columns + "\n"
    return head + "a\n" * ((characters - len(head)) // 2)


@pytest.mark.fault(33)
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("columns", [20, 100, 150])
@pytest.mark.parametrize("characters", [1_000, 4_096])
def test_a_table_has_no_more_cells_than_its_text_has_characters(
    characters: int, columns: int, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    parse = markdown._PARSER.parse  # pyright: ignore[reportPrivateUsage]

    def counted(text: str) -> list[Token]:
        tokens = parse(text)
        made.append(sum(token.type == "td_open" for token in tokens))
        return tokens

    monkeypatch.setattr(markdown._PARSER, "parse", counted)  # pyright: ignore[reportPrivateUsage]
    text = table(columns, characters).replace("\n", end)
    assert strip_markdown(text)
    assert sum(made) <= len(text)


def test_a_table_as_people_write_it_is_read() -> None:
    text = "|a|b|c|d|e|f|g|h|\n|-|-|-|-|-|-|-|-|\n" + "|1|2|3|4|5|6|7|8|\n" * 80
    assert "|" not in strip_markdown(text)


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    "unit",
    [
        "`a",
        "*a_ ",
        "*_",
        "**_",
        "~a",
        "<",
        "<a@b.c>",
        "&",
        "\n- a",
        "> ",
        "- - ",
        "a|b\n-|-\n",
        "|a|\n|-|\n\n",
        "_",
        "](",
    ],
)
def test_hostile_markdown_takes_linear_time(unit: str) -> None:
    assert_linear(strip_markdown, Repeated(unit, 32_768 // len(unit)))


@given(
    st.text(st.sampled_from("aZé你9 .,!?'-:;"), max_size=40)
    .map(str.strip)
    .filter(lambda text: text[:1] not in "-")
)
def test_plain_text_keeps_all_but_whitespace(text: str) -> None:
    assert strip_markdown(text).split() == text.split()


@given(
    st.text(
        st.one_of(st.sampled_from("#*_`~[]()!>-+|\\<&;1. \n\tab"), st.characters(codec=None)),
        max_size=80,
    )
)
def test_any_text_is_read(text: str) -> None:
    strip_markdown(text).encode()


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("**Bold. ", "Bold. "),
        ("Still bold** it goes on.", "Still bold it goes on."),
        ("**All of it.** ", "**All of it.** "),
        ("Call `run", "Call run"),
        ("```python", "```python"),
    ],
)
def test_half_a_mark_is_dropped(text: str, spoken: str) -> None:
    assert strip_unpaired_marks(text) == spoken
