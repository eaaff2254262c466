"""A stand-in for vLLM that speaks at a set pace: `python -m bench.paced_engine --tokens-per-s 380`.

It answers POST /v1/completions with a stream as vLLM 0.32 words it, `stream_interval` tokens an
event and `max_tokens` in all, or as many as `--tokens-per-character` gives a prompt; like vLLM's
scheduler it advances all streams in one step. Without `--tokens-per-s` a step takes longer the more
streams run, with constants fitted to public figures of a 1.7B model on an H100 and an H200. The port it
listens on is the first line it prints; a GET of any path says how well it kept its pace since the last
one, and when it sent the codes of each prompt's first window.
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

from bench.pace import Pace, Timetable

ID_OFFSET = 151_936
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
)


def chunk(payload: bytes) -> bytes:
    """One event in one HTTP chunk."""
    data = b"data: " + payload + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(numbers: list[int], finish_reason: str | None) -> bytes:
    """An event with the fields, and so the size, that vLLM gives it."""
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
    """What a stand-in needs of a request's JSON."""

    prompt: str
    tokens: int
    finish_reason: str = "length"
    stream_interval: int = 1

    @classmethod
    def of(cls, http: bytes, tokens_per_character: float | None = None) -> Request:
        """From the bytes of a whole HTTP request; it ends by itself where a character has so many tokens."""
        body = orjson.loads(http.partition(b"\r\n\r\n")[2])
        prompt, most = body.get("prompt", ""), body["max_tokens"]
        wanted = (
            most
            if tokens_per_character is None
            else max(1, round(len(prompt) * tokens_per_character))
        )
        reason = "stop" if wanted < most else "length"
        return cls(prompt, min(wanted, most), reason, body.get("stream_interval", 1))


class Answer:
    """One stream, written a step at a time."""

    def __init__(
        self, transport: asyncio.WriteTransport, request: Request, vocabulary: int
    ) -> None:
        self.asked_s = time.monotonic()
        self._transport, self._request, self._vocabulary = transport, request, vocabulary
        self._made = 0
        self.sent = 0
        transport.write(HEAD)

    @property
    def prompt(self) -> str:
        """What was asked."""
        return self._request.prompt

    def step(self) -> bool:
        """Make one token, and send what is due; False at the end."""
        self._made += 1
        ended = self._made == self._request.tokens
        if ended or self.sent == 0 or self._made - self.sent >= self._request.stream_interval:
            numbers = [i * 7919 % self._vocabulary for i in range(self.sent, self._made)]
            self.sent = self._made
            self._transport.write(event(numbers, self._request.finish_reason if ended else None))
        if ended:
            self._transport.write(chunk(b"[DONE]") + b"0\r\n\r\n")
            self._transport.close()
        return not ended and not self._transport.is_closing()


@dataclass(frozen=True, slots=True)
class Account:
    """How the pace was kept; `first_windows`: by prompt, when its codes were sent, by time.monotonic()."""

    steps: int
    late_steps: int
    lost_s: float
    cpu_share: float  # of a core
    first_windows: dict[str, float]


class PacedEngine:
    """All streams, one step at a time."""

    def __init__(
        self,
        pace: Pace,
        vocabulary: int,
        window_tokens: int,
        tokens_per_character: float | None = None,
    ) -> None:
        self.vocabulary, self.tokens_per_character = vocabulary, tokens_per_character
        self._pace, self._timetable, self._window_tokens = pace, Timetable(pace), window_tokens
        self._waiting: list[Answer] = []
        self._running: list[Answer] = []
        self._first_windows: dict[str, float] = {}
        self._asked = asyncio.Event()
        self._counted_s = time.monotonic(), time.process_time()

    def ask(self, answer: Answer) -> None:
        """Begin an answer; its first token comes when the pace says."""
        self._waiting.append(answer)
        self._asked.set()

    def account(self) -> Account:
        """Since the last one."""
        table, (clock_s, cpu_s) = self._timetable, self._counted_s
        self._counted_s = time.monotonic(), time.process_time()
        cpu_share = (self._counted_s[1] - cpu_s) / (self._counted_s[0] - clock_s)
        account = Account(
            table.steps, table.late_steps, table.lost_s, cpu_share, self._first_windows
        )
        table.clear()
        self._first_windows = {}
        return account

    async def run(self) -> None:
        """Step for ever."""
        while True:
            if not self._running:
                await self._idle()
                self._timetable.resume(time.monotonic())
            self._admit()
            pause_s = self._timetable.step(time.monotonic(), len(self._running))
            self._running = [answer for answer in self._running if self._step(answer)]
            await asyncio.sleep(pause_s)

    async def _idle(self) -> None:
        """Return when the first of the waiting answers is due."""
        while not self._waiting:
            self._asked.clear()
            await self._asked.wait()
        await asyncio.sleep(self._waiting[0].asked_s + self._pace.first_s - time.monotonic())

    def _admit(self) -> None:
        due_s = time.monotonic() - self._pace.first_s
        while self._waiting and (not self._running or self._waiting[0].asked_s <= due_s):
            self._running.append(self._waiting.pop(0))

    def _step(self, answer: Answer) -> bool:
        before, more = answer.sent, answer.step()
        if before < self._window_tokens and (answer.sent >= self._window_tokens or not more):
            self._first_windows[answer.prompt] = time.monotonic()
        return more


class Connection(asyncio.Protocol):
    """One connection: a request in, an answer out."""

    def __init__(self, engine: PacedEngine) -> None:
        self._engine = engine
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole."""
        self._received += data
        if self._received.startswith(b"GET ") and self._received.endswith(b"\r\n\r\n"):
            body = orjson.dumps(asdict(self._engine.account()))
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            )
            self._received = b""
        elif self._received.endswith(b"}"):
            request = Request.of(self._received, self._engine.tokens_per_character)
            self._engine.ask(Answer(self._transport, request, self._engine.vocabulary))


@contextlib.contextmanager
def paced_engine(*options: str) -> Iterator[str]:
    """The engine in a process of its own, with options of its command line; its completions URL."""
    command = [sys.executable, "-m", "bench.paced_engine", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1/completions"
        finally:
            process.terminate()


async def serve(engine: PacedEngine) -> None:
    """Listen and step for ever."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(engine), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await engine.run()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens-per-s", type=float, help="of each stream, however many there are")
    parser.add_argument(
        "--step-ms", type=float, default=2.2, help="a step without streams (fitted)"
    )
    parser.add_argument(
        "--step-ms-per-stream", type=float, default=0.026, help="what each adds to it (fitted)"
    )
    parser.add_argument("--first-ms", type=float, default=25.0, help="to the first token (fitted)")
    parser.add_argument(
        "--window-tokens", type=int, default=30, help="codes that a first window needs"
    )
    parser.add_argument("--vocabulary", type=int, default=65_536)
    parser.add_argument(
        "--tokens-per-character", type=float, help="of the prompt: then answers end by themselves"
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
