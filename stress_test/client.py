"""One speech request, and when each piece of its answer came."""

from __future__ import annotations

import errno
import json
import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from stress_test.load import PATH, Ask, Load

CODE = re.compile(r"[a-z0-9_]{1,40}")
LARGEST_ERROR_BYTES = 65_536


@dataclass(slots=True)
class Recording:
    """An answer as it came; all moments by time.monotonic()."""

    ask: Ask
    due_s: float
    sent_s: float
    ended_s: float = 0.0
    chunks: list[bytes] = field(default_factory=list[bytes])
    came_s: list[float] = field(default_factory=list[float])
    joins: list[int] = field(
        default_factory=list[int]
    )  # numbers of the chunks that end a write of the server
    answered: bool = False  # a status has come
    headers: dict[str, str] = field(default_factory=dict[str, str])
    error: str | None = None


@asynccontextmanager
async def session(load: Load) -> AsyncGenerator[aiohttp.ClientSession]:
    """As many connections as the load wants, with its key; neither proxies nor redirects."""
    headers = {"Authorization": f"Bearer {load.api_key}"} if load.api_key else {}
    timeout = aiohttp.ClientTimeout(total=load.timeout_s)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers
    ) as opened:
        yield opened


async def speak(client: aiohttp.ClientSession, load: Load, ask: Ask, due_s: float) -> Recording:
    """Ask, and note when each piece of the answer comes. A failure is in the recording, not raised."""
    recording = Recording(ask, due_s, time.monotonic())
    try:
        await _receive(client, load, recording)
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        recording.error = error_of(exc, answered=recording.answered)
    recording.ended_s = time.monotonic()
    return recording


async def _receive(client: aiohttp.ClientSession, load: Load, recording: Recording) -> None:
    body = load.body | {"input": recording.ask.text}
    async with client.post(load.base_url + PATH, json=body, allow_redirects=False) as answer:
        recording.answered, recording.headers = (
            True,
            {key.lower(): value for key, value in answer.headers.items()},
        )
        if answer.status != 200:
            recording.error = refusal(answer.status, await answer.content.read(LARGEST_ERROR_BYTES))
            return
        async for data, ends_write in answer.content.iter_chunks():
            if data:
                recording.came_s.append(time.monotonic())
                recording.chunks.append(data)
            if ends_write:
                recording.joins.append(len(recording.chunks) - 1)


def refusal(status: int, body: bytes) -> str:
    """The kind of an answer that is no speech: its status, and the code of an error in OpenAI's shape."""
    try:
        code = str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}"
    return f"status {status} {code}" if CODE.fullmatch(code) else f"status {status}"


def error_of(exc: Exception, *, answered: bool) -> str:
    """The kind of a failure of the connection; `answered`: a status had come."""
    if isinstance(exc, TimeoutError):
        return "timed out"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return "connection refused" if exc.errno == errno.ECONNREFUSED else "connection failed"
    return "broken body" if answered else "broken off before a status"
