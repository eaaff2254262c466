"""Failed or reported requests are kept without their text and give the same audio again."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import stat
import threading
import wave
from collections.abc import Generator
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.api.history import MAX_REPLAYS, RequestHistory
from app.codec import CodeWindow
from app.config.settings import Settings
from app.engine import Generation, OnTokens, Sampling
from app.errors import CodesNotAvailable, EngineError
from app.replay.cli import main, read_replay, replay_samples
from app.replay.store import MAX_WAITING, ReplayStore, replay_record
from app.synthesis.code_stream import CodeStream
from app.synthesis.stats import KeptCodes
from app.tokens.code_buffer import FrameLayout
from app.tokens.windows import Window
from tests.fakes import UNREACHABLE, FixedEngine, ToneCodec, tone_codes, tone_spec
from tests.live_server import HELLO, SPEECH, Served, serving, settings_for_tests

CODES = tone_codes(300)
TEXT = "Xylophone.[pause:500ms]Zanzibar."


class SecondFails(FixedEngine):
    """The first part is spoken, the second breaks off in the middle."""

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        self.error = EngineError("broke") if "Zanzibar" in prompt else None
        return await super().generate(prompt, sampling, on_tokens)


async def failed(served: Served, name: str = "broken") -> None:
    """A stream that fails in its second part."""
    with pytest.raises(Exception, match="incomplete chunked read"):
        await served.client.post(
            SPEECH, json={**HELLO, "input": TEXT}, headers={"x-request-id": name}
        )


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*"))


@pytest.mark.fault(18)
@pytest.mark.parametrize("exact", [True, False])
async def test_a_failed_request_is_kept_and_sounds_as_its_codes_do(
    tmp_path: Path, exact: bool
) -> None:
    codec, folder = ToneCodec(tone_spec(seamless=exact)), tmp_path / "replays"
    async with serving(
        SecondFails(CODES, gap_s=0.003),
        codec,
        settings_for_tests(replay_folder=str(folder), engine_urls=UNREACHABLE),
    ) as served:
        await failed(served)
        await served.client.post(SPEECH, json=HELLO)
    (file,) = files(folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.name.endswith("-broken.json")
    kept = file.read_text()
    assert "Xylo" not in kept
    assert "Zanzi" not in kept
    replay = read_replay(file)
    assert (replay.request_id, replay.cause) == ("broken", "engine_failed")
    assert [len(take.codes) for take in replay.takes] == [300, 0, 300]
    assert len(replay.takes[0].windows) > 1
    tones = codec.decode([CodeWindow(np.array(CODES, np.int32)[:, None])])[0]
    whole = np.concatenate([tones, np.zeros(12_000, np.float32), tones])
    np.testing.assert_allclose(replay_samples(replay, codec), whole, atol=1e-6)


async def test_nothing_is_kept_unless_it_is_asked_for_and_nothing_of_good_answers(
    tmp_path: Path,
) -> None:
    async with serving(SecondFails(CODES, gap_s=0.003)) as served:
        await failed(served)
    async with serving(
        FixedEngine(CODES), settings=settings_for_tests(replay_folder=str(tmp_path))
    ) as served:
        await served.client.post(SPEECH, json=HELLO)
        await served.client.post(SPEECH, json={**HELLO, "voice": "nobody"})
    assert files(tmp_path) == []


async def report(served: Served, name: str, key: str = "any") -> httpx.Response:
    return await served.client.post(
        f"{SPEECH}/{name}/report", headers={"authorization": f"Bearer {key}"}
    )


async def test_an_answer_that_sounded_wrong_is_kept_when_it_is_reported(tmp_path: Path) -> None:
    codec = ToneCodec()
    async with serving(
        FixedEngine(CODES), codec, settings_for_tests(replay_folder=str(tmp_path))
    ) as served:
        await served.client.post(SPEECH, json=HELLO, headers={"x-request-id": "odd"})
        assert files(tmp_path) == []
        answer = await report(served, "odd")
        assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (
            202,
            "odd",
            "completed",
        )
    (file,) = files(tmp_path)
    replay = read_replay(file)
    assert (replay.request_id, replay.cause) == ("odd", "reported")
    tones = codec.decode([CodeWindow(np.array(CODES, np.int32)[:, None])])[0]
    np.testing.assert_allclose(replay_samples(replay, codec), tones, atol=1e-6)


async def test_a_report_that_the_disk_does_not_take_is_an_error_until_it_does(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "replays"
    async with serving(
        FixedEngine(CODES), settings=settings_for_tests(replay_folder=str(folder))
    ) as served:
        await served.client.post(SPEECH, json=HELLO, headers={"x-request-id": "odd"})
        folder.rmdir()
        folder.write_text("")  # whoever the tests run as, this cannot be written
        for _ in range(2):
            answer = await report(served, "odd")
            assert (answer.status_code, answer.json()["error"]["code"]) == (500, "replay_not_saved")
        folder.unlink()
        assert (await report(served, "odd")).status_code == 202
    assert [read_replay(file).request_id for file in files(folder)] == ["odd"]


async def test_a_client_that_does_not_wait_for_its_report_has_reported_all_the_same(
    tmp_path: Path,
) -> None:
    folder = ReplayStore(tmp_path)
    records, free = RequestHistory(replays=folder), threading.Event()
    with records.track("odd", None) as stats:
        stats.codes = codes_of(10)
    folder._writer.submit(free.wait, 30)
    reported = asyncio.create_task(records.report("odd", None))
    await asyncio.sleep(0)
    reported.cancel()
    await asyncio.wait([reported])
    free.set()
    await asyncio.to_thread(records.close)
    assert len(files(tmp_path)) == 1


async def test_what_was_cancelled_or_failed_can_be_reported_and_is_kept_once(
    tmp_path: Path,
) -> None:
    settings = settings_for_tests(replay_folder=str(tmp_path))
    async with serving(SecondFails(CODES, gap_s=0.003), settings=settings) as served:
        await failed(served)
        assert (await report(served, "broken")).status_code == 202
        async with served.client.stream(
            "POST", SPEECH, json=HELLO, headers={"x-request-id": "left"}
        ) as answer:
            await anext(answer.aiter_raw())
            running = await report(served, "left")
            assert (running.status_code, running.json()["error"]["code"]) == (
                409,
                "request_not_kept",
            )
        await served.settle()
        assert (await report(served, "left")).status_code == 202
    assert sorted(read_replay(file).request_id for file in files(tmp_path)) == ["broken", "left"]


async def test_a_report_says_why_nothing_can_be_kept(tmp_path: Path) -> None:
    async with serving(FixedEngine(CODES)) as served:
        await served.client.post(SPEECH, json=HELLO, headers={"x-request-id": "odd"})
        answer = await report(served, "odd")
        assert (answer.status_code, "REPLAY_FOLDER" in answer.text) == (409, True)
    settings = settings_for_tests(replay_folder=str(tmp_path), api_keys="sk-first,sk-second")
    async with serving(FixedEngine(CODES), settings=settings) as served:
        mine = {"x-request-id": "odd", "authorization": "Bearer sk-first"}
        await served.client.post(SPEECH, json=HELLO, headers=mine)
        assert (await report(served, "odd", "sk-second")).status_code == 404
        assert (await report(served, "odd", "sk-first")).status_code == 202
    assert len(files(tmp_path)) == 1


async def test_what_was_reported_is_kept_once_and_what_left_no_codes_not_at_all(
    tmp_path: Path,
) -> None:
    records = RequestHistory(replays=ReplayStore(tmp_path))
    with records.track("odd", None) as stats:
        stats.codes = codes_of(10)
    for _ in range(2):
        await records.report("odd", None)
    with pytest.raises(EngineError), records.track("refused", None):
        raise EngineError("no engine")
    with pytest.raises(CodesNotAvailable, match="there were none"):
        await records.report("refused", None)
    records.close()
    assert len(files(tmp_path)) == 1


async def test_the_codes_of_the_latest_answers_alone_are_held(tmp_path: Path) -> None:
    records = RequestHistory(replays=ReplayStore(tmp_path))
    for number in range(MAX_REPLAYS + 1):
        with records.track(f"r{number}", None) as stats:
            stats.codes = codes_of(10)
    assert (await records.report("r1", None)).status == "completed"
    with pytest.raises(CodesNotAvailable, match="no longer"):
        await records.report("r0", None)
    records.close()


async def test_a_folder_that_cannot_be_written_any_more_changes_nothing_but_reports(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "replays"
    settings = settings_for_tests(replay_folder=str(folder))
    async with serving(SecondFails(CODES, gap_s=0.003), settings=settings) as served:
        folder.rmdir()
        folder.touch()
        await failed(served)
        answer = await report(served, "broken")
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "replay_not_saved")
        assert (await served.client.post(SPEECH, json=HELLO)).status_code == 200


def stream_of(frames: int) -> CodeStream:
    stream = CodeStream(FrameLayout(0, 1, 65_536), frames)
    stream.feed(list(range(frames)))
    return stream


def codes_of(frames: int) -> KeptCodes:
    stream = stream_of(frames)
    stream.windows.append(Window(0, 0, 2, 3, last=False))
    return KeptCodes("builtin", 4, [(0.0, stream)])


def test_a_part_is_decoded_in_the_context_of_the_one_before_unless_a_pause_lies_between() -> None:
    codec, codes = ToneCodec(), codes_of(10)
    codes.segments.extend([(0.0, stream_of(10)), (0.5, stream_of(10))])
    replay = replay_record(codes, "r", "engine_failed")
    assert len(replay_samples(replay, codec)) == (30 + 25) * 480
    assert codec.batches == [[(0, 3)], [(0, 10)], [(6, 14)], [(45, 10)]]


def test_the_oldest_are_deleted_beyond_the_bounds(tmp_path: Path) -> None:
    folder = ReplayStore(tmp_path, most_files=3)
    for number in range(MAX_WAITING):
        folder.save(codes_of(10), f"r{number}", "engine_failed")
    folder.close()
    assert [file.stem.partition("-")[2] for file in files(tmp_path)] == ["r5", "r6", "r7"]
    small = ReplayStore(tmp_path, most_bytes=3_000)
    for name, frames in (("large", 3_000), ("last", 100)):
        small.save(codes_of(frames), name, "engine_failed")
    small.close()
    assert sum(file.stat().st_size for file in files(tmp_path)) <= 3_000
    assert files(tmp_path)[-1].stem.endswith("-last")


@pytest.fixture
def full_disk() -> Generator[None]:
    """No file of this process grows beyond 8,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.usefixtures("full_disk")
def test_what_a_full_disk_does_not_take_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = ReplayStore(tmp_path)
    for name, frames in (("large", 3_000), ("small", 10)):
        folder.save(codes_of(frames), name, "engine_failed")
    folder.close()
    assert [file.stem.partition("-")[2] for file in files(tmp_path)] == ["small"]


def test_what_a_crash_left_is_deleted_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    left, begun, other = (
        tmp_path / ".123-left.json",
        tmp_path / ".456-begun.json",
        tmp_path / ".mine",
    )
    for file in (left, begun, other):
        file.touch()
    for file in (left, other):
        os.utime(file, (0, 0))
    folder = ReplayStore(tmp_path)
    folder.save(codes_of(10), "r", "engine_failed")
    folder.close()
    assert not left.exists()
    assert len(files(tmp_path)) == 3


def test_what_ends_after_the_folder_is_closed_is_told_so_and_fails_as_it_did(
    tmp_path: Path,
) -> None:
    replays = ReplayStore(tmp_path)
    records = RequestHistory(replays=replays)
    records.close()
    for _ in range(MAX_WAITING + 1):
        assert not replays.save(codes_of(10), "late", "engine_failed")
    with pytest.raises(EngineError, match="broke"), records.track("late", None) as stats:
        stats.codes = codes_of(10)
        raise EngineError("broke")
    assert files(tmp_path) == []


def test_the_command_writes_a_wav(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ReplayStore(tmp_path)
    folder.save(codes_of(40), "r", "engine_length")
    folder.close()
    (file,) = files(tmp_path)
    main([str(file), str(tmp_path / "out.wav")])
    with wave.open(str(tmp_path / "out.wav")) as sound:
        assert sound.getnframes() == 40 * 480
    assert "engine_length" in capsys.readouterr().out
    assert Settings().profile_name == "builtin"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "FILE OUT.wav"),
        (["nowhere.json", "out.wav"], "nowhere.json"),
        (["pyproject.toml", "out.wav"], "JSON"),
    ],
)
def test_what_cannot_be_replayed_ends_the_command_in_one_line(
    arguments: list[str], words: str
) -> None:
    assert words in ended_by(arguments)


def ended_by(arguments: list[str]) -> str:
    """The one line with which the command ends."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    (line,) = str(ended.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("environment", "out", "words"),
    [
        ({"PORT": "abc"}, "out.wav", "setting PORT:"),
        ({"MODEL_PROFILE": "nowhere.toml"}, "out.wav", "nowhere.toml"),
        ({}, "nowhere/out.wav", "nowhere/out.wav"),
    ],
)
def test_what_is_wrong_around_the_file_ends_it_in_one_line_of_its_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    out: str,
    words: str,
) -> None:
    folder = ReplayStore(tmp_path)
    folder.save(codes_of(40), "r", "engine_length")
    folder.close()
    (file,) = files(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    line = ended_by([str(file), str(tmp_path / out)])
    assert words in line
    assert ".json" not in line
