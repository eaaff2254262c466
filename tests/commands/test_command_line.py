"""The command line: defaults, errors and imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from app import __main__ as command_line
from app import __version__
from app.__main__ import FORMATS, SUFFIXES, parse
from app.config.types import Format
from stress_test.__main__ import main as stress_test

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "host", "port"),
    [
        ([], None, None),
        (["serve"], None, None),
        (["--port", "8000"], None, 8000),
        (["serve", "--host", "::1", "--port", "0"], "::1", 0),
    ],
)
def test_serve_is_the_default(arguments: list[str], host: str | None, port: int | None) -> None:
    parsed = parse(arguments)
    assert parsed.run == parse(["serve"]).run
    assert (parsed.host, parsed.port) == (host, port)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["speak"], "invalid choice: 'speak'"),
        (["--prot", "8000"], "unrecognized arguments: --prot 8000"),
        (["serve", "--port", "x"], "--port: invalid"),
        (["serve", "--port", "65536"], "from 0 to 65535"),
        (["say", "Hi.", "--speed", "fast"], "--speed: invalid"),
        (["say", "Hi.", "-o", "a.txt"], "unknown suffix .txt"),
        (["replay", "one.json"], "OUT.wav"),
        (["prefetch", "orpheus"], "unrecognized arguments: orpheus"),
    ],
)
def test_a_wrong_command_line_is_an_error_with_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        parse(arguments)
    assert left.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "a.mp3", "--format", "wav"], "contradicts the suffix of a.mp3"),
        (["--format", "mp3"], "--format needs --output"),
    ],
)
def test_a_format_that_does_not_fit_the_output_is_an_error_with_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parsed = parse(["say", "Hi.", *arguments])
    with pytest.raises(SystemExit) as left:
        parsed.run(parsed)
    assert left.value.code == 2
    assert words in capsys.readouterr().err


def test_the_formats_are_those_of_the_api() -> None:
    assert set(FORMATS) == set(get_args(Format)) == set(SUFFIXES.values())


@pytest.mark.parametrize("before", [[], ["-o", "a.wav"], ["--voice", "lark", "-o", "-"]])
def test_the_words_of_a_text_need_no_quotes(before: list[str]) -> None:
    assert parse(["say", *before, "Hello", "there."]).text == ["Hello", "there."]


def test_stress_passes_its_options_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        stress_test(["--help"])
    own = capsys.readouterr().out
    assert "--concurrency" in own
    monkeypatch.setattr(sys, "argv", ["speech-server", "stress", "--help"])
    with pytest.raises(SystemExit) as left:
        command_line.main()
    assert left.value.code == 0
    assert capsys.readouterr().out == own


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_no_libraries(option: str) -> None:
    code = f"""
import runpy, sys
sys.argv = ["app", {option!r}]
try:
    runpy.run_module("app", run_name="__main__")
finally:
    print("heavy:", sorted({{"pydantic", "fastapi", "numpy"}} & sys.modules.keys()))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("heavy: []\n")
    commands = ("serve", "say", "prefetch", "replay", "stress")
    expected = commands if option == "--help" else [f"speech-server {__version__}"]
    assert [each for each in expected if each not in ran.stdout] == []
