"""Names similar to a setting's are logged; names of other programs are left alone."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from app.commands.serve import log_config_warnings
from app.components import build_engine, build_profile
from app.config.env_file import environment_names, removed_settings, similar_names
from app.config.settings import Settings, setting_names
from app.engine.embedded.engine import BuiltinEngine

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("API_KEY", "API_KEYS"),
        ("MAX_CONCURENT_REQUESTS", "MAX_CONCURRENT_REQUESTS"),
        ("Default_Voices", "DEFAULT_VOICE"),
        ("Default_Speakers", "DEFAULT_SPEAKER"),
        ("ENGINE_URL", "ENGINE_URLS"),
        ("TTS_APIS", "TTS_API"),
    ],
)
def test_a_misspelt_name_is_told_with_what_was_meant(given: str, meant: str) -> None:
    assert similar_names([given, "PATH"], setting_names()) == {given.upper(): meant}


def test_settings_and_the_names_of_others_are_not_misspelt() -> None:
    others = [
        "HOME",
        "HOSTNAME",
        "LOGNAME",
        "HF_TOKEN",
        "STRESS_API_KEY",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "LANG",
    ]
    assert similar_names([*others, *setting_names()], setting_names()) == {}


def test_no_name_of_our_own_files_is_misspelt() -> None:
    files = [
        ROOT / name
        for name in (".env_example", *(path.name for path in ROOT.glob(".env_*dynamic*")))
    ]
    assert len(files) > 3
    names = {
        name
        for file in files
        for name in re.findall(r"^#? ?([A-Z][A-Z_0-9]+)=", file.read_text(), re.MULTILINE)
    }
    for compose in ROOT.glob("*.yaml"):
        names |= set(re.findall(r"\$\{([A-Z_0-9]+)", compose.read_text()))
    assert len(names) > 40
    assert similar_names(names, setting_names()) == {}


def test_names_come_from_the_environment_and_the_file(tmp_path: Path) -> None:
    assert environment_names(tmp_path / ".env", {"A": "1"}) == {"A"}
    (tmp_path / ".env").write_text("# no\nexport B='x y'\nC=\n", encoding="utf-8")
    assert environment_names(tmp_path / ".env", {"A": "1"}) == {"A", "B", "C"}


def test_the_start_tells_of_a_misspelt_name_and_of_an_open_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("API_KEY=secret\n", encoding="utf-8")
    with caplog.at_level(logging.INFO, "app"):
        log_config_warnings(Settings())
    assert "unknown setting API_KEY: did you mean API_KEYS?" in caplog.text
    assert "open to every client" in caplog.text
    assert "secret" not in caplog.text
    caplog.clear()
    monkeypatch.setenv("API_KEYS", "secret")
    log_config_warnings(Settings())
    assert "open to every client" not in caplog.text


@pytest.mark.parametrize("value", ["lm", "nar", "gpt"])
def test_the_embedded_engine_s_setting_has_gone_and_the_log_says_so(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMBEDDED_ENGINE", value)
    settings = Settings()
    assert isinstance(build_engine(settings, build_profile(settings)), BuiltinEngine)
    with caplog.at_level(logging.WARNING, "app"):
        log_config_warnings(settings)
    (line,) = [text for text in caplog.messages if "EMBEDDED_ENGINE" in text]
    for said in ("no longer a setting", "built-in", "vLLM", "ENGINE_URLS", "MODEL_PROFILE=lark"):
        assert said in line


def test_a_removed_setting_is_told_where_it_has_a_value(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    assert removed_settings(env_file, {"PATH": "/"}) == []
    assert removed_settings(env_file, {"EMBEDDED_ENGINE": ""}) == []
    assert len(removed_settings(env_file, {"embedded_engine": "lm"})) == 1
    env_file.write_text("#EMBEDDED_ENGINE=lm\n", encoding="utf-8")
    assert removed_settings(env_file, {}) == []
    env_file.write_text("EMBEDDED_ENGINE=nar\n", encoding="utf-8")
    assert len(removed_settings(env_file, {})) == 1
