"""Conversion of markdown to plain text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

MAX_NESTING = 100  # levels; the parser drops deeper ones
MAX_BRACKETS = 256  # the parser searches the rest of the text for each: 4,096 take half a second
# Table cells that every text may have. A longer text may have as many as its characters. The parser
# fills each row up to the columns of the first, so that 1,000 characters can become 30,000 cells.
MIN_CELL_LIMIT = 1_000
SENTENCE_STOPS = frozenset(".!?…:;,。！？；：，、।॥؟۔؛،።፧")
CLOSERS = "\"'”’)]}»」』）】"
# Raw HTML stays text, and link definitions are off: `[Narrator]: Hello` would vanish as one.
_PARSER = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    .enable(["table", "strikethrough"])
    .disable("reference")
)
_LINE_END = re.compile(r"\r\n?|\n")
_KEYS = re.compile(r"\*(?=[\d*]{1,20}#)")  # *100*5# is a dial code, not emphasis
_CODE = frozenset({"fence", "code_block"})
_BLOCK_ENDS = _CODE | {"paragraph_close", "heading_close", "tr_close", "list_item_close"}


def strip_markdown(text: str) -> str:
    """Remove markdown. Keep the texts of links, headings, images, code and table cells.

    Each block becomes one line. It ends in a sentence stop if another block follows, so that they
    do not run together. Ordered list items keep their numbers. A text without markdown changes only
    in its whitespace. A text whose nesting, brackets or tables exceed the limits keeps its
    markdown. Lone surrogates and NUL, which the parser does not accept, are removed.
    """
    text = text.encode("utf-8", "ignore").decode().replace("\0", "")
    if text.count("[") > MAX_BRACKETS or _max_cells(text) > max(MIN_CELL_LIMIT, len(text)):
        return text
    tokens = _PARSER.parse(_KEYS.sub(r"\*", text))
    if any(token.level >= MAX_NESTING - 2 for token in tokens):
        return text
    blocks = list(_blocks(tokens))
    return "\n".join([*map(_with_stop, blocks[:-1]), *blocks[-1:]])


def strip_unpaired_marks(text: str) -> str:
    """Remove marks of bold, struck or code text whose partner is in another sentence."""
    for mark in ("**", "__", "~~", "`"):
        if text.count(mark) % 2 and "```" not in text:
            text = text.replace(mark, "")
    return text


def _max_cells(text: str) -> int:
    """Return the maximum of a text's table cells: in each line as many as in the widest."""
    if "|" not in text:
        return 0
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    return len(lines) * (1 + max(line.count("|") for line in lines))


def _blocks(tokens: Iterable[Token]) -> Iterator[str]:
    """Yield the text of each paragraph, heading, code block, list item and row that has one."""
    texts: list[str] = []
    for token in tokens:
        if token.type == "inline":
            texts.append(_inline(token.children or []))
        elif token.type in _CODE:
            texts.append(token.content)
        elif token.type == "list_item_open" and token.info:
            texts.append(f"{token.info}{token.markup} ")
        if token.type in _BLOCK_ENDS:
            between = ", " if token.type == "tr_close" else ""
            if block := between.join(filter(None, texts)).strip():
                yield block
            texts.clear()


def _inline(tokens: Iterable[Token]) -> str:
    return "".join(_text_of(token) for token in tokens)


def _text_of(token: Token) -> str:
    if token.type == "image":
        return _inline(token.children or [])
    if token.type in {"softbreak", "hardbreak"}:
        return "\n"
    return token.content


def _with_stop(block: str) -> str:
    """Append a sentence stop of the block's script, unless it has one or has no letter or digit."""
    end = block.rstrip(CLOSERS)[-1:]
    if end in SENTENCE_STOPS or not any(map(str.isalnum, block)):
        return block
    return block + ("。" if _is_han_or_kana(end) else ".")


def _is_han_or_kana(character: str) -> bool:
    name = unicodedata.name(character, "") if character else ""
    return name.startswith(("CJK UNIFIED", "HIRAGANA", "KATAKANA"))
