"""Loading that fails: retried, reported by /ready and a metric, and cancelled at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import torch
from fastapi import FastAPI

from app import __version__
from app.codec import Report
from app.codec import torch_load as loading
from app.codec.eager import EagerCodec
from app.codec.load import CodecOptions
from app.config.settings import Settings
from app.engine.embedded.engine import BuiltinEngine
from app.errors import LoadError
from app.main import create_app
from app.startup import FIRST_DELAY_S, MAX_DELAY_S
from tests.fakes import UNREACHABLE, FixedEngine, ToneCodec, tone_spec
from tests.live_server import HELLO, SPEECH, settings_for_tests, until_ready
from tests.metric_values import exported
from tests.waiting import until


class Pauses:
    """A clock that stands still: each pause is recorded, and lasts until the test ends it."""

    def __init__(self) -> None:
        self.lengths_s: list[float] = []
        self._ended = asyncio.Semaphore(0)
        self._begun = asyncio.Semaphore(0)

    async def __call__(self, length_s: float) -> None:
        """Wait until the test ends the pause."""
        self.lengths_s.append(length_s)
        self._begun.release()
        await self._ended.acquire()

    async def next(self) -> None:
        """Return in the next pause."""
        async with asyncio.timeout(5):
            await self._begun.acquire()

    def end(self) -> None:
        """End the pause."""
        self._ended.release()


class LateEngine(FixedEngine):
    """An engine whose first loads fail."""

    failures = 0
    attempts = 0

    async def start(self) -> None:
        """Fail as often as asked."""
        self.attempts += 1
        if self.attempts <= self.failures:
            raise LoadError("the hub cannot be reached")


@asynccontextmanager
async def begun(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """Run the lifespan with a client; at its end no task is left."""
    before = asyncio.all_tasks()
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client,
        app.router.lifespan_context(app),
    ):
        yield client
    assert asyncio.all_tasks() <= before


async def ready_metric(client: httpx.AsyncClient) -> float:
    return exported((await client.get("/metrics")).text, "tts_ready")


@pytest.mark.fault(31)
async def test_what_cannot_be_loaded_is_tried_again_and_ready_says_so_meanwhile() -> None:
    engine, pauses = LateEngine(range(100)), Pauses()
    engine.failures = 2
    async with begun(
        create_app(settings_for_tests(), engine=engine, codec=ToneCodec(), pause=pauses)
    ) as client:
        for _ in range(2):
            await pauses.next()
            for answer in (await client.get("/ready"), await client.post(SPEECH, json=HELLO)):
                assert answer.status_code == 503
                error = answer.json()["error"]
                assert error["code"] == "not_ready"
                assert error["message"] == "the hub cannot be reached; it will be retried"
            assert (await client.get("/health")).status_code == 200
            assert await ready_metric(client) == 0
            pauses.end()
        await until_ready(client)
        assert await ready_metric(client) == 1
        assert (await client.post(SPEECH, json=HELLO)).status_code == 200
    assert pauses.lengths_s == [FIRST_DELAY_S, 2 * FIRST_DELAY_S]


async def test_pauses_grow_to_a_bound() -> None:
    engine, pauses = LateEngine([]), Pauses()
    engine.failures = 8
    async with begun(
        create_app(settings_for_tests(), engine=engine, codec=ToneCodec(), pause=pauses)
    ):
        for _ in range(7):
            await pauses.next()
            pauses.end()
        await pauses.next()
    assert pauses.lengths_s == [5, 10, 20, 40, *[MAX_DELAY_S] * 4]
    assert engine.attempts == 8  # and the end of the service was the end of it


async def test_what_is_loaded_stays_loaded_when_something_else_is_not(tmp_path: Path) -> None:
    (tmp_path / "voices").write_text("")
    settings = settings_for_tests(engine_urls=UNREACHABLE, voices_folder=str(tmp_path / "voices"))
    engine, pauses = LateEngine([]), Pauses()
    engine.failures = 1
    app = create_app(settings, engine=engine, codec=ToneCodec(), pause=pauses)
    async with begun(app) as client:
        await pauses.next()
        assert "VOICES_FOLDER" in (await client.get("/ready")).json()["error"]["message"]
        (tmp_path / "voices").unlink()
        pauses.end()
        await pauses.next()
        assert "hub" in (await client.get("/ready")).json()["error"]["message"]
        pauses.end()
        await until_ready(client)
    assert pauses.lengths_s == [FIRST_DELAY_S, FIRST_DELAY_S]


async def test_an_embedded_engine_whose_weights_come_late_loads_then(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    engine, pauses = BuiltinEngine(weights), Pauses()
    async with begun(
        create_app(settings_for_tests(), engine=engine, codec=ToneCodec(), pause=pauses)
    ) as client:
        await pauses.next()
        assert "token_text.onnx" in (await client.get("/ready")).json()["error"]["message"]
        weights.symlink_to(Path(__file__).parents[1] / "app" / "weights")
        pauses.end()
        await until_ready(client)


async def test_a_service_that_drains_is_not_ready_in_its_metric_either() -> None:
    app = create_app(settings_for_tests(), engine=FixedEngine(range(100)), codec=ToneCodec())
    async with begun(app) as client:
        await until_ready(client)
        assert await ready_metric(client) == 1
        app.state.service.readiness.drain()
        assert await ready_metric(client) == 0


async def test_a_service_without_its_engine_is_not_ready_in_its_metric_either() -> None:
    app = create_app(settings_for_tests(engine_urls=UNREACHABLE), codec=ToneCodec())
    async with begun(app) as client:
        await until(lambda: app.state.service.decoder is not None, 5)
        assert (await client.get("/ready")).status_code == 503
        assert await ready_metric(client) == 0


async def test_the_metrics_tell_what_runs() -> None:
    app = create_app(settings_for_tests(), engine=FixedEngine([]), codec=ToneCodec())
    async with begun(app) as client:
        page = (await client.get("/metrics")).text
        described = (await client.get("/openapi.json")).json()["info"]["version"]
    row = f'tts_build_info{{codec="builtin",profile="builtin",version="{__version__}"}}'
    assert exported(page, row) == 1
    assert described == __version__


@pytest.mark.parametrize("setting", ["replay_folder", "voices_folder"])
async def test_a_folder_that_cannot_be_used_is_told_and_tried_again(
    setting: str, tmp_path: Path
) -> None:
    folder, pauses = tmp_path / "kept", Pauses()
    folder.write_text("")
    settings = settings_for_tests(engine_urls=UNREACHABLE, **{setting: str(folder)})
    app = create_app(settings, engine=FixedEngine([]), codec=ToneCodec(), pause=pauses)
    async with begun(app) as client:
        await pauses.next()
        message = (await client.get("/ready")).json()["error"]["message"]
        assert message == f"{setting.upper()}={folder}: not a folder; it will be retried"
        folder.unlink()
        pauses.end()
        await until_ready(client)
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


async def test_a_folder_that_the_system_does_not_let_be_made_is_told(tmp_path: Path) -> None:
    pauses = Pauses()
    settings = settings_for_tests(replay_folder="/proc/nope")
    async with begun(
        create_app(settings, engine=FixedEngine([]), codec=ToneCodec(), pause=pauses)
    ) as client:
        await pauses.next()
        assert "REPLAY_FOLDER=/proc/nope: cannot be written" in (await client.get("/ready")).text


def neucodec_settings(**values: object) -> Settings:
    return settings_for_tests(model_profile="scicom", engine_urls=UNREACHABLE, **values)


def load_tone(
    _options: CodecOptions, device: str, _dtype: torch.dtype, _report: Report
) -> EagerCodec:
    """Load a codec of samples that are its codes, in place of NeuCodec."""
    spec = tone_spec(samples_per_frame=480)
    return EagerCodec(spec, lambda codes, *_: codes[..., 0].float().repeat(1, 480), device)


@pytest.mark.fault(61)
async def test_a_codec_that_finds_no_room_on_its_device_is_loaded_when_there_is_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process on the same card, as a vLLM that starts, may let go of its memory again."""
    attempts, pauses = list[str](), Pauses()

    def load(options: CodecOptions, device: str, dtype: torch.dtype, report: Report) -> EagerCodec:
        attempts.append(device)
        if len(attempts) <= 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return load_tone(options, device, dtype, report)

    monkeypatch.setattr(loading, "_load", load)
    async with begun(
        create_app(neucodec_settings(device="cpu"), engine=FixedEngine([]), pause=pauses)
    ) as client:
        for _ in range(2):
            await pauses.next()
            answer = await client.get("/ready")
            assert answer.status_code == 503
            assert "DEVICE=cpu has too little memory" in answer.json()["error"]["message"]
            pauses.end()
        await until_ready(client)
    assert attempts == ["cpu"] * 3


@pytest.mark.parametrize("has_gpu", [True, False])
async def test_a_gpu_that_torch_cannot_use_is_reported(
    has_gpu: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def init() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 12080).")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(loading, "machine_has_gpu", lambda: has_gpu)
    monkeypatch.setattr(loading, "_load", load_tone)
    async with begun(
        create_app(neucodec_settings(device="auto"), engine=FixedEngine([]))
    ) as client:
        await until_ready(client)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    reported = [line for line in warnings if "DEVICE=auto decodes on the CPU" in line]
    assert len(reported) == has_gpu
    assert all("too old (found version 12080)" in line for line in reported)
