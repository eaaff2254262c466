"""Conversion of HTML to the text that a browser would show."""

from __future__ import annotations

import re

# Blocks are separated like markdown's paragraphs and cells by a comma. Inline tags leave no gap.
_BLOCKS = (
    "address|article|aside|blockquote|body|caption|dd|details|div|dl|dt|fieldset|figcaption|figure"
    "|footer|form|h[1-6]|head|header|hr|html|legend|li|main|nav|ol|p|pre|section|summary|table"
    "|tbody|tfoot|thead|title|tr|ul"
)
_INLINE = (
    "a|abbr|acronym|audio|b|bdi|bdo|big|br|button|center|cite|code|col|colgroup|data|del|dfn|em"
    "|embed|font|i|iframe|img|input|ins|kbd|label|link|map|mark|meta|noscript|object|option|output"
    "|param|picture|q|rp|rt|ruby|s|samp|select|small|source|span|strike|strong|sub|sup|svg|td"
    "|textarea|th|time|tt|u|var|video|wbr"
)
# Attributes hold no < or >, so that no two matches scan the same text and the time is linear in it.
_ATTRIBUTES = r"(?:\s[^<>]{0,4000})?"
_TAG = re.compile(
    rf"<(?P<close>/?)(?P<name>{_BLOCKS}|{_INLINE})(?P<attributes>{_ATTRIBUTES})\s?/?>",
    re.IGNORECASE,
)
_INVISIBLE = re.compile(
    rf"<(script|style){_ATTRIBUTES}>(?:(?!</?\1)[\s\S])*+</\1\s?>"
    r"|<!--(?:(?!<!--|-->)[\s\S])*+-->"
    r"|<!doctype[^<>]{0,200}>",
    re.IGNORECASE,
)
_IS_BLOCK = re.compile(_BLOCKS, re.IGNORECASE)
_ALTERNATIVE = re.compile(r"\salt\s?=\s?(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE)
_INDENT = re.compile(r"\n[ \t]+")


def strip_html(text: str) -> str:
    """Remove HTML's tags, comments, scripts and styles. Replace images by their descriptions.

    "5 < 6", "a <b and c> d", unknown tags and entities stay. The markdown parser decodes entities.
    A text without a tag is returned as the same object.
    """
    if "<" not in text:
        return text
    plain = _TAG.sub(_text_of, _INVISIBLE.sub(" ", text))
    return text if plain == text else _INDENT.sub("\n", plain)


def _text_of(tag: re.Match[str]) -> str:
    """Return the text that replaces a tag."""
    name = tag["name"].lower()
    if "=" not in tag["attributes"] and tag["attributes"].strip(" /\t\n"):
        return tag.group()  # a <b and c> d
    if name == "br":
        return "\n"
    if _IS_BLOCK.fullmatch(name):
        return "\n\n"
    if name in {"td", "th"}:
        return ", " if tag["close"] and _has_more_cells(tag) else ""
    if name == "img":
        description = _ALTERNATIVE.search(tag["attributes"])
        return next(filter(None, description.groups()), "") if description else ""
    return ""


def _has_more_cells(tag: re.Match[str]) -> bool:
    return bool(re.compile(r"\s{0,40}<t[dh]\b", re.IGNORECASE).match(tag.string, tag.end()))
