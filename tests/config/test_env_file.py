"""A `.env` file in which a setting would be lost: the service does not start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.config.checks import CONFIG_ERRORS, config_error_message
from app.config.env_file import check_env_file
from app.config.settings import Settings
from app.main import create_app
from tests.child_service import ROOT

SECRET = "sk-xylophone"


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables of the machine."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def line_for(data: bytes) -> str:
    """The line that the service ends with, for a file of these bytes."""
    Path(".env").write_bytes(data)
    with pytest.raises(CONFIG_ERRORS) as caught:
        Settings()
    line = config_error_message(caught.value)
    assert len(line.splitlines()) == 1
    assert SECRET not in line
    return line


def ended(folder: Path, module: str) -> tuple[int, Sequence[str]]:
    """Run the process; return its exit status and the lines that it writes."""
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PORT": "0", "HOST": "127.0.0.1"}
    ran = subprocess.run(
        [sys.executable, "-m", module],
        cwd=folder,
        env=clean,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return ran.returncode, (ran.stdout + ran.stderr).decode().splitlines()


ENCODED = [
    f"# ü\nAPI_KEYS={SECRET}\n".encode("utf-16"),
    f"\nAPI_KEYS={SECRET}\n".encode("utf-16-le"),
    f"MODEL_NAME=ü\nAPI_KEYS={SECRET}\n".encode("latin-1"),
    f"API_KEYS={SECRET}\n".encode("utf-32"),
    f"API_KEYS={SECRET}\0\n".encode(),
]


@pytest.mark.fault(54)
@pytest.mark.parametrize("data", ENCODED)
def test_a_file_that_is_not_utf_8_is_named(data: bytes) -> None:
    assert line_for(data).startswith(".env, line ")
    assert "not valid UTF-8" in line_for(data)


@pytest.mark.fault(54)
@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (f'API_KEYS="{SECRET}\n', 1, "quote"),
        (f"PORT=80\n\n# keys\nAPI_KEYS='{SECRET}\nHOST=::1\n", 4, "quote"),
        (f"MODEL_NAME='mine\nAPI_KEYS={SECRET}\nHOST='\n", 1, "API_KEYS"),
        (f"API_KEYS: {SECRET}\n", 1, "NAME=VALUE"),
        (f'API_KEYS="{SECRET}" and more\n', 1, "NAME=VALUE"),
        ("PORT=80\nAPI_KEYS\n", 2, "API_KEYS"),
        ("export API_KEYS=${UNSET}\n", 1, "API_KEYS"),
        ('\n\nAPI_KEYS="${UNSET}"\n', 3, "API_KEYS"),
        (f"API_KEYS={SECRET},${{UNSET}}\n", 1, "API_KEYS"),
        ("API_KEYS=${EMPTY}\n", 1, "API_KEYS"),
        ("SET=\nAPI_KEYS=${SET}\n", 2, "API_KEYS"),
        ("MINE=${UNSET:-}\nAPI_KEYS=${MINE}\n", 2, "API_KEYS"),
        ("API_KEYS=${SET:?is needed}\n", 1, "API_KEYS"),
        ("API_KEYS=${SET-none}\n", 1, "API_KEYS"),
        ("TTS_API_KEY=${UNSET}\n", 1, "TTS_API_KEY"),
        ("cors_origins=${UNSET}\n", 1, "CORS_ORIGINS"),
        (f"API_KEYS={SECRET}\nAPI_KEYS=\n", 2, "API_KEYS"),
    ],
)
def test_a_line_that_loses_a_setting_is_named(
    text: str, line: int, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET", SECRET)
    monkeypatch.setenv("EMPTY", "")
    told = line_for(text.encode())
    assert told.startswith(f".env, line {line}: ")
    assert word in told


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("API_KEYS=\n", None),
        ("API_KEYS=''\n", None),
        ("API_KEYS= # none\n", None),
        ("API_KEYS=${UNSET:-}\n", None),
        ("API_KEYS=${SET}\r\nPORT=80\r\n", (SECRET,)),
        (f"MINE={SECRET}\nAPI_KEYS=${{MINE}},${{UNSET:-two}}\n", (SECRET, "two")),
        ("API_KEYS='a${b'\nOTHERS=${UNSET}\nlines='\na=b\n'\n", ("a${b",)),
        (f"\ufeffAPI_KEYS={SECRET}\n", (SECRET,)),
        ("", None),
    ],
)
def test_other_files_are_read_as_they_were(
    text: str, keys: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET", SECRET)
    Path(".env").write_text(text, encoding="utf-8", newline="")
    found = Settings().api_keys
    assert (None if found is None else tuple(key.get_secret_value() for key in found)) == keys


@pytest.mark.fault(54)
def test_a_folder_or_a_link_in_the_place_of_the_file_is_named() -> None:
    env_file = Path(".env")
    env_file.mkdir()
    with pytest.raises(CONFIG_ERRORS, match=r"^\.env: a folder"):
        Settings()
    env_file.rmdir()
    env_file.symlink_to(".env")
    with pytest.raises(CONFIG_ERRORS, match=r"^\.env: cannot be read"):
        Settings()
    env_file.unlink()
    env_file.symlink_to("nothing")
    with pytest.raises(CONFIG_ERRORS, match=r"^\.env: a link"):
        Settings()


@pytest.mark.fault(54)
def test_a_file_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    Path(".env").write_text(f"API_KEYS={SECRET}\n", encoding="utf-8")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(CONFIG_ERRORS, match=r"^\.env: cannot be read: Permission denied$"):
        Settings()


def test_a_pipe_is_left_for_its_one_reader() -> None:
    os.mkfifo(".env")
    fifo = os.open(".env", os.O_RDWR)
    os.write(fifo, b"x")
    check_env_file(Path(".env"), ["API_KEYS"])
    assert os.read(fifo, 9) == b"x"
    os.close(fifo)


@pytest.mark.process
@pytest.mark.fault(54)
@pytest.mark.parametrize("module", ["app", "app.prefetch"])
def test_the_process_ends_with_one_line(tmp_path: Path, module: str) -> None:
    (tmp_path / ".env").write_bytes(ENCODED[0])
    status, lines = ended(tmp_path, module)
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith(".env, line 1: ")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("PRONUNCIATIONS", "KLIA\tkay el\n".encode("utf-16")),
        ("PRONUNCIATIONS", "KLIA\tkay el\n".encode("utf-16-le")),
        ("PRONUNCIATIONS", "Käse\tkay zuh\n".encode("latin-1")),
        ("MODEL_PROFILE", "name = 'ä'\n".encode("latin-1")),
        ("MODEL_PROFILE", "name = 'a'\n".encode("utf-16")),
    ],
)
def test_a_file_of_another_encoding_that_a_setting_names_is_named(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(CONFIG_ERRORS) as caught:
        create_app(Settings(_env_file=None, **{name.lower(): str(tmp_path / "file")}))
    line = config_error_message(caught.value)
    assert str(tmp_path / "file") in line
    assert len(line.splitlines()) == 1


HOSTS = [
    "http://a..b",
    "http://.a",
    "http://" + "a" * 64,
    "http://" + ".".join(["a" * 60] * 5),
    "http://a:0",
    "http://a:65536",
    "http://a:",
    "http://a:b",
    "http://@a",
    "http://user@",
    f"http://user:{SECRET}@a@b",
    f"http://user:{SECRET}@ａ℀",
    "http://müller",
    "http://[::1",
    "http://[a]",
    "http://[]:80",
    "http://a[b]",
    "http://::1:80",
    "http://?a",
]


@pytest.mark.fault(54)
@pytest.mark.parametrize("url", HOSTS)
def test_an_engine_whose_host_cannot_be_is_refused_by_the_settings_name(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_URLS", url)
    with pytest.raises(ValidationError) as caught:
        Settings()
    line = config_error_message(caught.value)
    assert line.startswith("setting ENGINE_URLS: ")
    assert SECRET not in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1]:80/v1",
        "http://a_b-c.d:65535",
        "http://a.example.:80",
        "https://10.0.0.1?key=ü",
        "http://u:p@a",
    ],
)
def test_other_hosts_are_let_in(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_URLS", url)
    assert Settings().engine_urls == (url,)


@pytest.mark.fault(54)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HOST", "a..b"),
        ("HOST", "a" * 64),
        ("VOICES", "[" * 100_000),
        ("CUDA_GRAPH_LENGTHS_S", "[" * 100_000),
        ("API_KEYS", "${KEYS}"),
    ],
)
def test_a_value_that_would_be_a_traceback_or_no_secret_is_refused(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert config_error_message(caught.value).startswith(f"setting {name}: ")
