"""One speech request over aiohttp, with the arrival time of each chunk."""

from __future__ import annotations

import errno
import json
import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from stress_test.load import PATH, Load, RequestSpec

CODE = re.compile(r"[a-z0-9_]{1,40}")
MAX_ERROR_BYTES = 65_536


@dataclass(slots=True)
class Recording:
    """Response as it arrived; all times by time.monotonic()."""

    request: RequestSpec
    due_s: float
    sent_s: float
    ended_s: float = 0.0
    chunks: list[bytes] = field(default_factory=list[bytes])
    arrived_s: list[float] = field(default_factory=list[float])
    # Indexes of the chunks that end one write of the server.
    write_ends: list[int] = field(default_factory=list[int])
    answered: bool = False  # a status was received
    headers: dict[str, str] = field(default_factory=dict[str, str])
    error: str | None = None


@asynccontextmanager
async def session(load: Load) -> AsyncGenerator[aiohttp.ClientSession]:
    """Open an HTTP session with the load's API key, without a connection limit or proxies."""
    headers = {"Authorization": f"Bearer {load.api_key}"} if load.api_key else {}
    timeout = aiohttp.ClientTimeout(total=load.timeout_s)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers
    ) as opened:
        yield opened


async def send(
    client: aiohttp.ClientSession, load: Load, request: RequestSpec, due_s: float
) -> Recording:
    """Send a request and record its response; an error is recorded, not raised."""
    recording = Recording(request, due_s, time.monotonic())
    try:
        await _receive(client, load, recording)
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        recording.error = connection_error(exc, answered=recording.answered)
    recording.ended_s = time.monotonic()
    return recording


async def _receive(client: aiohttp.ClientSession, load: Load, recording: Recording) -> None:
    body = {**load.body, **recording.request.fields, "input": recording.request.text}
    async with client.post(load.base_url + PATH, json=body, allow_redirects=False) as answer:
        recording.answered = True
        recording.headers = {key.lower(): value for key, value in answer.headers.items()}
        if answer.status != 200:
            recording.error = status_error(
                answer.status, await answer.content.read(MAX_ERROR_BYTES)
            )
            return
        async for data, ends_write in answer.content.iter_chunks():
            if data:
                recording.arrived_s.append(time.monotonic())
                recording.chunks.append(data)
            if ends_write:
                recording.write_ends.append(len(recording.chunks) - 1)


def status_error(status: int, body: bytes) -> str:
    """Name an error response: its status, and the `code` of an error in OpenAI's format."""
    try:
        code = str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}"
    return f"status {status} {code}" if CODE.fullmatch(code) else f"status {status}"


def connection_error(exc: Exception, *, answered: bool) -> str:
    """Name a connection error; `answered`: a status was received before it."""
    if isinstance(exc, TimeoutError):
        return "timed out"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return "connection refused" if exc.errno == errno.ECONNREFUSED else "connection failed"
    return "broken body" if answered else "broken off before a status"
