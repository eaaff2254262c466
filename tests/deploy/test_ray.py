"""The deployment on Ray, checked without Ray: settings and start of a replica."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from fastapi import FastAPI

from app.main import create_app
from tests.live_server import settings_for_tests

FILE = Path(__file__).parents[2] / "deploy" / "ray" / "serve_speech.py"


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The file, beside a Ray that has nothing but its names; in a clean folder, and the log put
    back afterwards.
    """
    ray, serve, config = ModuleType("ray"), ModuleType("ray.serve"), ModuleType("ray.serve.config")
    ray.serve = serve  # type: ignore[attr-defined]
    serve.Application = object  # type: ignore[attr-defined]
    config.HTTPOptions = object  # type: ignore[attr-defined]
    for module in (ray, serve, config):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("serve_speech", FILE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield loaded
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_replica_logs_as_its_settings_say(
    deployment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ENGINE_URLS", raising=False)
    monkeypatch.setenv("LOG_LEVEL", "warning")
    monkeypatch.setenv("LOG_FORMAT", "json")
    assert isinstance(deployment.build_app(), FastAPI)
    assert logging.getLogger().level == logging.WARNING
    logging.getLogger("app").warning("told")
    assert '"message":"told"' in capsys.readouterr().err


def test_a_replica_has_its_settings_and_ray_is_not_told_a_key(
    deployment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEYS", "sk-first")
    taken: dict[str, object] = {}

    def deploy(**options: object) -> object:
        taken.update(options)
        return lambda replica: SimpleNamespace(bind=lambda: replica)

    def ingress(begin: Callable[[], FastAPI]) -> object:
        taken["begin"] = begin
        return lambda replica: replica

    deployment.serve.deployment, deployment.serve.ingress = deploy, ingress
    keys: list[str | None] = []

    def build() -> FastAPI:
        keys.append(os.environ.get("API_KEYS"))
        return FastAPI()

    deployment.application(build, settings_for_tests(), replicas=1, gpus=0)
    monkeypatch.delenv("API_KEYS")  # as on another machine
    begin = taken.pop("begin")
    assert callable(begin)
    begin()
    assert keys == ["sk-first"]
    assert "sk-first" not in repr(taken)


def test_a_replica_is_told_all_of_opentelemetrys_settings(
    deployment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("SOMEBODY_ELSES", "1")
    (tmp_path / ".env").write_text("OTEL_EXPORTER_OTLP_HEADERS=a=b\nMAX_VOICES=7\n")
    told = deployment.environment()
    assert (told["OTEL_TRACES_SAMPLER"], told["OTEL_EXPORTER_OTLP_HEADERS"]) == (
        "always_off",
        "a=b",
    )
    assert told["MAX_VOICES"] == "7"
    assert "SOMEBODY_ELSES" not in told


async def test_a_replica_is_healthy_once_it_has_loaded(deployment: ModuleType) -> None:
    def deploy(**_: object) -> object:
        return lambda replica: SimpleNamespace(bind=lambda: replica)

    deployment.serve.deployment = deploy
    deployment.serve.ingress = lambda _: lambda replica: replica
    replica = deployment.application(FastAPI, settings_for_tests(), replicas=1, gpus=0)()
    replica.app = create_app(settings_for_tests())
    readiness = replica.app.state.service.readiness
    check = asyncio.create_task(replica.check_health())
    await asyncio.sleep(0)
    assert not check.done()  # it waits while the service loads
    readiness.set_ready()
    await check
    readiness.set_retrying("no weights")
    with pytest.raises(RuntimeError, match="no weights"):
        await replica.check_health()
    readiness.fail("the device is lost")
    with pytest.raises(RuntimeError, match="the device is lost"):
        await replica.check_health()
