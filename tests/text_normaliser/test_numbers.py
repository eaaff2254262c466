"""Numbers in words: CLDR's cardinals within bounds, digits in groups."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text_normaliser import READERS, Language
from text_normaliser.english import NUMBERS, clock, date, year
from text_normaliser.numbers import MAX_DIGITS, groups


@pytest.mark.parametrize(
    ("digits", "sizes"),
    [
        ("1", [1]),
        ("12345", [5]),
        ("123456", [3, 3]),
        ("1234567", [3, 4]),
        ("12345678", [4, 4]),
        ("1234567890", [3, 3, 4]),
        ("12345678901", [3, 4, 4]),
    ],
)
def test_groups_are_as_people_pause(digits: str, sizes: list[int]) -> None:
    assert [len(group) for group in groups(digits)] == sizes


@given(st.text("0123456789", max_size=200))
def test_groups_lose_no_digit(digits: str) -> None:
    assert "".join(groups(digits)) == digits


@settings(deadline=None)
@given(st.integers(0, 10**MAX_DIGITS - 1))
def test_every_number_has_a_name_of_words_alone(number: int) -> None:
    words = NUMBERS.cardinal(str(number))
    assert words == NUMBERS.cardinal(f"{number:,}")
    assert words.replace(" ", "").isalpha()


def test_cardinals_are_american() -> None:
    assert NUMBERS.cardinal("1250") == "one thousand two hundred fifty"
    assert NUMBERS.number("21.50") == "twenty one point five zero"
    assert NUMBERS.ordinal("121") == "one hundred twenty first"


def test_a_number_too_long_to_name_is_said_digit_by_digit() -> None:
    assert NUMBERS.cardinal("1" * 16) == ", ".join(["one one one"] * 4 + ["one one one one"])
    assert NUMBERS.ordinal("9" * 5_000).startswith("nine nine nine, ")


@pytest.mark.parametrize(
    ("number", "spoken"),
    [
        (1786, "seventeen eighty six"),
        (1900, "nineteen hundred"),
        (1905, "nineteen o five"),
        (2000, "two thousand"),
        (2008, "two thousand eight"),
        (2010, "twenty ten"),
        (2026, "twenty twenty six"),
    ],
)
def test_years(number: int, spoken: str) -> None:
    assert year(number) == spoken


@pytest.mark.parametrize(
    ("hour", "minute", "half", "spoken"),
    [
        (9, 30, "am", "nine thirty A M"),
        (9, 5, "am", "nine o five A M"),
        (9, 0, "pm", "nine P M"),
        (9, 0, "", "nine o'clock"),
        (14, 0, "", "fourteen hundred"),
        (14, 30, "", "fourteen thirty"),
        (0, 15, "", "twelve fifteen A M"),
    ],
)
def test_the_clock(hour: int, minute: int, half: str, spoken: str) -> None:
    assert clock(hour, minute, half) == spoken


def test_dates() -> None:
    assert date(15, 3, 2026) == "the fifteenth of March twenty twenty six"
    assert date(1, 5, None) == "the first of May"


@pytest.mark.fault(33)
@pytest.mark.parametrize("language", READERS)
@pytest.mark.parametrize(
    "text",
    [
        *(
            "It is {}.",
            "1-{}",
            "{}-{}",
            "RM{}",
            "${}.50",
            "{}%",
            "{} km",
            "{}:30",
            "{}/{}/{}",
            "{}th",
            "{}.{}",
            "1/{}",
        ),
        *(
            "FY{}",
            "year {}",
            "pukul {}",
            "+{}",
            "{}am",
            "{}ஆவது",
            "{}年{}月1日",
            "{}点",
            "{} sen",
            "RM1-{}",
            "{} to {}",
        ),
    ],
)
def test_a_number_of_thousands_of_digits_is_read_wherever_it_stands(
    text: str, language: Language
) -> None:
    """Python converts at most 4,300 digits."""
    assert READERS[language]().read(text.replace("{}", "9" * 5_000))
