"""A text that is still being received: its sentences, at once and whole, for any pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.pauses import MAX_MARK_CHARACTERS, split_at_pauses
from app.text.sentence_stream import MAX_SENTENCE, SentenceStream
from text_normaliser import segmenter
from text_normaliser.segmenter import sentences

WORDS = [
    *(
        "word",
        "Hi.",
        "no,",
        "yes!",
        "你好。",
        "再见！",
        "En.",
        "well:",
        "1.",
        "2)",
        "3.5",
        "Dr.",
        "U.S.",
        "p.m.",
        "😀",
    ),
    *(
        "The",
        "[pause:500ms]",
        "[pause: 1.5 s]",
        "[paused",
        "[1]",
        '"So?',
        '"',
        "\n",
        "- item",
        "é",
        "हिन्दी",
        "(a)",
    ),
]
WRITTEN = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join),
    st.text(st.one_of(st.sampled_from("ab .,;!?。，\n[]pause:1s"), st.characters()), max_size=200),
)


def given_by(pieces: list[str]) -> list[str]:
    feed = SentenceStream()
    return [sentence for piece in pieces for sentence in feed.feed(piece)] + feed.finish()


def cut(text: str, ends: list[int]) -> list[str]:
    places = [0, *sorted(end % (len(text) + 1) for end in ends), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


def without_spaces(text: str) -> str:
    return "".join(text.encode("utf-8", "ignore").decode().split())


@given(WRITTEN, st.lists(st.integers(0, 10_000), max_size=12))
def test_the_sentences_do_not_depend_on_the_pieces(text: str, ends: list[int]) -> None:
    assert given_by(cut(text, ends)) == given_by([text]) == given_by(list(text))


@given(WRITTEN, st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=12))
def test_no_word_is_lost_or_doubled_and_no_pause_is_cut(
    text: str, ends: list[tuple[int, bool]]
) -> None:
    feed, found = SentenceStream(), list[str]()
    for piece, (_, flush) in zip(
        cut(text, [end for end, _ in ends]), [*ends, (0, False)], strict=False
    ):
        found += feed.feed(piece) + (feed.flush() if flush else [])
    found += feed.finish()
    assert without_spaces("".join(found)) == without_spaces(text)
    pauses = [
        passage.pause_s for piece in found for passage in split_at_pauses(piece) if passage.pause_s
    ]
    assert pauses == [passage.pause_s for passage in split_at_pauses(text) if passage.pause_s]


@pytest.mark.parametrize(
    "text",
    [
        "Good morning! How can I help you today? I am here until 5 p.m. each day. Ask me anything.",
        "Dr. Smith lives in the U.S. The house cost 3.5 million, i.e. a lot. He sold it.",
        "Kami pergi ke Jln. Ampang dengan En. Ahmad. Nanti jumpa lagi. Terima kasih!",
        "你好吗？我很好。你呢？再见！",
        "Wait... what? No!! He said so? Yes.",
    ],
)
def test_they_are_those_of_the_whole_text(text: str) -> None:
    assert given_by(list(text)) == sentences(text)


def test_a_sentence_is_given_with_the_next_ones_first_letter() -> None:
    feed = SentenceStream()
    assert [feed.feed(piece) for piece in ("Hello", " there", ".", " ", "H", "ow")] == [
        [],
        [],
        [],
        [],
        ["Hello there. "],
        [],
    ]
    assert feed.finish() == ["How"]


def test_the_first_piece_ends_at_a_clause_and_later_ones_do_not() -> None:
    text = (
        "Well, thank you for calling us, my name is Lark, and I can help. "
        "When it rains, we stay in, all of us."
    )
    assert given_by([text]) == [
        "Well, thank you for calling us, ",
        "my name is Lark, and I can help. ",
        "When it rains, we stay in, all of us.",
    ]


def test_a_number_in_a_sentence_or_before_a_list_item_ends_nothing() -> None:
    assert given_by(["1. Open the app.\n2. Close it.\n"]) == [
        "1. Open the app.\n",
        "2. Close it.\n",
    ]
    assert given_by(["It costs 3.", "50 in all. Yes."]) == ["It costs 3.50 in all. ", "Yes."]


def test_a_newline_and_a_pause_end_a_sentence_at_once() -> None:
    feed = SentenceStream()
    assert feed.feed("A heading\n") == ["A heading\n"]
    assert feed.feed("Please hold [pause: 1") == []
    assert feed.feed(".5 s]") == ["Please hold [pause: 1.5 s]"]


def test_a_flush_gives_what_is_there_but_never_half_a_pause() -> None:
    feed = SentenceStream()
    assert feed.feed("One moment [pau") == []
    assert feed.flush() == ["One moment "]
    assert feed.flush() == []
    assert feed.feed("se:1s] Thank you") == ["[pause:1s]"]
    assert feed.flush() == [" Thank you"]


def test_a_writer_without_stops_is_cut_between_words() -> None:
    found = given_by(["word " * 1_000])
    assert max(map(len, found)) < MAX_SENTENCE + 20
    assert {word for piece in found for word in piece.split()} == {"word"}


HOSTILE = [
    *(
        "a.",
        "x.Y",
        "a. ",
        "1. ",
        "1.",
        "En. ",
        "En.",
        "Dr. ",
        "U.S. T, ",
        "。",
        "你。",
        "你.a",
        "“你。",
        '"a. ',
        '"',
        "'a. ",
    ),
    *(
        "(a. ",
        "(",
        "[pause:",
        "[",
        "a,",
        "a ,",
        "http://a.b/c?d=e",
        "http://a.b/c. ",
        "a@b.co",
        "\n",
        "\u0301",
        "a\u0301",
    ),
    *("\ud800", " ", ". ", "))", "a.[1]", "…", "😀.", "a", "`a.", "x" * 1_500 + ",a" * 250),
]


def segmented(pieces: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The characters that the segmenter was given for a text in these pieces."""
    given: list[int] = []
    segment = segmenter._segment  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(
        segmenter,
        "_segment",
        lambda language, text: given.append(len(text)) or segment(language, text),
    )
    given_by(pieces)
    monkeypatch.undo()
    return sum(given)


@pytest.mark.process
@pytest.mark.fault(47)
@pytest.mark.parametrize("unit", HOSTILE)
def test_the_work_is_linear_in_the_text_however_it_is_cut(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 4_000
    short, long = (unit * (times * size // len(unit)) for times in (1, 2))
    for cut_up in (list, lambda text: [text]):
        once, twice = (segmented(cut_up(text), monkeypatch) for text in (short, long))
        assert twice <= 2.5 * once + size
        assert twice <= 400 * len(long)


@pytest.mark.fault(47)
@pytest.mark.parametrize("unit", HOSTILE)
def test_no_sentence_is_kept_without_bound_and_the_pieces_are_the_same_beyond_it(unit: str) -> None:
    text = unit * (7_000 // len(unit))
    found = given_by([text])
    assert max(map(len, found), default=0) <= 2_000 + MAX_MARK_CHARACTERS
    assert (
        found == given_by(list(text)) == given_by(cut(text, [7, 1_999, 2_000, 2_001, 3_100, 6_500]))
    )
    assert without_spaces("".join(found)) == without_spaces(text)


@pytest.mark.fault(47)
@pytest.mark.parametrize("place", range(1_960, 2_030, 3))
def test_a_pause_is_not_cut_where_a_sentence_is_too_long(place: int) -> None:
    text = "x" * place + "[pause: 1.5 s]" + "y" * 3_000
    found = given_by([text])
    assert found == given_by(list(text))
    assert [
        passage.pause_s for piece in found for passage in split_at_pauses(piece) if passage.pause_s
    ] == [1.5]


def test_an_old_letter_in_a_pause_is_one_wherever_it_is_cut() -> None:
    assert (
        given_by(list("a [pauſe:1s] b")) == given_by(["a [pauſe:1s] b"]) == ["a [pauſe:1s]", " b"]
    )
