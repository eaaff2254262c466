"""Fake vLLM with tokens that follow from the prompt and arrive all at once.

Two requests with the same prompt get the same tokens, in this process and in the next one. Only
the length depends on `max_tokens`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import orjson
from aiohttp import web

ID_OFFSET = 151_936  # token id of the token number 0
END_ID = 151_645  # token id of the end of a generation, which has no text


@dataclass(frozen=True, slots=True)
class TokenScript:
    """The tokens of a model: their text and number, and how many the model speaks for a prompt.

    Token k of a frame is `first + k * vocabulary + code`.
    """

    prefix: str
    suffix: str
    vocabulary: int
    frames_per_character: float  # of the whole prompt
    first: int = 0
    codes_per_frame: int = 1

    def numbers(self, prompt: str) -> list[int]:
        """Return the token numbers of a prompt, which are whole frames and at least one."""
        frames = max(1, round(len(prompt) * self.frames_per_character))
        seed = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big")
        codes = np.random.default_rng(seed).integers(
            0, self.vocabulary, (frames, self.codes_per_frame)
        )
        offsets = self.first + np.arange(self.codes_per_frame) * self.vocabulary
        return (codes + offsets).ravel().tolist()

    def text(self, numbers: list[int]) -> str:
        """Return the text of tokens."""
        return "".join(f"{self.prefix}{number}{self.suffix}" for number in numbers)


NEUCODEC = TokenScript("<|s_", "|>", vocabulary=65_536, frames_per_character=0.7)
SNAC = TokenScript(
    "<custom_token_", ">", vocabulary=4_096, frames_per_character=0.1, first=10, codes_per_frame=7
)


def event_stream(script: TokenScript, body: dict[str, object]) -> bytes:
    """Return the events of a completion in the form of vLLM 0.32.

    The first event has one token, the others have `stream_interval` tokens.
    """
    numbers = script.numbers(str(body["prompt"]))
    limit, interval = int(str(body["max_tokens"])), int(str(body.get("stream_interval", 1)))
    reason = "stop" if len(numbers) < limit else "length"
    del numbers[limit:]
    ends = [*range(1, len(numbers), interval), len(numbers)]
    events: list[dict[str, object]] = []
    for start, end in zip([0, *ends], ends, strict=False):
        last = end == len(numbers)
        ids = [number + ID_OFFSET for number in numbers[start:end]]
        choice = {
            "index": 0,
            "text": script.text(numbers[start:end]),
            "logprobs": None,
            "finish_reason": reason if last else None,
            "stop_reason": None,
            "prompt_token_ids": None,
            "token_ids": [*ids, END_ID] if last and reason == "stop" else ids,
        }
        events.append({"choices": [choice]})
    prompt_tokens = len(str(body["prompt"]))
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": len(numbers)}
    events.append({"choices": [], "usage": usage})
    identity = {"id": "cmpl-1", "object": "text_completion", "created": 0, "model": body["model"]}
    lines = [orjson.dumps({**identity, **event}) for event in events]
    return b"".join(b"data: " + line + b"\n\n" for line in [*lines, b"[DONE]"])


@dataclass(slots=True)
class ScriptedEngine:
    """A running engine, with the bodies of the completion requests that it received."""

    script: TokenScript
    url: str = ""
    received: list[dict[str, object]] = field(default_factory=list[dict[str, object]])

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answer POST /v1/completions."""
        body: dict[str, object] = orjson.loads(await request.read())
        self.received.append(body)
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await response.write(event_stream(self.script, body))
        await response.write_eof()
        return response

    async def models(self, _request: web.Request) -> web.Response:
        """Answer GET /v1/models."""
        return web.json_response({"object": "list", "data": []})

    async def health(self, _request: web.Request) -> web.Response:
        """Answer GET /health."""
        return web.Response()


@asynccontextmanager
async def scripted_engine(script: TokenScript) -> AsyncGenerator[ScriptedEngine]:
    """Serve an engine on a free port of 127.0.0.1 until the block ends."""
    engine = ScriptedEngine(script)
    application = web.Application()
    application.router.add_post("/v1/completions", engine.complete)
    application.router.add_get("/v1/models", engine.models)
    application.router.add_get("/health", engine.health)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        engine.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield engine
    finally:
        await runner.cleanup()
