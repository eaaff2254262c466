"""A stand-in for vLLM that speaks at a set pace: `python -m bench.paced_engine --tokens-per-s 380`.

It answers POST /v1/completions with a stream as vLLM 0.32 words it, `stream_interval` tokens an
event and `max_tokens` in all; like vLLM's scheduler it advances all streams in one step. The port it
listens on is the first line it prints.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import cast

import orjson
import uvloop

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
    identity = {"id": "cmpl-8d7d8dbe4260c038", "object": "text_completion", "created": 1_795_387_075, "model": "paced"}
    return chunk(orjson.dumps({**identity, "choices": [choice]}))


class Answer:
    """One stream, written a step at a time."""

    def __init__(self, transport: asyncio.WriteTransport, body: dict[str, int], vocabulary: int) -> None:
        self._transport = transport
        self._interval, self._tokens = body.get("stream_interval", 1), body["max_tokens"]
        self._vocabulary = vocabulary
        self._made = 0
        self._sent = 0
        transport.write(HEAD)

    def step(self) -> bool:
        """Make one token, and send what is due; False at the end."""
        self._made += 1
        ended = self._made == self._tokens
        if ended or self._sent == 0 or self._made - self._sent >= self._interval:
            numbers = [i * 7919 % self._vocabulary for i in range(self._sent, self._made)]
            self._sent = self._made
            self._transport.write(event(numbers, "length" if ended else None))
        if ended:
            self._transport.write(chunk(b"[DONE]") + b"0\r\n\r\n")
            self._transport.close()
        return not ended and not self._transport.is_closing()


class Connection(asyncio.Protocol):
    """One connection: a request in, an answer out."""

    def __init__(self, answers: list[Answer], vocabulary: int) -> None:
        self._answers = answers
        self._vocabulary = vocabulary
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Start the answer once the request's JSON is whole."""
        self._received += data
        if self._received.endswith(b"}"):
            body = orjson.loads(self._received.partition(b"\r\n\r\n")[2])
            self._answers.append(Answer(self._transport, body, self._vocabulary))


async def serve(tokens_per_s: float, vocabulary: int) -> None:
    """Listen and step for ever."""
    loop = asyncio.get_running_loop()
    answers: list[Answer] = []
    server = await loop.create_server(lambda: Connection(answers, vocabulary), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    next_s = loop.time()
    while True:
        answers[:] = [answer for answer in answers if answer.step()]
        next_s = max(next_s + 1 / tokens_per_s, loop.time() - 0.1)
        await asyncio.sleep(next_s - loop.time())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens-per-s", type=float, default=380.0)
    parser.add_argument("--vocabulary", type=int, default=65_536)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.tokens_per_s, arguments.vocabulary))


if __name__ == "__main__":
    main()
