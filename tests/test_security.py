"""SECURITY.md: every threat names its tests, and the tests are there."""

from __future__ import annotations

from pathlib import Path

from tests.marked import NAMED, missing_tests

TEXT = (Path(__file__).parents[1] / "SECURITY.md").read_text(encoding="utf-8")


def test_every_test_that_it_names_exists() -> None:
    assert missing_tests(TEXT) == []


def test_every_threat_names_a_test() -> None:
    table = TEXT.partition("| threat |")[2].splitlines()[2:]
    threats = [row for row in table if row.startswith("|")]
    assert len(threats) >= 15
    assert [row for row in threats if not NAMED.search(row)] == []


def test_the_settings_that_it_names_exist() -> None:
    from app.settings import Settings

    for name in ("TTS_API", "API_KEYS", "VOICES_FOLDER", "CORS_ORIGINS"):
        assert f"`{name}`" in TEXT
        assert name.lower() in Settings.model_fields
