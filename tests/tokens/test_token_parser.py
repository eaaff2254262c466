from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.profiles import TokenSyntax
from app.errors import EngineProtocolError
from app.tokens.token_parser import TokenIdParser, TokenTextParser

SPEECH = TokenSyntax(prefix="<|s_", suffix="|>", first_code_number=0, codes_per_frame=1)
CUSTOM = TokenSyntax(prefix="<custom_token_", suffix=">", first_code_number=10, codes_per_frame=7)
NESTED = TokenSyntax(
    prefix="|>%<|s_", suffix="|>", first_code_number=0, codes_per_frame=1
)  # the suffix lies within the prefix
SYNTAXES = st.sampled_from([SPEECH, CUSTOM, NESTED])
BETWEEN = [
    "",
    " ",
    "\n",
    "<",
    "<|",
    "<|s",
    "<|S_1|>",
    "|>",
    "<|im_end|>",
    "<custom_token>",
    "ł😀",
    "5|>",
]
OFFSET, END = 151_936, 151_645


def write(syntax: TokenSyntax, numbers: list[int]) -> str:
    return "".join(f"{syntax.prefix}{number}{syntax.suffix}" for number in numbers)


def pieces(text: str, cuts: set[int]) -> list[str]:
    marks = sorted(cut % (len(text) + 1) for cut in cuts)
    return [text[start:end] for start, end in zip([0, *marks], [*marks, len(text)], strict=True)]


@pytest.mark.fault(15)
@given(
    SYNTAXES,
    st.lists(st.tuples(st.integers(0, 10**9 - 1), st.sampled_from(BETWEEN))),
    st.sets(st.integers(0, 999)),
)
def test_any_split_gives_the_same_numbers(
    syntax: TokenSyntax, parts: list[tuple[int, str]], cuts: set[int]
) -> None:
    text = "".join(between + write(syntax, [number]) for number, between in parts)
    whole = TokenTextParser(syntax).feed(text)
    split = TokenTextParser(syntax)
    assert [number for piece in pieces(text, cuts) for number in split.feed(piece)] == whole
    assert whole == [number for number, _ in parts]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        ("<|s_0|>", [0]),
        ("<|s_007|>", [7]),
        ("<|s_1|><|s_2|> and <|s_3|>", [1, 2, 3]),
        ("<<|s_2|>", [2]),
        ("<|S_1|><|s1|>", []),
        ("<|s_999999999|>", [999_999_999]),
    ],
)
def test_what_is_a_token(text: str, numbers: list[int]) -> None:
    assert TokenTextParser(SPEECH).feed(text) == numbers
    letters = TokenTextParser(SPEECH)
    assert [number for letter in text for number in letters.feed(letter)] == numbers
    letters.finish()


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    "number",
    [
        "",
        "x",
        " 1",
        "1 ",
        "+1",
        "1.5",
        "1e3",
        "0x1F",
        "1_0",
        "1,2",
        "٣",
        "１",
        "²",
        "1|",
        "1|x",
        "1<|s_2",
        "\n",
        "1\n",
    ],
)
def test_a_malformed_token_is_a_breach_and_is_never_skipped(number: str) -> None:
    text = f"<|s_1|><|s_{number}|>"
    with pytest.raises(EngineProtocolError):
        TokenTextParser(SPEECH).feed(text)
    letters = TokenTextParser(SPEECH)
    with pytest.raises(EngineProtocolError):
        for letter in text:
            letters.feed(letter)
    learning = learned()
    with pytest.raises(EngineProtocolError):
        learning.feed(text, ids_of([1, 2]))


@pytest.mark.fault(17)
@pytest.mark.parametrize("rest", ["", "1", "12", "12|"])
def test_text_that_ends_within_a_token_is_a_breach(rest: str) -> None:
    tokens = learned()
    assert tokens.feed(f"<|s_1|><|s_{rest}") == [1]
    with pytest.raises(EngineProtocolError):
        tokens.finish()


@pytest.mark.parametrize("rest", ["", "<", "<|", "<|s"])
def test_text_that_ends_before_a_whole_prefix_is_only_text(rest: str) -> None:
    tokens = learned()
    assert tokens.feed(f"<|s_1|>{rest}") == [1]
    tokens.finish()


@pytest.mark.fault(17)
@pytest.mark.parametrize("number", ["-1", "-0", "1234567890", "12345678901234567890", "9" * 5000])
def test_numbers_that_no_codec_has(number: str) -> None:
    with pytest.raises(EngineProtocolError):
        TokenTextParser(SPEECH).feed(f"<|s_{number}|>")
    letters = TokenTextParser(SPEECH)
    with pytest.raises(EngineProtocolError):
        for letter in f"<|s_1|><|s_{number}|>":
            letters.feed(letter)


@pytest.mark.fault(15)
@pytest.mark.timeout(20)  # about 1 s; a tail that grows would take hours
@pytest.mark.parametrize("letters", ["<", "<|", "<|s"])
@pytest.mark.parametrize("piece", [1, 1000])
def test_the_tail_stays_short(letters: str, piece: int) -> None:
    text = TokenTextParser(SPEECH)
    unit = letters * piece
    for _ in range(10_000_000 // len(unit) // (10 if piece == 1 else 1)):
        assert text.feed(unit) == []
        assert len(text.tail) < 16
    assert text.feed("<|s_4|>") == [4]


def ids_of(numbers: list[int]) -> list[int]:
    return [number + OFFSET for number in numbers]


def learned(*, limit: int | None = None, syntax: TokenSyntax = SPEECH) -> TokenIdParser:
    tokens = TokenIdParser(syntax, limit)
    assert tokens.feed(write(syntax, [1]), ids_of([1])) == [1]
    assert tokens.feed(write(syntax, [9]), ids_of([9])) == [9]
    return tokens


@given(SYNTAXES, st.lists(st.lists(st.integers(0, 65_535), max_size=5)))
def test_text_with_and_without_ids_agree(syntax: TokenSyntax, groups: list[list[int]]) -> None:
    with_ids, alone = TokenIdParser(syntax), TokenIdParser(syntax)
    for group in groups:
        text = write(syntax, group)
        assert with_ids.feed(text, ids_of(group)) == alone.feed(text) == group


@given(st.lists(st.lists(st.integers(0, 65_535), min_size=1, max_size=4), min_size=1), st.data())
def test_events_without_text_are_read_from_their_ids(
    groups: list[list[int]], data: st.DataObject
) -> None:
    tokens = learned()
    for group in groups:
        hidden = data.draw(st.booleans())
        assert tokens.feed("" if hidden else write(SPEECH, group), ids_of(group)) == group


@pytest.mark.fault(15)
@given(st.lists(st.integers(0, 65_535), min_size=1), st.sets(st.integers(0, 999)))
def test_text_that_is_cut_anywhere_still_agrees_with_its_ids(
    numbers: list[int], cuts: set[int]
) -> None:
    tokens, found = learned(), list[int]()
    text, told = write(SPEECH, numbers), 0
    read = 0
    for piece in pieces(text, cuts):
        read += len(piece)
        begun = (
            text[:read].count("<") if piece else told
        )  # an id comes with the first letter of its token
        found += tokens.feed(piece, ids_of(numbers[told:begun])) if piece else []
        told = begun
    assert found == numbers


def test_ids_before_anything_is_learned_give_nothing() -> None:
    tokens = TokenIdParser(SPEECH)
    assert tokens.feed("", ids_of([4])) == []
    assert tokens.feed("<|s_4|><|s_5|>", ids_of([5])) == [4, 5]


def test_one_number_alone_teaches_nothing() -> None:
    tokens = TokenIdParser(SPEECH)
    assert tokens.feed("<|s_4|>", ids_of([4])) == [4]
    assert tokens.feed("<|s_4|>", ids_of([4])) == [4]
    assert tokens.feed("", ids_of([5])) == []


def test_a_merged_event_teaches_at_once() -> None:
    tokens = TokenIdParser(SPEECH)
    assert tokens.feed("<|s_4|><|s_5|>", ids_of([4, 5])) == [4, 5]
    assert tokens.feed("", ids_of([6])) == [6]


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("<|s_4|>", ids_of([5])),
        ("<|s_4|>", [5]),
        ("<|s_4|><|s_5|>", ids_of([5, 4])),
        ("<|s_4|><|s_5|>", ids_of([4])),
        ("<|s_4|>", [END]),
    ],
)
def test_ids_that_contradict_the_text(text: str, ids: list[int]) -> None:
    with pytest.raises(EngineProtocolError, match="contradict"):
        learned().feed(text, ids)


def test_a_vocabulary_in_another_order_is_read_by_its_text() -> None:
    tokens = TokenIdParser(SPEECH)
    odd = {4: 900, 5: 20, 6: 31}
    for number, token_id in odd.items():
        assert tokens.feed(write(SPEECH, [number]), [token_id]) == [number]
    assert tokens.feed("", [900]) == []


def test_several_ids_for_one_token_are_read_by_the_text() -> None:
    tokens = TokenIdParser(SPEECH)
    letters = [(letter, [ord(letter)]) for letter in write(SPEECH, [4, 5, 66, 4])]
    assert [number for text, ids in letters for number in tokens.feed(text, ids)] == [4, 5, 66, 4]


def test_the_end_token_is_no_number() -> None:
    assert learned().feed("", [END], last_is_end=True) == []
    assert learned().feed("", [OFFSET + 70_000], last_is_end=True) == []
    assert learned().feed("", [*ids_of([3]), END], last_is_end=True) == [3]
    assert learned().feed("<|s_3|>", [*ids_of([3]), END], last_is_end=True) == [3]
    assert learned().feed("<|s_3|><|im_end|>", [*ids_of([3]), END]) == [3]
    first = TokenIdParser(SPEECH)
    assert first.feed("<|s_3|><|s_4|>", [*ids_of([3, 4]), END], last_is_end=True) == [3, 4]


@pytest.mark.fault(17)
def test_tokens_of_another_kind_are_skipped() -> None:
    tokens = learned(limit=65_536)
    assert tokens.feed("", [OFFSET + 65_536, OFFSET - 1, OFFSET + 65_535]) == [65_535]
    assert tokens.feed("<|speech_end|>", [OFFSET + 65_536]) == []
    assert tokens.feed("<|s_8|>", ids_of([8])) == [8]
    assert tokens.feed("<|x|><|s_8|>", [17, *ids_of([8])]) == [8]


def test_late_text_is_not_said_twice() -> None:
    tokens = learned()
    assert tokens.feed("", ids_of([3])) == [3]
    assert tokens.feed("", ids_of([4])) == [4]
    assert tokens.feed("<|s_3|><|s_4|><|s_5|>", ids_of([5])) == [5]
    assert tokens.feed("<|s_6|>", ids_of([6])) == [6]
    assert tokens.feed("", ids_of([7])) == [7]
    assert tokens.feed("<|s_7|>") == []


def test_text_that_never_comes_is_not_waited_for() -> None:
    tokens = learned()
    assert tokens.feed("", ids_of([3])) == [3]
    assert tokens.feed("<|s_4|>", ids_of([4])) == [4]
    assert tokens.feed("", ids_of([5])) == [5]
    assert tokens.feed("<|s_6|>") == [6]


@pytest.mark.fault(17)
def test_ids_do_not_lend_a_token_numbers_that_text_may_not_have() -> None:
    with pytest.raises(EngineProtocolError):
        learned().feed("<|s_-5|>", [OFFSET - 5])
    with pytest.raises(EngineProtocolError):
        learned().feed(f"<|s_{10**9}|>", [OFFSET + 10**9])


def test_a_percent_sign_in_the_syntax() -> None:
    assert learned(syntax=NESTED).feed(write(NESTED, [5, 6]), ids_of([5, 6])) == [5, 6]
