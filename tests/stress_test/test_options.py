"""The command line, the environment, and the program as a whole."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stress_test.__main__ import describe, main
from stress_test.load import TEXT, Load
from stress_test.options import parse
from stress_test.progress import Progress
from stress_test.result import read
from tests.stress_test.outcomes import completed, failed
from tests.stress_test.server import Answer, refused, serving, slow, streamed_wav, tone, whole
from tests.waiting import until

ROOT = Path(__file__).parents[2]
GOOD = whole(streamed_wav(tone(1.0)))


def test_without_anything_it_is_the_load_of_the_published_figures() -> None:
    load = parse([], {}).load
    assert (load.concurrency, load.requests, load.warmup_count) == (50, 50, 3)
    assert (load.url, load.texts, load.response_format) == ("http://localhost:9091", (TEXT,), "wav")
    assert describe(load) == "3 warm-up requests, then 50 at once to http://localhost:9091"


def test_the_environment_sets_what_it_did_and_a_key() -> None:
    environment = {
        "CONCURRENCY": "7",
        "WARMUP_COUNT": "0",
        "LOCAL_TTS_API": "http://a:1",
        "API_KEY": "k",
    }
    load = parse([], environment).load
    assert (load.concurrency, load.requests, load.warmup_count) == (7, 7, 0)
    assert (load.base_url, load.api_key) == ("http://a:1", "k")
    assert parse([], {**environment, "STRESS_API_KEY": "own"}).load.api_key == "own"
    assert parse([], {"STRESS_JSON": "a.json", "STRESS_HTML": ""}).json == Path("a.json")


def test_options_choose_the_load(tmp_path: Path) -> None:
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("One.\n\n Two. \n", encoding="utf-8")
    load = parse(
        ["--sentences", str(sentences), "--rate", "2.5", "--duration", "60", "--format", "mp3"], {}
    ).load
    assert load.texts == ("One.", "Two.")
    assert (load.rate, load.duration_s, load.requests) == (2.5, 60.0, None)
    assert "then 2.5 requests a second for 60 s to" in describe(load)
    load = parse(
        ["--requests", "200", "--concurrency", "8", "--whole", "--processes", "2"], {}
    ).load
    assert (load.requests, load.concurrency, load.stream, load.processes) == (200, 8, False, 2)
    assert "then 200 requests, 8 in flight, to" in describe(load)
    assert parse(["--duration", "5"], {}).load.requests is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", "127.0.0.1:9091"],
        ["--url", "localhost"],
        ["--url", "http://"],
        ["--url", "http://a:99999"],
        ["--rate", "5"],
        ["--rate", "5", "--duration", "1", "--requests", "5"],
        ["--rate", "0", "--duration", "1"],
        ["--rate", "inf", "--duration", "1"],
        ["--concurrency", "0"],
        ["--processes", "-1"],
        ["--format", "midi"],
        ["--sentences", "/nowhere/at/all"],
        ["--sentences", os.devnull],
        ["--json", "/nowhere/at/all.json"],
    ],
)
def test_what_does_not_fit_together_ends_with_a_message(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, {})
    assert ended.value.code == 2
    assert arguments[0].strip("-") in capsys.readouterr().err


def test_a_compressed_format_needs_its_decoder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stress_test.compressed.available", lambda: False)
    assert parse(["--format", "pcm"], {}).load.response_format == "pcm"
    with pytest.raises(SystemExit):
        parse(["--format", "opus"], {})
    assert "pip install av" in capsys.readouterr().err


class Terminal(io.StringIO):
    """Text written to a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_and_nothing_else_does() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for out in (terminal, pipe):
        progress = Progress(4, out)
        for outcome in (completed(), failed("timed out"), completed()):
            progress.count(outcome)
        progress.end()
    last = terminal.getvalue().splitlines()[-1].split("\r")[-1]
    assert last == "[" + "#" * 22 + " " * 8 + "] 3/4, 1 failed"
    assert pipe.getvalue() == ""
    unknown = Terminal()
    Progress(None, unknown).end()
    assert unknown.getvalue() == "\r0 answers\n"


@pytest.mark.parametrize(
    ("answer", "status"),
    [(GOOD, 0), (refused("429 Too Many Requests", "overloaded"), 1), (whole(b""), 1)],
)
async def test_the_exit_status_says_whether_all_spoke(answer: Answer, status: int) -> None:
    async with serving(answer) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stress_test"),
            env={
                **os.environ,
                "CONCURRENCY": "2",
                "WARMUP_COUNT": "1",
                "LOCAL_TTS_API": server.url,
            },
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        printed, said = await process.communicate()
    assert process.returncode == status
    assert b"Total Requests: 2" in printed
    assert b"1 warm-up requests, then 2 at once" in said
    assert len(server.bodies) == 3


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell's background job ignores SIGINT and hands that on; what the test starts must not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.process
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("processes", ["1", "2"])
async def test_an_interrupted_load_reports_what_it_has_heard(processes: str) -> None:
    late = slow(60.0, GOOD)
    async with serving(GOOD, late, GOOD, GOOD, GOOD, late) as server:
        arguments = ["--url", server.url, "--requests", "40", "--concurrency", "2", "--warmup", "0"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stress_test", *arguments, "--processes", processes),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        await until(lambda: server.in_flight >= 2 and len(server.bodies) >= 6, 30)
        await asyncio.sleep(
            0.2
        )  # in which the last of four may not have been listened to, but the first has
        process.send_signal(signal.SIGINT)
        printed, said = await process.communicate()
    assert process.returncode == 130
    assert re.search(rb"Total Requests: [1-4]\n", printed)
    assert b"interrupted" in said
    assert b"Traceback" not in said


async def test_results_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    files = ["--json", str(tmp_path / "a.json"), "--html", str(tmp_path / "a.html")]
    async with serving(GOOD) as server:
        arguments = ["--url", server.url, "--concurrency", "2", "--warmup", "0", *files]
        assert await asyncio.to_thread(main, arguments) == 0
    assert len(read(tmp_path / "a.json").run.outcomes) == 2
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_load_of_places_that_begin_together_has_no_ramp() -> None:
    assert Load("", concurrency=3).client_starts_s == [0.0, 0.0, 0.0]
