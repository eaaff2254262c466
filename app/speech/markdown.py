"""Markdown becomes the words that a reader would say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

MAX_NESTING = 100  # the parser drops what lies deeper
MAX_BRACKETS = 256  # it searches the rest of the text for each: 4,096 take half a second
FEW_CELLS = 1_000  # of tables: it fills each line up to the columns of the first, 1,000 characters to 30,000 cells
SENTENCE_STOPS = frozenset(".!?…:;,。！？；：，、।॥؟۔؛،።፧")
CLOSERS = "\"'”’)]}»」』）】"
# Raw HTML stays text, and link definitions are off: `[Narrator]: Hello` would vanish as one.
_PARSER = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    .enable(["table", "strikethrough"])
    .disable("reference")
)
_LINE_END = re.compile(r"\r\n?|\n")
_KEYS = re.compile(r"\*(?=[\d*]{1,20}#)")  # *100*5# is dialled, not emphasised
_CODE = frozenset({"fence", "code_block"})
_BLOCK_ENDS = _CODE | {"paragraph_close", "heading_close", "tr_close", "list_item_close"}


def plain(text: str) -> str:
    """Text without its markdown: link and heading texts, image descriptions, code, table cells.

    Blocks are one line each and end in a sentence stop where another one follows, so that they do
    not run together; ordered list items keep their numbers. Text without markdown keeps all but
    its whitespace, and text whose nesting, brackets or tables are beyond the limits is returned as
    it is. Lone surrogates and NUL, which the parser cannot take, are removed.
    """
    text = text.encode("utf-8", "ignore").decode().replace("\0", "")
    if text.count("[") > MAX_BRACKETS or _most_cells(text) > max(FEW_CELLS, len(text)):
        return text
    tokens = _PARSER.parse(_KEYS.sub(r"\*", text))
    if any(token.level >= MAX_NESTING - 2 for token in tokens):
        return text
    blocks = list(_blocks(tokens))
    return "\n".join([*map(_stopped, blocks[:-1]), *blocks[-1:]])


def without_halves(text: str) -> str:
    """A sentence by itself, without the marks of bold, struck or code text whose other half is in another sentence."""
    for mark in ("**", "__", "~~", "`"):
        if text.count(mark) % 2 and "```" not in text:
            text = text.replace(mark, "")
    return text


def _most_cells(text: str) -> int:
    """The most cells of tables that a text can make: in each line as many as the widest line has."""
    if "|" not in text:
        return 0
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    return len(lines) * (1 + max(line.count("|") for line in lines))


def _blocks(tokens: Iterable[Token]) -> Iterator[str]:
    """The text of each paragraph, heading, code block, list item and table row, if it has one."""
    parts: list[str] = []
    for token in tokens:
        if token.type == "inline":
            parts.append(_inline(token.children or []))
        elif token.type in _CODE:
            parts.append(token.content)
        elif token.type == "list_item_open" and token.info:
            parts.append(f"{token.info}{token.markup} ")
        if token.type in _BLOCK_ENDS:
            between = ", " if token.type == "tr_close" else ""
            if block := between.join(filter(None, parts)).strip():
                yield block
            parts.clear()


def _inline(tokens: Iterable[Token]) -> str:
    return "".join(_spoken(token) for token in tokens)


def _spoken(token: Token) -> str:
    if token.type == "image":
        return _inline(token.children or [])
    if token.type in {"softbreak", "hardbreak"}:
        return "\n"
    return token.content


def _stopped(block: str) -> str:
    """The block with a stop at its end, in its own script, unless it has one or says nothing."""
    end = block.rstrip(CLOSERS)[-1:]
    if end in SENTENCE_STOPS or not any(map(str.isalnum, block)):
        return block
    return block + ("。" if _is_han_or_kana(end) else ".")


def _is_han_or_kana(character: str) -> bool:
    name = unicodedata.name(character, "") if character else ""
    return name.startswith(("CJK UNIFIED", "HIRAGANA", "KATAKANA"))
