from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.builtin import WEIGHTS, phoneme_ids
from app.engine.phonemes import PAD, PHONEME_LIMIT, TEXT_LIMIT, Phonemiser, split_evenly

IDS = phoneme_ids(WEIGHTS.read_bytes())


@pytest.fixture(scope="module")
def phonemiser() -> Phonemiser:
    return Phonemiser(IDS)


def test_the_table_has_an_id_for_each_symbol_below_the_embedding_size() -> None:
    assert len(set(IDS.values())) == len(IDS)
    assert min(IDS.values()) > PAD
    assert max(IDS.values()) < 178


def test_a_short_text_is_not_split() -> None:
    assert split_evenly(" One, two. ", 10) == ["One, two."]
    assert split_evenly("   ", 10) == []


def test_splits_at_the_pause_nearest_the_middle() -> None:
    assert split_evenly("aaaa, bbbb bbbb, cccc cc", 16) == ["aaaa, bbbb bbbb,", "cccc cc"]


def test_splits_between_words_and_closes_with_a_comma() -> None:
    assert split_evenly("aaaa bbbb cccc dddd", 10) == ["aaaa bbbb,", "cccc dddd"]


@given(st.text(alphabet="ab ,.é", max_size=300), st.integers(8, 60))
def test_a_split_keeps_every_letter_in_bounds(text: str, limit: int) -> None:
    pieces = split_evenly(text, limit)
    assert all(0 < len(piece) <= limit for piece in pieces)
    assert letters("".join(pieces)) == letters(text)


def letters(text: str) -> str:
    return "".join(symbol for symbol in text if symbol.isalpha())


def test_sentences_are_hibaris(phonemiser: Phonemiser) -> None:
    assert phonemiser.sentences("Dr. Smith is in. Go on!\nNext line") == ["Dr. Smith is in.", "Go on!", "Next line"]


def test_what_the_rules_cannot_read_is_made_legible(phonemiser: Phonemiser) -> None:
    assert phonemiser.sentences("Card 4111111111111111.") == ["Card 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1."]
    assert phonemiser.sentences("1,250,000.50") == ["1,250,000.50"]
    assert phonemiser.sentences("① İ x²") == ["1 I x²"]
    assert max(map(len, phonemiser.sentences("x" * 100)[0].split())) == 45


def test_every_piece_is_padded_and_ends_in_a_pause(phonemiser: Phonemiser) -> None:
    (piece,) = phonemiser.pieces("Hello there")
    assert piece.ids[0] == piece.ids[-1] == PAD
    assert piece.ids[-2] == IDS["."]
    assert piece.ends_sentence
    (clause,) = phonemiser.pieces("when it rains,")
    assert not clause.ends_sentence


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_any_text_gives_pieces_the_model_knows(phonemiser: Phonemiser, text: str) -> None:
    for sentence in phonemiser.sentences(text):
        assert len(sentence) <= TEXT_LIMIT
        assert all(3 <= len(piece.ids) <= PHONEME_LIMIT + 2 for piece in phonemiser.pieces(sentence))
