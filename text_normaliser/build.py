"""Construction of a language's reader from the shared rules and its own."""

from __future__ import annotations

from collections.abc import Sequence

from text_normaliser.abbreviations import Abbreviations, Short
from text_normaliser.amounts import Amounts
from text_normaliser.contacts import Contacts
from text_normaliser.language import Language
from text_normaliser.money import Money
from text_normaliser.reader import Reader, Rule
from text_normaliser.signs import Signs
from text_normaliser.times import Times


def build(language: Language, short: Short, own: Sequence[Rule], *, ordinal: str) -> Reader:
    """Return a reader with the rules in order, the most specific first and plain numbers last.

    `own`: rules of this language. `ordinal`: template for regnal numbers ("Henry VIII").
    """
    contacts = Contacts(language, short.spelt)
    amounts = Amounts(language)
    times = Times(language)
    money = Money(language)
    signs = Signs(language)
    abbreviations = Abbreviations(short, language.numbers, ordinal)
    rules = (
        *contacts.addresses,
        *times.rules,
        *money.rules,
        *contacts.numbers,
        *own,
        *signs.rules,
        *amounts.rules,
        *abbreviations.before_numbers,
        *contacts.codes,
        *abbreviations.rules,
        *amounts.plain,
        *signs.plain,
    )
    return Reader(rules, short.dotted, f"(?:{short.hidden}|{times.hidden})")
