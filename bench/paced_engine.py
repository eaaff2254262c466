"""Fake vLLM with a fixed token rate: `python -m bench.paced_engine --tokens-per-s 380`.

It answers POST /v1/completions with a stream in the format of vLLM 0.32, with `stream_interval`
tokens per event. The stream has `max_tokens` tokens, or as many as `--tokens-per-character` gives
for the prompt. Like vLLM's scheduler it advances all streams in one step. Without `--tokens-per-s`
the duration of a step grows with the number of streams, with constants fitted to public figures of
a 1.7B model on an H100 and an H200. The first line it prints is its port. GET on any other path
than those of the service's probes returns how well it kept its rate since the last such GET, and
when it sent the codes of each prompt's first window.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import cast

import orjson
import uvloop

from bench.token_pace import Pace, Timetable

PROBES = (b"/health", b"/v1/models")  # GET requests of the service, which reset no counts
ID_OFFSET = 151_936
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
)


def chunk(payload: bytes) -> bytes:
    """Encode one event as one HTTP chunk."""
    data = b"data: " + payload + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(numbers: list[int], finish_reason: str | None) -> bytes:
    """Build an event with the fields of vLLM, and so with its size."""
    choice = {
        "index": 0,
        "text": "".join(f"<|s_{number}|>" for number in numbers),
        "logprobs": None,
        "finish_reason": finish_reason,
        "stop_reason": None,
        "prompt_token_ids": None,
        "token_ids": [number + ID_OFFSET for number in numbers],
    }
    identity = {
        "id": "cmpl-8d7d8dbe4260c038",
        "object": "text_completion",
        "created": 1_795_387_075,
        "model": "paced",
    }
    return chunk(orjson.dumps({**identity, "choices": [choice]}))


@dataclass(frozen=True, slots=True)
class Request:
    """Fields of a request that the fake engine uses."""

    prompt: str
    tokens: int
    finish_reason: str = "length"
    stream_interval: int = 1

    @classmethod
    def of(cls, http: bytes, tokens_per_character: float | None = None) -> Request:
        """Parse the bytes of a complete HTTP request.

        With `tokens_per_character` the length of the prompt determines the number of tokens.
        """
        body = orjson.loads(http.partition(b"\r\n\r\n")[2])
        prompt = body.get("prompt", "")
        max_tokens = body["max_tokens"]
        tokens = max_tokens
        if tokens_per_character is not None:
            tokens = max(1, round(len(prompt) * tokens_per_character))
        reason = "stop" if tokens < max_tokens else "length"
        return cls(prompt, min(tokens, max_tokens), reason, body.get("stream_interval", 1))


class Answer:
    """One stream, which each step advances by one token."""

    def __init__(
        self, transport: asyncio.WriteTransport, request: Request, vocabulary: int
    ) -> None:
        self.queued_s = time.monotonic()
        self._transport = transport
        self._request = request
        self._vocabulary = vocabulary
        self._generated = 0
        self.sent = 0
        transport.write(HEAD)

    @property
    def prompt(self) -> str:
        """Prompt of the request."""
        return self._request.prompt

    def step(self) -> bool:
        """Generate a token and send a due event; return False at the end or without a client."""
        if self._transport.is_closing():  # uvloop raises on a write
            return False
        self._generated += 1
        ended = self._generated == self._request.tokens
        if ended or self.sent == 0 or self._generated - self.sent >= self._request.stream_interval:
            numbers = [i * 7919 % self._vocabulary for i in range(self.sent, self._generated)]
            self.sent = self._generated
            self._transport.write(event(numbers, self._request.finish_reason if ended else None))
        if ended:
            self._transport.write(chunk(b"[DONE]") + b"0\r\n\r\n")
            self._transport.close()
        return not ended


@dataclass(frozen=True, slots=True)
class PaceReport:
    """Timing of the engine since the last report.

    `first_windows`: time.monotonic() at which the codes of a prompt's first window were sent.
    """

    steps: int
    late_steps: int
    lost_s: float
    cpu_share: float  # of a core
    first_windows: dict[str, float]


class PacedEngine:
    """Advances all streams in one step."""

    def __init__(
        self,
        pace: Pace,
        vocabulary: int,
        window_tokens: int,
        tokens_per_character: float | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.tokens_per_character = tokens_per_character
        self._pace = pace
        self._timetable = Timetable(pace)
        self._window_tokens = window_tokens
        self._waiting: list[Answer] = []
        self._running: list[Answer] = []
        self._first_windows: dict[str, float] = {}
        self._queued = asyncio.Event()
        self._counted_s = time.monotonic(), time.process_time()

    def queue(self, answer: Answer) -> None:
        """Queue an answer; its first token is due after `Pace.first_s`."""
        self._waiting.append(answer)
        self._queued.set()

    def report(self) -> PaceReport:
        """Return the counts since the last report and reset them."""
        table, (clock_s, cpu_s) = self._timetable, self._counted_s
        self._counted_s = time.monotonic(), time.process_time()
        cpu_share = (self._counted_s[1] - cpu_s) / (self._counted_s[0] - clock_s)
        report = PaceReport(
            table.steps, table.late_steps, table.lost_s, cpu_share, self._first_windows
        )
        table.clear()
        self._first_windows = {}
        return report

    async def run(self) -> None:
        """Run steps until cancelled."""
        while True:
            if not self._running:
                await self._idle()
                self._timetable.resume(time.monotonic())
            self._admit()
            pause_s = self._timetable.step(time.monotonic(), len(self._running))
            self._running = [answer for answer in self._running if self._step(answer)]
            await asyncio.sleep(pause_s)

    async def _idle(self) -> None:
        """Wait until the first queued answer is due."""
        while not self._waiting:
            self._queued.clear()
            await self._queued.wait()
        await asyncio.sleep(self._waiting[0].queued_s + self._pace.first_s - time.monotonic())

    def _admit(self) -> None:
        due_s = time.monotonic() - self._pace.first_s
        while self._waiting and (not self._running or self._waiting[0].queued_s <= due_s):
            self._running.append(self._waiting.pop(0))

    def _step(self, answer: Answer) -> bool:
        before, more = answer.sent, answer.step()
        if before < self._window_tokens and (answer.sent >= self._window_tokens or not more):
            self._first_windows[answer.prompt] = time.monotonic()
        return more


class Connection(asyncio.Protocol):
    """One connection, which carries one request."""

    def __init__(self, engine: PacedEngine) -> None:
        self._engine = engine
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport does not inherit from WriteTransport.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.startswith(b"GET ") and self._received.endswith(b"\r\n\r\n"):
            is_probe = self._received.split(b" ", 2)[1] in PROBES
            body = orjson.dumps({} if is_probe else asdict(self._engine.report()))
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            )
            self._received = b""
        elif self._received.endswith(b"}"):
            request = Request.of(self._received, self._engine.tokens_per_character)
            self._engine.queue(Answer(self._transport, request, self._engine.vocabulary))


@contextlib.contextmanager
def paced_engine(*options: str) -> Iterator[str]:
    """Run the engine in a separate process with these options; yield its completions URL."""
    command = [sys.executable, "-m", "bench.paced_engine", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1/completions"
        finally:
            process.terminate()


async def serve(engine: PacedEngine) -> None:
    """Print the port and serve until cancelled."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(engine), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await engine.run()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tokens-per-s", type=float, help="token rate of each stream, independent of their number"
    )
    parser.add_argument(
        "--step-ms", type=float, default=2.2, help="duration of a step without streams (fitted)"
    )
    parser.add_argument(
        "--step-ms-per-stream", type=float, default=0.026, help="added duration per stream (fitted)"
    )
    parser.add_argument(
        "--first-ms", type=float, default=25.0, help="time to the first token (fitted)"
    )
    parser.add_argument("--window-tokens", type=int, default=30, help="codes of a first window")
    parser.add_argument("--vocabulary", type=int, default=65_536)
    parser.add_argument(
        "--tokens-per-character",
        type=float,
        help="tokens per character of the prompt; default: max_tokens of the request",
    )
    arguments = parser.parse_args()
    pace = Pace(
        arguments.step_ms / 1000, arguments.step_ms_per_stream / 1000, arguments.first_ms / 1000
    )
    if arguments.tokens_per_s:
        pace = Pace(1 / arguments.tokens_per_s)
    engine = PacedEngine(
        pace, arguments.vocabulary, arguments.window_tokens, arguments.tokens_per_character
    )
    uvloop.run(serve(engine))


if __name__ == "__main__":
    main()
