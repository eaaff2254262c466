"""The list of models, as engines and gateways send it."""

from __future__ import annotations

import pytest

from app.engine.vllm.models import ModelList

VLLM = (
    b'{"object": "list", "data": [{"id": "tts", "object": "model", "root": "/models/tts"}, '
    b'{"id": "lora"}]}'
)


@pytest.mark.parametrize(
    ("model", "lacks"), [("tts", False), ("lora", False), ("/models/tts", True), ("other", True)]
)
def test_a_model_is_listed_or_not(model: str, lacks: bool) -> None:
    assert ModelList.read(VLLM).lacks(model) is lacks


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"null",
        b"{}",
        b'{"data": []}',
        b'{"data": ["tts"]}',
        b'{"data": {"id": 1}}',
    ],
)
def test_what_is_no_list_of_models_lacks_none(body: bytes) -> None:
    assert not ModelList.read(body).lacks("tts")


def test_few_names_are_named_and_none_can_begin_a_line() -> None:
    listed = b", ".join(b'{"id": "m%d\\n%s"}' % (number, b"x" * 500) for number in range(50))
    told = str(ModelList.read(b'{"data": [%s]}' % listed))
    assert told.startswith("'m0\\nx")
    assert "\n" not in told
    assert len(told) < 500
