"""Reader that applies the first matching rule at each position that may need one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass

Say = Callable[[re.Match[str]], str | None]

# Positions where a rule may match: a number, a symbol, a word joined to one, and a word that is not
# prose: with capitals inside, a point or at sign after it, or no vowel ("Jln"). Rules are tried
# nowhere else.
_HEAD = (
    r"(?<!\d)\d"
    r"|[$€£¥₹฿₱¢%&+=@#*~<>|°±×÷→²³©™®•⁄/\\^_§]|(?<![\w.])\.(?=\d)"
    r"|[-–−](?=[^\W_a-z]|[$€£¥₹])|(?<=\d)-(?=[a-z])"
    r"|(?<![^\W_])(?:[A-Za-z](?=[a-z]*+(?:[A-Z\d@&./:_+$#-]| \d))"
    r"|(?![AEIOUYaeiouy])[A-Za-z](?=[b-df-hj-np-tv-xz]++(?!\w)))"
)
# A sentence of words that have a vowel and no capital inside. It takes 2 µs for 100 characters,
# _HEAD takes 14 µs.
_WORD = r"(?:[AEIOUY]|[A-Z]?[b-df-hj-np-tv-xz]*+[aeiouy])[a-z]*+(?:'[a-z]++)?+"
_PROSE = r"(?:{0}[ ,;!?]++)*+(?:{0})?+(?P<stop>\.?)"
_ASCII_SIGNS = str.maketrans({"‐": "-", "‑": "-", "‒": "-", "−": "-", "\u00a0": " ", "\u202f": " "})
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3}){1,5},\d\d(?![\d,]|\.\d)")
_SWAPPED = str.maketrans(".,", ",.")
_SPAN = re.compile(r"(?<=[\dm%])(?:~| ~ )(?=[\dR$])")  # 3~5 days, 9am ~ 6pm
_SPACES = re.compile(r"  +")
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")
NEAR = 24  # characters around a match that are searched for a cue
_AFTER = frozenset(",;:.!?)]}%°")  # characters after which words need a space


@dataclass(frozen=True, slots=True)
class Rule:
    """Pattern with a function that returns the words for a match, or None to try later rules.

    `heads` has the kinds of first character that the pattern can match: d a digit, l a letter, s a
    symbol.
    """

    heads: str
    pattern: re.Pattern[str]
    say: Say


def rule(heads: str, pattern: str, say: Say, *, any_case: bool = False) -> Rule:
    """Return a rule. Its pattern must take linear time, by bounded or possessive repeats."""
    return Rule(heads, re.compile(pattern, re.IGNORECASE if any_case else 0), say)


def text_before(found: re.Match[str], characters: int = NEAR) -> str:
    """Return the last characters before a match."""
    return found.string[max(0, found.start() - characters) : found.start()]


def text_after(found: re.Match[str], characters: int = NEAR) -> str:
    """Return the first characters after a match."""
    return found.string[found.end() : found.end() + characters]


class Reader:
    """Reader that applies a language's rules in order. It is pure: equal texts, equal results."""

    def __init__(
        self, rules: Sequence[Rule], may_end_sentence: Container[str], prose_like: str
    ) -> None:
        """`may_end_sentence`: abbreviations whose full stop may also end the sentence.

        `prose_like`: pattern of text that looks like prose but is read by a rule for letters.
        """
        self._head = re.compile(rf"{_HEAD}|(?<![^\W_])(?=[A-Za-z])(?:{prose_like})")
        self._prose = re.compile(_PROSE.format(rf"(?!{prose_like}){_WORD}"))
        self._may_end_sentence = may_end_sentence
        self._rules = {head: tuple(rule for rule in rules if head in rule.heads) for head in "dls"}

    def read(self, text: str) -> str:
        """Return the text in words. Text without a match stays. Prose is the same object."""
        prose = self._prose.fullmatch(text)
        if prose and not (
            prose["stop"] and text[text.rfind(" ") + 1 : -1] in self._may_end_sentence
        ):
            return text
        parts, unread = [" "], True
        for words, stays in self._parts(_with_ascii_signs(text)):
            if words and _needs_space_after(parts[-1][-1]):
                parts.append(" ")
            unread = unread and not words
            parts += filter(
                None, (words, " " if words and _needs_space_before(stays[:1]) else "", stays)
            )
        return text if unread else _SPACES.sub(" ", "".join(parts)).strip()

    def _parts(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield pairs of the words for a match and the unchanged text after it."""
        done, at = 0, 0
        words = ""
        while head := self._head.search(text, at):
            match = self._apply_rule(text, head.start())
            if match is None:
                at = head.start() + 1
                continue
            yield words, text[done : head.start()]
            words, done = match
            at = done
        yield words, text[done:]

    def _apply_rule(self, text: str, start: int) -> tuple[str, int] | None:
        """Return the words of the first rule that matches at `start`, and the end of the match."""
        first = text[start]
        for rule in self._rules["d" if first.isdecimal() else "l" if first.isalpha() else "s"]:
            found = rule.pattern.match(text, start)
            if found and found.end() > start:
                words = rule.say(found)
                if words is not None:
                    return words or " ", found.end()
        return None


def _needs_space_after(before: str) -> bool:
    is_mark = unicodedata.category(before)[0] == "M"  # such as a Tamil vowel
    return before.isalnum() or before in _AFTER or is_mark


def _needs_space_before(after: str) -> bool:
    return after.isalnum() or after in {"(", "_"}


def _with_ascii_signs(text: str) -> str:
    """Replace foreign digits, dashes and spaces by ASCII ones, and 1.250,50 by 1,250.50."""
    if "," in text:
        text = _DECIMAL_COMMA.sub(lambda number: number.group().translate(_SWAPPED), text)
    if "~" in text:
        text = _SPAN.sub(lambda tilde: tilde.group().replace("~", "-"), text)
    if text.isascii():
        return text
    text = text.translate(_ASCII_SIGNS)
    return _FOREIGN_DIGIT.sub(lambda digit: str(int(digit.group())), text)
