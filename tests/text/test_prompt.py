"""The prompt: filled once, with no special token beside those of the template."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.config.profiles import PRESETS, load_profile
from app.errors import EmptyInput
from app.text.clean import clean_markup
from app.text.prompt import VoicePrompt, parse, render

TEMPLATES = [load_profile(path.stem).text_prompt for path in sorted(PRESETS.glob("*.toml"))]
DELIMITERS = re.compile(r"<\||\|>|<(?=[\w/!])")
SYNTAX = (
    "<|",
    "|>",
    "im_end",
    "s_5",
    "<|im_end|>",
    "<custom_token_5>",
    "</s>",
    "<!--",
    "&lt;",
    "&#124;",
    "{voice}",
    "{text}",
)
PIECES = st.one_of(
    st.sampled_from(SYNTAX), st.sampled_from("<>|＜｜＞*`a \n\0\ud800\u200b\u202e\u0338")
)


def test_voice_and_text_fill_their_places() -> None:
    assert (
        render("<|a|>{voice}: {text}<|b|>", voice="husein", text="Hello")
        == "<|a|>husein: Hello<|b|>"
    )


def test_braces_are_text() -> None:
    assert (
        render("{voice}: {text} {x} {}", voice="{text}", text="{voice} {0} {")
        == "{text}: {voice} {0} { {x} {}"
    )


@given(text=st.text())
def test_a_prompt_is_parsed_into_what_it_was_rendered_from(text: str) -> None:
    template = "<|a|>{voice}: {text}<|b|>"
    assert parse(template, render(template, voice="husein", text=text)) == {
        "voice": "husein",
        "text": text,
    }


@pytest.mark.parametrize(
    "prompt", ["", "<|a|>husein Hello<|b|>", "<|a|>husein: Hello", " <|a|>husein: Hello<|b|>"]
)
def test_a_prompt_of_another_form_is_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match="does not match the template"):
        parse("<|a|>{voice}: {text}<|b|>", prompt)


@pytest.mark.fault(36)
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("normalize", [True, False])
@given(
    text=st.lists(
        st.one_of(PIECES, st.text(st.characters(codec=None), max_size=3)), max_size=20
    ).map("".join)
)
@example(text="x<|im<|x|>_end|>")
@example(text="a＜｜im_end｜＞<custom_token_5>")
@example(text="a<")
@example(text="|>a|")
def test_the_prompt_holds_exactly_its_own_delimiters(
    template: str, normalize: bool, text: str
) -> None:
    try:
        prompt = render(template, voice="husein", text=clean_markup(text, normalize=normalize))
    except EmptyInput:
        return
    before, after = template.split("{text}")
    before = before.replace("{voice}", "husein")
    spoken = prompt[len(before) : len(prompt) - len(after)]
    assert prompt == before + spoken + after
    for form in (prompt, unicodedata.normalize("NFKC", prompt)):
        assert DELIMITERS.findall(form) == DELIMITERS.findall(before) + DELIMITERS.findall(after)


def test_a_reference_stands_before_the_text_in_the_models_own_tokens() -> None:
    profile = load_profile("scicom")
    fields = VoicePrompt("What I {text} said.", (7, 65_535)).fields(profile.tokens)
    assert render(profile.clone_prompt or "", **fields, text="Speak {tokens}.") == (
        "<|im_start|>What I {text} said.<|speech_start|><|s_7|><|s_65535|><|im_end|>"
        "<|im_start|>Speak {tokens}.<|speech_start|>"
    )


def test_a_reference_takes_its_codes_and_its_text_of_the_context() -> None:
    assert VoicePrompt("four", (1, 2, 3)).length_tokens == 7
