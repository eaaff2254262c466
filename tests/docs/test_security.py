"""SECURITY.md: every threat names its tests, and these exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault_marks import NAMED, missing_tests

TEXT = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8")


def test_every_test_that_it_names_exists() -> None:
    assert missing_tests(TEXT) == []


@pytest.mark.parametrize(("head", "least"), [("| threat |", 25), ("| parser |", 12)])
def test_every_threat_and_every_parser_names_a_test(head: str, least: int) -> None:
    table = TEXT.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) >= least
    assert [row for row in table if not (row.startswith("|") and NAMED.search(row))] == []


def test_the_settings_that_it_names_exist() -> None:
    from app.config.settings import Settings

    for name in (
        "ENGINE_URLS",
        "API_KEYS",
        "VOICES_FOLDER",
        "CORS_ORIGINS",
        "ALLOWED_HOSTS",
        "MAX_AUDIO_S",
    ):
        assert f"`{name}`" in TEXT
        assert name.lower() in Settings.model_fields
