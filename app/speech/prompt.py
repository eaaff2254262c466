"""Voice and text become the prompt that the model was trained on."""

from __future__ import annotations

import re

_FIELD = re.compile(r"\{(voice|text)\}")


def render(template: str, *, voice: str, text: str) -> str:
    """A profile's template with `{voice}` and `{text}` filled in.

    One pass: braces in `voice` and `text`, and any others in the template, stay as they are.
    """
    values = {"voice": voice, "text": text}
    return _FIELD.sub(lambda field: values[field[1]], template)
