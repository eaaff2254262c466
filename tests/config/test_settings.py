"""Settings: documented names work, bad values are rejected, .env_example agrees.

`python tests/config/test_settings.py` rewrites .env_example.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.config.settings import Settings, old_names, setting_names

EXAMPLE = Path(__file__).parents[2] / ".env_example"


def env_example() -> str:
    """Return the text of .env_example: descriptions, names and defaults, commented out."""
    parts = ["# Settings of the service: copy to .env and uncomment what you change.\n"]
    for name, field in Settings.model_fields.items():
        description = "\n".join(
            textwrap.wrap(field.description or "", 100, initial_indent="# ", subsequent_indent="# ")
        )
        parts.append(f"{description}\n#{name.upper()}={in_env(field.default)}\n")
    return "\n".join(parts)


def in_env(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in (None, ()) else str(value)


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables of the machine, and no .env."""
    monkeypatch.chdir(tmp_path)
    for name in setting_names():
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        (
            "ENGINE_URLS",
            "http://engine:8000/v1/completions",
            "engine_urls",
            ("http://engine:8000/v1/completions",),
        ),
        ("ENGINE_URLS", "http://a:1, https://b", "engine_urls", ("http://a:1", "https://b")),
        ("TTS_API_KEY", "secret", "tts_api_key", (SecretStr("secret"),)),
        ("TTS_API_KEY", '["a,b"]', "tts_api_key", (SecretStr("a,b"),)),
        ("MODEL_NAME", "me/mine", "model_name", "me/mine"),
        ("DEFAULT_VOICE", "jenny", "default_voice", "jenny"),
        ("VOICES", "husein, idayu,jenny", "voices", ("husein", "idayu", "jenny")),
        ("DEFAULT_TEMPERATURE", "0.7", "default_temperature", 0.7),
        ("DEFAULT_REPETITION_PENALTY", "1.15", "default_repetition_penalty", 1.15),
        ("DEFAULT_MAX_TOKENS", "2048", "default_max_tokens", 2048),
        ("DEFAULT_FIRST_WINDOW_S", "0.5", "default_first_window_s", 0.5),
        ("DEFAULT_LOOKAHEAD_S", "0.1", "default_lookahead_s", 0.1),
        ("DYNAMIC_BATCHING", "false", "dynamic_batching", False),
        ("MAX_BATCH_SIZE", "16", "max_batch_size", 16),
        ("DEVICE", "cuda:1", "device", "cuda:1"),
        ("DEVICE", "cuda:0,cuda:1", "device", "cuda:0,cuda:1"),
        ("CUDA_GRAPH_LENGTHS_S", "[]", "cuda_graph_lengths_s", ()),
        ("CUDA_GRAPH_LENGTHS_S", "[0.64, 2]", "cuda_graph_lengths_s", (0.64, 2.0)),
        ("TORCH_COMPILE", "true", "torch_compile", True),
        ("FUSED_KERNELS", "false", "fused_kernels", False),
        ("HOST", "127.0.0.1", "host", "127.0.0.1"),
        ("PORT", "80", "port", 80),
        ("MODEL_PROFILE", "orpheus", "model_profile", "orpheus"),
        ("CODEC_WEIGHTS", "random", "codec_weights", "random"),
        ("CODEC_DTYPE", "bfloat16", "codec_dtype", "bfloat16"),
        ("TARGET_RMS_DB", "-20", "target_rms_db", -20.0),
        ("MAX_CONCURRENT_REQUESTS", "5", "max_concurrent_requests", 5),
        ("MAX_CONCURRENT_REQUESTS_PER_KEY", "2", "max_concurrent_requests_per_key", 2),
        ("API_KEYS", "one, two", "api_keys", (SecretStr("one"), SecretStr("two"))),
        ("API_KEYS", '["a,b"]', "api_keys", (SecretStr("a,b"),)),
        ("CORS_ORIGINS", "*", "cors_origins", ("*",)),
        (
            "CORS_ORIGINS",
            "https://a.example, http://b:80",
            "cors_origins",
            ("https://a.example", "http://b:80"),
        ),
    ],
)
def test_documented_names_are_read(
    name: str, text: str, field: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(Settings(), field) != value
    monkeypatch.setenv(name, text)
    assert getattr(Settings(), field) == value


OLD_NAMES = [
    ("ENGINE_URLS", "TTS_API", "http://a:1", "http://b:2"),
    ("VOICES", "SPEAKERS", "heron", "lark"),
    ("DEFAULT_VOICE", "DEFAULT_SPEAKER", "heron", "lark"),
    ("DEFAULT_FIRST_WINDOW_S", "DEFAULT_PLAYBACK_SPEED", "0.5", "0.6"),
    ("DEFAULT_LOOKAHEAD_S", "DEFAULT_PLAYBACK_OVERLAP_SPEED", "0.1", "0.3"),
    ("NEUCODEC_CONTEXT_S", "DECODE_LEFT_CONTEXT_S", "1", "2"),
    ("CUDA_GRAPH_LENGTHS_S", "CUDA_GRAPH_BATCH", "[]", "[0.64]"),
    ("MAX_DECODE_LOAD", "ADMISSION_UTILISATION", "0", "0.5"),
]


@pytest.mark.parametrize("names_and_values", OLD_NAMES, ids=lambda row: row[0])
def test_an_old_name_sets_the_same_field(
    names_and_values: tuple[str, str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, old, first, second = names_and_values
    default = Settings()
    monkeypatch.setenv(name, first)
    of_first = Settings()
    monkeypatch.setenv(name, second)
    of_second = Settings()
    assert default != of_first != of_second != default
    monkeypatch.delenv(name)

    monkeypatch.setenv(old.lower(), first)
    assert Settings() == of_first
    monkeypatch.setenv(name, second)  # both are set: the documented name wins
    assert Settings() == of_second
    monkeypatch.setenv(name, "")
    assert Settings() == of_first
    (tmp_path / ".env").write_text(f"{name}={second}\n", encoding="utf-8")
    assert Settings() == of_first  # the environment wins over the file
    monkeypatch.delenv(old.lower())
    assert Settings() == of_second
    (tmp_path / ".env").write_text(f"{old}={first}\n", encoding="utf-8")
    assert Settings() == of_first


def test_each_old_name_is_tested_and_documented_but_not_in_the_example() -> None:
    assert {old.lower(): name.lower() for name, old, _, _ in OLD_NAMES} == old_names()
    documented = (EXAMPLE.parent / "docs" / "settings.md").read_text(encoding="utf-8")
    example = EXAMPLE.read_text(encoding="utf-8")
    for name, old, _, _ in OLD_NAMES:
        assert f"| `{name}` | `{old}` |" in documented
        assert not re.search(rf"\b{old}\b", example)


def test_a_dotenv_file_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "PORT=1234\nHOST=::1\nTTS_API=\nSOMETHING_ELSE=1\n", encoding="utf-8"
    )
    monkeypatch.setenv("PORT", "4321")
    settings = Settings()
    assert (settings.port, settings.host, settings.engine_urls) == (4321, "::1", None)


@pytest.mark.parametrize(
    ("text", "speakers"),
    [("a", ("a",)), (" a , b,, ", ("a", "b")), ('["a b", "c"]', ("a b", "c")), (",", ())],
)
def test_speakers_are_a_list_with_commas_or_json(
    text: str, speakers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICES", text)
    assert Settings().voices == speakers


def test_the_profile_follows_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().profile_name == "builtin"
    monkeypatch.setenv("ENGINE_URLS", "http://engine")
    assert Settings().profile_name == "scicom"
    monkeypatch.setenv("MODEL_PROFILE", "orpheus")
    assert Settings().profile_name == "orpheus"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "70000"),
        ("PORT", "http"),
        ("VOICES", '["a"'),
        ("VOICES", "[1]"),
        ("DEFAULT_TEMPERATURE", "-1"),
        ("DEFAULT_TEMPERATURE", "nan"),
        ("DEFAULT_FIRST_WINDOW_S", "0.05"),
        ("DEFAULT_LOOKAHEAD_S", "2.5"),
        ("DYNAMIC_BATCHING", "perhaps"),
        ("MAX_BATCH_SIZE", "0"),
        ("CODEC_DTYPE", "int8"),
        ("CUDA_GRAPH_LENGTHS_S", "[0]"),
        ("CUDA_GRAPH_LENGTHS_S", "[1e9]"),
        ("CUDA_GRAPH_LENGTHS_S", "2"),
        ("CUDA_GRAPH_LENGTHS_S", "[1"),
        ("DEVICE", "cuda:0,cpu"),
        ("DEVICE", "gpu"),
        ("DEFAULT_RESPONSE_FORMAT", "midi"),
        ("LOG_LEVEL", "loud"),
        ("REQUEST_TIMEOUT_S", "0"),
        ("REQUEST_TIMEOUT_S", "inf"),
        ("TOKEN_GAP_TIMEOUT_S", "nan"),
        ("TARGET_RMS_DB", "0"),
        ("API_KEYS", ","),
        ("API_KEYS", "[]"),
        ("API_KEYS", "two words"),
        ("API_KEYS", "schlüssel"),
        ("API_KEYS", '["one", ""]'),
        ("MAX_CONCURRENT_REQUESTS_PER_KEY", "0"),
        ("CORS_ORIGINS", "https://a.example/"),
        ("CORS_ORIGINS", "a.example"),
        ("ENGINE_URLS", "localhost:9090"),
        ("ENGINE_URLS", "http://a:9090,b:9090"),
        ("ENGINE_URLS", "http://a:9090,http://b:70000"),
        ("ENGINE_URLS", "http://a:9090,http://A:9090/v1/completions"),
        ("ENGINE_URLS", "http://a,http://user@a:80/?key=1"),
        ("ENGINE_URLS", ","),
    ],
)
def test_a_bad_value_is_refused_by_name(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ValidationError) as caught:
        Settings()
    (error,) = caught.value.errors()
    assert str(error["loc"][0]).upper() == name


def test_settings_do_not_change_and_keep_their_secret() -> None:
    settings = Settings(tts_api_key=(SecretStr("hunter2"),))
    assert "hunter2" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.port = 1


@pytest.mark.parametrize(
    ("keys", "found"), [(None, [None, None]), ("one", ["one", "one"]), ("one, two", ["one", "two"])]
)
def test_one_key_serves_all_engines_or_each_has_its_own(
    keys: str | None, found: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "ENGINE_URLS", "http://user:password@a:1/v1,https://b/tts/v1/completions?key=1"
    )
    if keys:
        monkeypatch.setenv("TTS_API_KEY", keys)
    first, second = Settings().engines
    assert (first.url, first.name) == ("http://user:password@a:1/v1", "a:1")
    assert second.name == "b:443/tts"
    assert [key and key.get_secret_value() for _, _, key in (first, second)] == found


@pytest.mark.parametrize(("engines", "keys"), [(1, 2), (3, 2), (2, 3)])
def test_keys_that_do_not_fit_the_engines_are_refused_without_being_told(
    engines: int, keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_URLS", ",".join(f"http://host-{index}" for index in range(engines)))
    monkeypatch.setenv("TTS_API_KEY", ",".join(f"secret-{index}" for index in range(keys)))
    with pytest.raises(ValidationError) as caught:
        Settings()
    (error,) = caught.value.errors()
    assert error["loc"] == ("tts_api_key",)
    assert f"{keys} keys for {engines} URL" in error["msg"]
    assert "secret-" not in str(caught.value)


def test_the_embedded_engine_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_API_KEY", "one,two")
    assert Settings().engines == ()


def test_a_bad_key_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "good,hunter 2")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "hunter" not in str(caught.value)
    assert "api_keys" in str(caught.value)


def test_every_field_stands_once_in_the_example_with_its_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    names = re.findall(r"^#([A-Z0-9_]+)=", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert names == [name.upper() for name in Settings.model_fields]


def test_the_example_says_what_the_code_says() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == env_example()


def test_the_example_uncommented_changes_nothing(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=[A-Z0-9_]+=)", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert "PORT=9091\n" in text
    bare = Settings()
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    assert Settings() == bare


if __name__ == "__main__":
    EXAMPLE.write_text(env_example(), encoding="utf-8")
