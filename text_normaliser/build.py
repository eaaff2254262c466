"""Construction of a language's reader from the shared rules and its own."""

from __future__ import annotations

from collections.abc import Sequence

from text_normaliser.abbreviations import Abbreviations, ShortForms
from text_normaliser.amounts import Amounts
from text_normaliser.identifiers import Identifiers
from text_normaliser.language import Language
from text_normaliser.money import Money
from text_normaliser.reader import Reader, Rule
from text_normaliser.symbols import Symbols
from text_normaliser.times import Times


def build(language: Language, short: ShortForms, own: Sequence[Rule], *, ordinal: str) -> Reader:
    """Return a reader with the rules in order, the most specific first and plain numbers last.

    `own`: rules of this language. `ordinal`: template for regnal numbers ("Henry VIII").
    """
    identifiers = Identifiers(language, short.spelt)
    amounts = Amounts(language)
    times = Times(language)
    money = Money(language)
    symbols = Symbols(language)
    abbreviations = Abbreviations(short, language.numbers, ordinal)
    rules = (
        *identifiers.addresses,
        *times.rules,
        *money.rules,
        *identifiers.numbers,
        *own,
        *symbols.rules,
        *amounts.rules,
        *abbreviations.before_numbers,
        *identifiers.codes,
        *abbreviations.rules,
        *amounts.plain,
        *symbols.plain,
    )
    return Reader(rules, short.dotted, f"(?:{short.prose_like}|{times.prose_like})")
