"""Voice and text become the prompt that the model was trained on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.profiles import TokenSyntax

_FIELD = re.compile(r"\{(\w+)\}")


def render(template: str, **values: str) -> str:
    """A profile's template with the named fields, as `{voice}` and `{text}`, filled in.

    One pass: braces in the values, and any others in the template, stay as they are.
    """
    return _FIELD.sub(lambda field: values.get(field[1], field[0]), template)


@dataclass(frozen=True, slots=True)
class Reference:
    """A recording as a prompt holds it: what is said (clean, see `app.speech.text`), and its codes."""

    text: str
    codes: tuple[int, ...]

    @property
    def length_tokens(self) -> int:
        """No fewer than it takes of a model's context, as a token is at least a character of ordinary text."""
        return len(self.codes) + len(self.text)

    def fields(self, tokens: TokenSyntax) -> dict[str, str]:
        """What `render` puts into a profile's `clone_prompt`, beside the text."""
        spelled = (f"{tokens.prefix}{tokens.first + code}{tokens.suffix}" for code in self.codes)
        return {"reference_text": self.text, "tokens": "".join(spelled)}


def parse(template: str, prompt: str) -> dict[str, str]:
    """What `render` filled in, by name: the inverse, where no field but the last holds what follows it.

    Raises ValueError for a prompt of another form.
    """
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*?)", re.escape(template))
    found = re.fullmatch(pattern, prompt, re.DOTALL)
    if found is None:
        raise ValueError(f"not a prompt of the form {template}")
    return found.groupdict()
