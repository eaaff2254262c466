"""Prompts in the form that the model was trained on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.config.profiles import TokenSyntax

_FIELD = re.compile(r"\{(\w+)\}")


def render(template: str, **values: str) -> str:
    """Fill named fields such as `{voice}` and `{text}` into a profile's template.

    A single pass leaves braces in the values and other braces in the template unchanged.
    """
    return _FIELD.sub(lambda field: values.get(field[1], field[0]), template)


@dataclass(frozen=True, slots=True)
class VoicePrompt:
    """Recording of a voice for a prompt: its text, cleaned by `app.text.clean`, and its codes."""

    text: str
    codes: tuple[int, ...]

    @property
    def length_tokens(self) -> int:
        """Upper bound of the model's tokens, as a token is at least one character of usual text."""
        return len(self.codes) + len(self.text)

    def fields(self, tokens: TokenSyntax) -> dict[str, str]:
        """Return the fields of a profile's `clone_prompt` other than the text."""
        spelled = (
            f"{tokens.prefix}{tokens.first_code_number + code}{tokens.suffix}"
            for code in self.codes
        )
        return {"reference_text": self.text, "tokens": "".join(spelled)}


def parse(template: str, prompt: str) -> dict[str, str]:
    """Return the values by field name that `render` filled in.

    This is the inverse of `render` if no field but the last contains the template's text after it.

    Raises:
        ValueError: the prompt does not match the template.
    """
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*?)", re.escape(template))
    found = re.fullmatch(pattern, prompt, re.DOTALL)
    if found is None:
        raise ValueError(f"the prompt does not match the template {template}")
    return found.groupdict()
