"""create_app: wiring without loading, and the components that it selects."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from fastapi import FastAPI

from app import __version__, main
from app.config.profiles import PRESETS, ProfileError
from app.engine.pool.pool import Pool
from app.errors import NotReady
from app.main import create_app
from tests.fakes import UNREACHABLE, FixedEngine, ToneCodec
from tests.live_server import HELLO, SPEECH, good_request, serving, settings_for_tests, speech_tasks
from tests.waiting import until


def test_uvicorns_command_line_finds_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENGINE_URLS", raising=False)
    assert isinstance(main.app, FastAPI)
    with pytest.raises(AttributeError):
        _ = main.nothing


def test_an_engines_url_chooses_vllm_and_the_production_profile() -> None:
    app = create_app(settings_for_tests(engine_urls=UNREACHABLE))
    service = app.state.service
    assert isinstance(service.engine, Pool)
    assert service.profile.name == "scicom"
    assert service.decoder is None


def test_a_profile_that_needs_an_engine_says_so() -> None:
    with pytest.raises(ProfileError, match="ENGINE_URLS"):
        create_app(settings_for_tests(model_profile="orpheus"))


def test_voices_that_the_embedded_engine_does_not_have_are_refused(tmp_path: Path) -> None:
    assert (
        create_app(settings_for_tests(voices="heron")).state.service.profile.voices.default
        == "heron"
    )
    with pytest.raises(ProfileError, match=r"VOICES: .* not 'bob'"):
        create_app(settings_for_tests(voices="lark,bob"))
    written = (
        (PRESETS / "builtin.toml").read_text().replace('"lark", "heron"', '"lark", "heron", "bob"')
    )
    (tmp_path / "mine.toml").write_text(written)
    with pytest.raises(ProfileError, match=r"MODEL_PROFILE=.* not 'bob'"):
        create_app(settings_for_tests(model_profile=str(tmp_path / "mine.toml")))


def test_the_operators_names_and_defaults_replace_the_profiles() -> None:
    settings = settings_for_tests(
        engine_urls=UNREACHABLE,
        model_name="mine",
        speakers="ana,ben",
        default_voice="ben",
        default_max_tokens=100,
    )
    profile = create_app(settings).state.service.profile
    assert (profile.model, profile.voices.names, profile.voices.default) == (
        "mine",
        ("ana", "ben"),
        "ben",
    )
    assert profile.sampling.max_tokens == 100
    assert profile.serves("Scicom-intl/Multilingual-TTS-1.7B-v0.1")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("MAX_BATCH_SIZE", "many", "setting MAX_BATCH_SIZE"), ("VOICES", "bob", "VOICES")],
)
def test_uvicorns_command_line_is_told_of_bad_settings_in_one_line(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENGINE_URLS", raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as left:
        _ = main.app
    assert words in str(left.value.code)
    assert "\n" not in str(left.value.code)


@pytest.mark.fault(31)
async def test_the_log_says_ready_only_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "app.startup")
    async with serving(settings=settings_for_tests(engine_urls=UNREACHABLE)) as served:
        assert (await served.client.get("/ready")).status_code == 503
    async with serving(FixedEngine([])) as served:
        assert (await served.client.get("/ready")).status_code == 200
    absent, present = [
        message for message in caplog.messages if "codec" in message and "ready: " in message
    ]
    assert absent.startswith("loaded: ")
    assert absent.endswith("; not ready: the engine cannot be reached")
    assert present.startswith("ready: ")


def test_the_first_line_of_the_log_says_what_runs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    create_app(settings_for_tests())
    assert caplog.messages[0] == f"version {__version__}, profile builtin, codec builtin"


@pytest.mark.parametrize(("dynamic", "most"), [(True, 4), (False, 1)])
async def test_dynamic_batching_can_be_turned_off(dynamic: bool, most: int) -> None:
    codec = ToneCodec()
    settings = settings_for_tests(dynamic_batching=dynamic, max_batch_size=4)
    async with serving(FixedEngine(list(range(100))), codec, settings) as served:
        codec.free.clear()
        first = asyncio.create_task(good_request(served))
        assert await asyncio.to_thread(codec.busy.wait, 5)
        others = [asyncio.create_task(good_request(served)) for _ in range(4)]
        await served.until_waiting(4)
        codec.free.set()
        await asyncio.gather(first, *others)
    assert max(len(batch) for batch in codec.batches) == most


class BrokenEngine(FixedEngine):
    """An engine that cannot start, for a reason of its own."""

    async def start(self) -> None:
        """Fail."""
        raise ZeroDivisionError


@pytest.mark.fault(31)
async def test_a_failure_to_load_that_nobody_foresaw_is_told() -> None:
    app = create_app(settings_for_tests(), engine=BrokenEngine([]), codec=ToneCodec())
    service = app.state.service
    async with app.router.lifespan_context(app), asyncio.timeout(5):
        await until(lambda: service.readiness.failed)
        with pytest.raises(NotReady, match="log says why"):
            await service.check()
        assert service.decoder is None
        assert not service.alive


async def test_the_check_for_leftovers_finds_the_tasks_of_a_request() -> None:
    engine = FixedEngine(range(100), stall_after=5)
    async with serving(engine) as served:
        assert speech_tasks() == []
        speaking = asyncio.create_task(served.client.post(SPEECH, json=HELLO))
        await engine.stalled.wait()
        assert {name.rpartition(".")[2] for name in speech_tasks()} >= {"run_asgi", "read"}
        engine.go_on.set()
        assert (await speaking).status_code == 200
        await served.settle()
        assert speech_tasks() == []
