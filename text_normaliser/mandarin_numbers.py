"""Spoken Chinese numerals: 两 before hundreds, thousands and measure words, 零 for gaps."""

from __future__ import annotations

import re

from text_normaliser.numbers import Numbers, Speller

DIGITS = "零一二三四五六七八九"
SCALES = ("", "万", "亿", "兆")
_PLACES = ("千", "百", "十", "")
_PAIR = re.compile(r"二(?=[千百])|(?<![十零])二(?=[万亿兆])")


def cardinal(number: int) -> str:
    """Return 一千两百五十 or 十万零一百. CLDR's 二千 and 〇 are written but not spoken."""
    parts: list[str] = []
    for power in range(3, -1, -1):
        four = number // 10_000**power % 10_000
        if four:
            gap = "零" if parts and (four < 1000 or parts[-1] == "") else ""
            parts.append(gap + _four(four) + SCALES[power])
        elif parts:
            parts.append("")
    spoken = "".join(parts) or DIGITS[0]
    return _PAIR.sub("两", spoken[1:] if spoken.startswith("一十") else spoken)


def _four(number: int) -> str:
    digits = [DIGITS[int(digit)] for digit in f"{number:04}"]
    spoken = "".join(
        digit if digit == "零" else digit + place
        for digit, place in zip(digits, _PLACES, strict=True)
    )
    return re.sub("零+", "零", spoken).strip("零")


NUMBERS = Numbers(
    Speller(cardinal, lambda number: f"第{cardinal(number)}"),
    tuple(DIGITS),
    "点",
    gap="",
    counting={"2": "两"},
)
