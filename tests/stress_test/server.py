"""A small speech server on a real socket, with the answers that a test gives it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import socket
import wave
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 24_000
Writer = asyncio.StreamWriter
Answer = Callable[[Writer], Awaitable[None]]


def tone(seconds: float, *, level: float = 0.25, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """Return a hum that begins and ends at zero."""
    return (level * np.sin(2 * np.pi * 200 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(
        np.float32
    )


def pcm(samples: NDArray[np.float32]) -> bytes:
    """Return 16-bit samples."""
    return (samples * 32767).astype("<i2").tobytes()


def wav(samples: NDArray[np.float32], rate_hz: int = RATE_HZ) -> bytes:
    """Return a WAV file with exact sizes."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(pcm(samples))
    return file.getvalue()


def streamed_wav(samples: NDArray[np.float32]) -> bytes:
    """Return a WAV file whose header has no sizes, as it is streamed."""
    file = wav(samples)
    return file[:4] + b"\xff" * 4 + file[8:40] + b"\xff" * 4 + file[44:]


def whole(body: bytes, *, status: str = "200 OK", declared: int | None = None) -> Answer:
    """Answer with one body; `declared` is a wrong Content-Length."""

    async def answer(writer: Writer) -> None:
        length = len(body) if declared is None else declared
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode()
            + body
        )

    return answer


def refused(status: str, code: str) -> Answer:
    """Answer with an error in OpenAI's format."""
    return whole(json.dumps({"error": {"message": "no", "code": code}}).encode(), status=status)


def streamed(*pieces: bytes, gaps_s: Sequence[float] = (), broken: bool = False) -> Answer:
    """Answer with chunks after pauses; `broken`: without the end."""

    async def answer(writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for piece, gap_s in itertools.zip_longest(pieces, gaps_s, fillvalue=0.0):
            await asyncio.sleep(float(gap_s))
            assert isinstance(piece, bytes)
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        if not broken:
            writer.write(b"0\r\n\r\n")

    return answer


def slow(seconds: float, answer: Answer) -> Answer:
    """Answer after a while."""

    async def late(writer: Writer) -> None:
        await asyncio.sleep(seconds)
        await answer(writer)

    return late


async def nothing(writer: Writer) -> None:
    """Close the connection without an answer."""


@dataclass(slots=True)
class SpeechServer:
    """Answers the k-th request with the k-th answer, then from the first again."""

    url: str
    bodies: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    heads: list[str] = field(default_factory=list[str])
    in_flight: int = 0
    most_in_flight: int = 0


@contextlib.asynccontextmanager
async def serving(*answers: Answer) -> AsyncGenerator[SpeechServer]:
    """Serve until the block ends."""
    waiting = itertools.cycle(answers)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    server = SpeechServer(f"http://127.0.0.1:{listener.getsockname()[1]}")

    async def connected(reader: asyncio.StreamReader, writer: Writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        server.heads.append(head)
        server.bodies.append(json.loads(await reader.readexactly(length)))
        server.in_flight += 1
        server.most_in_flight = max(server.most_in_flight, server.in_flight)
        try:
            await next(waiting)(writer)
        finally:
            server.in_flight -= 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async with await asyncio.start_server(connected, sock=listener):
        yield server
