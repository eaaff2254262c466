"""Settings without effect are logged once at start; defaults and presets are silent."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from app.components import build_decoder, build_profile
from app.config.ineffective import ineffective_settings
from app.config.settings import Settings
from app.decode.load_estimate import LoadEstimate
from app.decode.queue import DeadlineQueue
from tests.fakes import UNREACHABLE
from tests.live_server import settings_for_tests

ROOT = Path(__file__).parents[2]
PRESETS = [ROOT / ".env_example", *sorted(ROOT.glob(".env_*dynamicbatching*"))]
GPU, CPU = ("cuda:0", "cuda:1"), ("cpu",)
PER_KEY = "max_concurrent_requests_per_key"


def told(devices: tuple[str, ...], **values: object) -> list[str]:
    settings = settings_for_tests(**values)
    return list(ineffective_settings(settings, build_profile(settings), devices))


@pytest.mark.parametrize(
    ("values", "devices", "lines"),
    [
        (
            {"max_concurrent_requests_per_key": 2},
            CPU,
            ["MAX_CONCURRENT_REQUESTS_PER_KEY has no effect without API_KEYS"],
        ),
        ({PER_KEY: 2, "api_keys": "sk-a"}, CPU, []),
        ({"tts_api_key": "sk-a"}, CPU, ["TTS_API_KEY has no effect without ENGINE_URLS"]),
        ({"tts_api_key": "sk-a", "engine_urls": UNREACHABLE}, CPU, []),
        ({"codec_weights": "random"}, CPU, ["CODEC_WEIGHTS has no effect on the codec builtin"]),
        ({"codec_dtype": "bfloat16"}, CPU, ["CODEC_DTYPE has no effect on the codec builtin"]),
        (
            {"device": "cuda"},
            CPU,
            ["DEVICE has no effect on the codec builtin, which runs on the CPU"],
        ),
        ({"device": "cpu"}, CPU, []),
        (
            {"codec_weights": "random", "codec_dtype": "bfloat16", "engine_urls": UNREACHABLE},
            CPU,
            [],
        ),
        ({"torch_compile": True, "engine_urls": UNREACHABLE}, GPU, []),
        (
            {"torch_compile": True, "engine_urls": UNREACHABLE},
            CPU,
            ["TORCH_COMPILE has no effect on a CPU"],
        ),
        ({"torch_compile": True}, GPU, ["TORCH_COMPILE has no effect on the codec builtin"]),
        (
            {"torch_compile": True, "cuda_graph_lengths_s": "[]", "engine_urls": UNREACHABLE},
            GPU,
            ["TORCH_COMPILE has no effect with CUDA_GRAPH_LENGTHS_S=[]"],
        ),
    ],
)
def test_what_does_nothing_is_told(
    values: dict[str, object], devices: tuple[str, ...], lines: list[str]
) -> None:
    assert told(devices, **values) == lines


@pytest.mark.parametrize("devices", [CPU, GPU])
@pytest.mark.parametrize("engine", [None, UNREACHABLE])
@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.name)
def test_defaults_and_presets_are_silent(
    preset: Path, engine: str | None, devices: tuple[str, ...]
) -> None:
    values = {"engine_urls": engine} if engine else {}
    settings = Settings(_env_file=preset, **values)  # type: ignore[arg-type,call-arg]
    assert list(ineffective_settings(settings, build_profile(settings), devices)) == []


def test_it_is_told_when_the_codec_is_loaded(caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_for_tests(
        device="cpu", torch_compile=True, max_concurrent_requests_per_key=1
    )
    with caplog.at_level(logging.WARNING, logger="app"):
        build_decoder(
            settings,
            build_profile(settings),
            print,
            codec=None,
            queue=DeadlineQueue,
            load_estimate=LoadEstimate(),
        )
    assert [record.getMessage().split()[0] for record in caplog.records] == [
        "MAX_CONCURRENT_REQUESTS_PER_KEY",
        "TORCH_COMPILE",
    ]
