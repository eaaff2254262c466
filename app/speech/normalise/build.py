"""A language's reader, put together from the rules that all share and its own."""

from __future__ import annotations

from collections.abc import Sequence

from app.speech.normalise.abbreviations import Abbreviations, Short
from app.speech.normalise.amounts import Amounts
from app.speech.normalise.contacts import Contacts
from app.speech.normalise.language import Language
from app.speech.normalise.money import Money
from app.speech.normalise.reader import Reader, Rule
from app.speech.normalise.signs import Signs
from app.speech.normalise.times import Times


def build(language: Language, short: Short, own: Sequence[Rule], *, ordinal: str) -> Reader:
    """The rules in their order: the surest first, numbers on their own last.

    `own` are the language's own rules, `ordinal` is the template for the numeral of a king.
    """
    contacts, amounts = Contacts(language, short.spelt), Amounts(language)
    times, money, signs = Times(language), Money(language), Signs(language)
    abbreviations = Abbreviations(short, language.numbers, ordinal)
    return Reader(
        (
            *(
                *contacts.addresses,
                *times.rules,
                *money.rules,
                *contacts.numbers,
                *own,
                *signs.rules,
                *amounts.rules,
            ),
            *(
                *abbreviations.before_numbers,
                *contacts.codes,
                *abbreviations.rules,
                *amounts.plain,
                *signs.plain,
            ),
        ),
        short.dotted,
        f"(?:{short.hidden}|{times.hidden})",
    )
