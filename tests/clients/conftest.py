"""A service as it is first run, but with a key, and third-party clients that use it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.child_service import Running, running_in
from tests.clients.environment import HERE, node_beside, python_with
from tests.vllm.environment import CannotInstall

KEY = "sk-clients"
VOICES = {"livekit": "ash", "pipecat": "alloy", "litellm": "alloy", "node": "coral"}
OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # LiteLLM would look for prices on the internet


@dataclass(frozen=True, slots=True)
class Said:
    """Report of a client's script: samples or a file on success, else its error."""

    samples: int = 0
    rate_hz: int = 0
    audio: bytes = b""
    chunks: int = 0
    error: str = ""
    message: str = ""
    left: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """One client in a process of its own, and its default voice."""

    name: str
    voice: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways in which it can read an answer."""
        return ("whole", "stream") if self.name == "node" else ("whole",)

    async def say(self, url: str, text: str, action: str = "whole", **chosen: str) -> Said:
        """Speak a text, and return the script's report."""
        asked = json.dumps(
            {"url": f"{url}/v1", "key": KEY, "text": text, "action": action, **chosen}
        )
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{asked}\n")
        self.process.stdin.flush()
        try:
            async with asyncio.timeout(120):
                line = await asyncio.to_thread(self.process.stdout.readline)
        except TimeoutError:
            self.process.kill()  # so that the thread above ends
            raise
        assert line, self.log.read_text()[-3000:]
        said = json.loads(line)
        return Said(**{**said, "audio": base64.b64decode(said.get("audio", ""))})


def command(name: str) -> list[str]:
    if name == "node":
        return ["node", str(node_beside(HERE / "speak_node.mjs"))]
    return [str(python_with(name)), str(HERE / f"speak_{name}.py")]


@pytest.fixture(scope="session", params=["livekit", "pipecat", "litellm", "node"])
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Client]:
    name = request.param
    try:
        started = command(name)
    except CannotInstall as exc:
        pytest.skip(f"{name} cannot be installed: {exc}")
    log = tmp_path_factory.mktemp("client") / "log.txt"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            started,
            text=True,
            env={**os.environ, **OFFLINE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        yield Client(name, VOICES[name], process, log)
        process.kill()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    folder = tmp_path_factory.mktemp("clean")
    with running_in(folder, API_KEYS=f"sk-other,{KEY}", LOG_LEVEL="error") as running:
        yield running


def pcm(running: Running, text: str, voice: str) -> bytes:
    """Return the same text by the same voice, whole and without the delay of a format."""
    body = {"input": text, "voice": voice, "response_format": "pcm", "stream": False}
    headers = {"authorization": f"Bearer {KEY}"}
    return httpx.post(
        f"{running.url}/v1/audio/speech", json=body, headers=headers, trust_env=False
    ).content


def outcomes(running: Running) -> dict[str, float]:
    """Speech requests so far, by outcome."""
    rows = httpx.get(f"{running.url}/metrics", trust_env=False).text.splitlines()
    start_of_row = 'tts_requests_total{outcome="'
    counted = [
        row.removeprefix(start_of_row).split('"} ') for row in rows if row.startswith(start_of_row)
    ]
    return {name: float(number) for name, number in counted}


def since(running: Running, before: dict[str, float]) -> dict[str, float]:
    """The outcomes since then, once nothing is in flight."""
    deadline_s = time.monotonic() + 10
    while running.metric("tts_requests_in_flight"):
        assert time.monotonic() < deadline_s, (
            "a request that nobody waits for still holds its place"
        )
        time.sleep(0.05)
    more = {name: number - before.get(name, 0) for name, number in outcomes(running).items()}
    return {name: number for name, number in more.items() if number}
