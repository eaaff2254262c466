from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.embedded.malaysian_names import PRONUNCIATIONS
from app.engine.embedded.phonemes import (
    PAD,
    PHONEME_LIMIT,
    TEXT_LIMIT,
    WORD_LIMIT,
    Phonemiser,
    split_evenly,
)
from app.engine.embedded.voices import read_phoneme_ids

IDS = read_phoneme_ids()
SYMBOLS = {number: symbol for symbol, number in IDS.items()}
SPOKEN = [
    (
        "Your passport number is A1234567.",
        "jˌʊɹ pˈæspˌɔɹt nˈʌmbəɹ ɪz ˈA wˈʌn tˈu θɹˈi, fˈɔɹ fˈIv sˈɪks sˈɛvən.",
    ),
    ("A1234567 is the number.", "ˈA wˈʌn tˈu θɹˈi, fˈɔɹ fˈIv sˈɪks sˈɛvən ɪz ðə nˈʌmbəɹ."),
    (
        "Please pay RM1,250.50.",
        "plˈiz pˈA wˈʌn θˈWzᵊnd tˈu hˈʌndɹəd fˈɪfti ɹˈɪŋɡɪt ænd fˈɪfti sˈɛn.",
    ),
    ("We open at 9:30 am.", "wˌi ˈOpᵊn æt nˈIn θˈɜɹTi ˈA ˈɛm."),
    ("It starts at 8 p.m. Please come.", "ˌɪt stˈɑɹts æt ˈAt pˈi ˈɛm. | plˈiz kˈʌm."),
    ("Meet me at KLIA2.", "mˈit mˌi æt kˈA ˈɛl ˈI ˈA tˈu."),
    ("Press A, or B.", "pɹˈɛs ˈA, ɔɹ bˈi."),
    ("Plan A is cheaper.", "plˈæn ˈA ɪz ʧˈipəɹ."),
    ("A plan is cheaper.", "ɐ plˈæn ɪz ʧˈipəɹ."),
    ("He said A, then I.", "hˌi sˈɛd ˈA, ðˈɛn ˌI."),
    ("I think AI helps.", "ˌI θˈɪŋk ˈA ˈI hˈɛlps."),
    ("Once Upon A Time", "wˈʌns əpˈɑn ɐ tˈIm."),
    ("THIS IS A TEST.", "ðˈɪs ˈɪz ɐ tˈɛst."),
    ("Grade A beef", "ɡɹˈAd ˈA bˈif."),
    ("Class C and type C", "klˈæs sˈi ænd tˈIp sˈi."),
    ("Q: Why? A: Because.", "kjˈu: wˌI? | ˈA: bəkˈʌz."),
    ("J. K. Rowling lives in the U.S.A. today.", "ʤˈA kˈA ɹˈOlɪŋ lˈɪvz ɪn ðə jˈu ˈɛs ˈA tədˈA."),
    ("She has a PhD.", "ʃˌi hæz ɐ pˈi ˈAʧ dˈi."),
    ("An SMS was sent.", "ɐn ˈɛs ˈɛm ˈɛs wʌz sˈɛnt."),
    ("Write to john.tan@example.com.", "ɹˈIt tə ʤˈɑn dˈɑt tˈæn æt ɪɡzˈæmpəl dˈɑt kˈɑm."),
    (
        "Visit https://www.example.com/help.",
        "vˈɪzət dˈʌbᵊlju dˈʌbᵊlju dˈʌbᵊlju dˈɑt ɪɡzˈæmpəl dˈɑt kˈɑm slˈæʃ hˈɛlp.",
    ),
    ("Unit B-12-3A", "jˈunət bˈi, twˈɛlv, θɹˈi ˈA."),
    ("Call 03-7955 1234.", "kˈɔl zˈɪɹO θɹˈi, sˈɛvən nˈIn fˈIv fˈIv, wˈʌn tˈu θɹˈi fˈɔɹ."),
    ("It is -5°C.", "ˌɪt ɪz mˈInəs fˈIv dəɡɹˈiz sˈɛlsiəs."),
    ("Dr. Lim and Mrs. Wong", "dˈɑktəɹ lˈɪm ænd mˈɪsəz wˈɔŋ."),
    ("Kuala Lumpur", "kwˈɑlə lˈʌmpʊɹ."),
    ("Petaling Jaya", "pətˈɑlɪŋ ʤˈɑjə."),
    ("Ipoh and Johor Bahru", "ˈipO ænd ʤəhˈɔɹ bˈɑɹu."),
    ("Shah Alam", "ʃˈɑ ˈɑlɑm."),
    ("PUTRAJAYA", "pˌutɹəʤˈɑjə."),
    ("Selangor, Kelantan, Terengganu", "səlˈɑŋɔɹ, kəlˈɑntɑn, təɹəŋɡˈɑnu."),
    ("Negeri Sembilan", "nəɡˈɹi səmbˈilɑn."),
    ("Jalan Ampang", "ʤˈɑlɑn ˈɑmpɑŋ."),
    ("Taman Desa", "tˈɑmɑn dˈɛsə."),
    ("Kampung Baru", "kˈɑmpʊŋ bˈɑɹu."),
    ("Bukit Bintang", "bˈukɪt bˈɪntɑŋ."),
    ("Encik Ahmad and Puan Aisyah", "ənʧˈɪk ˈɑmæd ænd pwˈɑn ˈIʃə."),
    ("Cik Nurul, Datuk Faizal", "ʧˈik nˈuɹʊl, dˈɑtʊk fˈIzɑl."),
    ("Datuk Seri Mohamed", "dˈɑtʊk sˈɛɹi mOhˈɑməd."),
    ("Selamat pagi", "səlˈɑmɑt pˈɑɡi."),
    ("Terima kasih", "təɹˈimə kˈɑsi."),
    ("nasi lemak and teh tarik", "nˈɑsi ləmˈɑk ænd tˈɛ tˈɑɹɪk."),
    ("roti canai", "ɹˈOti ʧˈɑnI."),
    ("ringgit and sen", "ɹˈɪŋɡɪt ænd sˈɛn."),
    ("Husein's ringgit", "husˈAnz ɹˈɪŋɡɪt."),
    ("Idayu and Husein", "idˈɑju ænd husˈAn."),
    ("Tenaga Nasional Bhd.", "tənˈɑɡə nˌɑʃənˈɑl bəɹhˈɑd."),
    ("Your TAC is 12.", "jˌʊɹ tˈæk ɪz twˈɛlv."),
    ("Jln. Tun Razak", "ʤˈɑlɑn tˈun ɹˈɑzɑk."),
    ("a 24-hour service", "ɐ twˈɛnti fˈɔɹ ˈWəɹ sˈɜɹvəs."),
]


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
    assert phonemiser.sentences("Dr. Smith is in. Go on!\nNext line") == [
        "Doctor Smith is in.",
        "Go on!",
        "Next line",
    ]


def test_what_the_rules_cannot_read_is_made_legible(phonemiser: Phonemiser) -> None:
    assert phonemiser.sentences("Card 4111 1111 1111 1111.") == [
        "Card four one one one, one one one one, one one one one, one one one one."
    ]
    assert phonemiser.sentences("1,250,000.50") == [
        "one million two hundred fifty thousand point five zero"
    ]
    assert phonemiser.sentences("① İ x²") == ["one I x squared"]
    assert max(map(len, phonemiser.sentences("x" * 100)[0].split())) == 45


def test_a_letter_may_end_a_sentence(phonemiser: Phonemiser) -> None:
    spoken = phonemiser.sentences("Take plan B. It is new. J. Tan has it.")
    assert spoken == ["Take plan B.", "It is new.", "J Tan has it."]


@pytest.mark.parametrize(("text", "phonemes"), SPOKEN, ids=[text for text, _ in SPOKEN])
def test_what_a_call_centre_says_has_the_right_sounds(
    phonemiser: Phonemiser, text: str, phonemes: str
) -> None:
    assert sounds(phonemiser, text) == phonemes


def test_malaysian_names_use_the_models_phonemes_alone() -> None:
    unknown = {word for word, phonemes in PRONUNCIATIONS.items() if not set(phonemes) <= set(IDS)}
    assert unknown == set()


def test_a_name_is_read_alike_in_every_case(phonemiser: Phonemiser) -> None:
    assert (
        len({sounds(phonemiser, f"to {name}.") for name in ("Petaling", "PETALING", "petaling")})
        == 1
    )


def sounds(phonemiser: Phonemiser, text: str) -> str:
    pieces = [
        piece for sentence in phonemiser.sentences(text) for piece in phonemiser.chunks(sentence)
    ]
    return " | ".join(
        "".join(SYMBOLS[number] for number in piece.ids if number != PAD) for piece in pieces
    )


def test_every_piece_is_padded_and_ends_in_a_pause(phonemiser: Phonemiser) -> None:
    (piece,) = phonemiser.chunks("Hello there")
    assert piece.ids[0] == piece.ids[-1] == PAD
    assert piece.ids[-2] == IDS["."]
    assert piece.ends_sentence
    (clause,) = phonemiser.chunks("when it rains,")
    assert not clause.ends_sentence


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_any_text_gives_pieces_the_model_knows(phonemiser: Phonemiser, text: str) -> None:
    for sentence in phonemiser.sentences(text):
        assert len(sentence) <= TEXT_LIMIT
        assert all(
            3 <= len(piece.ids) <= PHONEME_LIMIT + 2 for piece in phonemiser.chunks(sentence)
        )


@pytest.mark.fault(33)
@pytest.mark.parametrize("unit", ["aA", "a", "a-", "a'", "9", "é", "A.", "你", "a_", "a/"])
def test_no_word_is_longer_than_the_rules_can_read(phonemiser: Phonemiser, unit: str) -> None:
    """They take a time that is cubic in the parts of a word."""
    sentences = phonemiser.sentences(unit * 2_000)
    assert all(len(sentence) <= TEXT_LIMIT for sentence in sentences)
    assert all(
        len(word) <= WORD_LIMIT + 1 for sentence in sentences for word in sentence.split()
    )  # and a comma
