"""The whole service with DEVICE=cuda, under the fake driver. The samples mean nothing there."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.scripted_engine import NEUCODEC, SNAC, TokenScript, scripted_engine
from tests.child_service import Running, start, wait_until_ready
from tests.waiting import until

pytestmark = pytest.mark.fake_cuda
SPEECH: dict[str, object] = {"input": "One sentence for the fake device.", "response_format": "pcm"}


@contextmanager
def service(folder: Path, python: str, **environment: str) -> Generator[Running]:
    running = start(
        folder,
        python=python,
        MAX_BATCH_SIZE="4",
        **environment,
    )
    try:
        yield running
    finally:
        running.end()


@pytest.mark.parametrize(
    ("profile", "script", "devices"),
    [("orpheus", SNAC, "cuda"), ("scicom", NEUCODEC, "cuda:0,cuda:1")],
    ids=["orpheus", "scicom on two devices"],
)
async def test_the_service_loads_answers_and_stops(
    profile: str, script: TokenScript, devices: str, tmp_path: Path, fake_cuda_python: str
) -> None:
    async with scripted_engine(script) as engine:
        with service(
            tmp_path,
            fake_cuda_python,
            MODEL_PROFILE=profile,
            ENGINE_URLS=engine.url,
            CODEC_WEIGHTS="random",
            DEVICE=devices,
            FAKE_CUDA_DEVICES="2",
        ) as running:
            await asyncio.to_thread(wait_until_ready, running)
            answer = await asyncio.to_thread(running.post, "/v1/audio/speech", SPEECH)
            assert answer.status_code == 200, answer.text + running.logged()
            assert len(answer.content) > 10_000
            for device in devices.split(","):
                row = f'tts_decode_device_memory_bytes{{device="{device}"}}'
                assert running.metric(row) > 100e6
            assert running.metric("tts_decode_graph_misses_total") == 0
            running.process.send_signal(signal.SIGTERM)
            status, log = await asyncio.to_thread(running.ended)
    assert status == 0, log


def test_the_built_in_voices_speak(tmp_path: Path, fake_cuda_python: str) -> None:
    with service(tmp_path, fake_cuda_python, DEVICE="cuda") as running:
        wait_until_ready(running)
        answer = running.post("/v1/audio/speech", SPEECH)
        assert answer.status_code == 200, answer.text + running.logged()
        assert len(answer.content) > 10_000
        running.process.send_signal(signal.SIGTERM)
        status, log = running.ended()
    assert status == 0, log


async def test_a_service_whose_device_is_full_says_so_and_is_not_ready(
    tmp_path: Path, fake_cuda_python: str
) -> None:
    async with scripted_engine(SNAC) as engine:
        with service(
            tmp_path,
            fake_cuda_python,
            MODEL_PROFILE="orpheus",
            ENGINE_URLS=engine.url,
            CODEC_WEIGHTS="random",
            DEVICE="cuda",
            FAKE_CUDA_MEMORY_MB="100",
        ) as running:
            await until(lambda: "has too little memory for the codec" in running.logged(), 30)
            assert running.get("/ready").status_code == 503
            assert running.process.poll() is None
