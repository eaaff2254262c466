"""Hostile texts: their visible part is spoken, or they are rejected; never an internal error."""

from __future__ import annotations

import asyncio
import json
import unicodedata

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fakes import UNREACHABLE, FixedEngine
from tests.live_server import SPEECH, serving, settings_for_tests

CONTROLS = st.sampled_from([*map(chr, range(32)), "\x7f", "\x85", "\u2028", "\u2029"])
SURROGATES = st.integers(0xD800, 0xDFFF).map(chr)
BIDI = st.sampled_from("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
INVISIBLE = st.sampled_from(
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u115f\u3164\ufe0f\U000e0041\U000e0100\uffa0"
)
FLOODS = st.builds(
    lambda mark, times: mark * times,
    st.sampled_from("\u0301\u0323\u0338\u20dd\u0e49"),
    st.integers(1, 400),
)
TEXTS = st.lists(
    st.one_of(CONTROLS, SURROGATES, BIDI, INVISIBLE, FLOODS, st.text(max_size=4)), max_size=12
).map("".join)
# Nothing of these may stand in a prompt: categories of what cannot be seen, and a mark on a mark on
# a mark.
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
JOINERS = "\u200c\u200d"


PLACES = st.sampled_from(
    ["input", "input", "input", "voice", "model", "instructions", "response_format"]
)
WORST = ["\ud800", "a\udfff", "\0", "a\0b", "\u202ea", "e" + "\u0301" * 2_000, "\u200b" * 4_096]


def request(text: str, place: str, *, normalize: bool) -> bytes:
    """A body with the text in one of its fields; surrogates stand in it as JSON escapes."""
    fields: dict[str, object] = {
        "input": "Hello there.",
        "response_format": "pcm",
        "normalize": normalize,
    }
    return json.dumps({**fields, place: text}).encode()


async def answers(bodies: list[bytes], engine: FixedEngine) -> list[httpx.Response]:
    async with serving(engine, settings=settings_for_tests(engine_urls=UNREACHABLE)) as served:
        headers = {"content-type": "application/json"}
        return [await served.client.post(SPEECH, content=body, headers=headers) for body in bodies]


@pytest.mark.process
@pytest.mark.fault(34)
@settings(max_examples=4, deadline=None)
@given(texts=st.lists(st.tuples(TEXTS, PLACES), min_size=25, max_size=25), normalize=st.booleans())
@example(
    texts=[(text, place) for text in WORST for place in ("input", "voice", "model")], normalize=True
)
@example(texts=[(text, "input") for text in WORST], normalize=False)
def test_whatever_is_in_a_text_it_is_cleaned_or_400(
    texts: list[tuple[str, str]], normalize: bool
) -> None:
    engine = FixedEngine([code * 37 % 900 for code in range(40)])
    told = asyncio.run(answers([request(*text, normalize=normalize) for text in texts], engine))
    for asked, answer in zip(texts, told, strict=True):
        assert answer.status_code in (200, 400, 404), (asked, answer.text)
        if answer.status_code != 200:
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
            assert len(answer.content) < 1024
    for prompt in engine.prompts:
        seen = {unicodedata.category(character) for character in prompt if character not in JOINERS}
        assert seen & UNSEEN == set()
        assert "\u0301" * 5 not in prompt
