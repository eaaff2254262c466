"""Check that two checkouts of the service give the same bytes.

    python -m bench.identical OLD_CHECKOUT [NEW_CHECKOUT]

starts `python -m app` of each checkout in turn (default of NEW_CHECKOUT: this one) and sends both
the same 50 requests (bench/fixed_requests.py), one after the other: with NeuCodec and with SNAC,
both with random weights behind a scripted engine, and with the embedded engine and its codec. Of
a checkout it uses only the command line, the settings and HTTP.

Compared are the audio, the status, the headers, the events of server-sent events, the messages of
a WebSocket and the requests that the engine received. Not compared are request ids, `Date`, the
sizes of the pieces in which audio arrives, the wording of errors, and the two random fields of an
Ogg page, the serial number and the checksum over it.

Each answer is `identical`, has the `same samples` in other bytes (such as another header), differs
by `rounding` (as many samples, with a signal-to-noise ratio of at least 70 dB), or is `different`.
If both services refuse a request, there is `no audio`. For all but the first kind
the result has the first difference and the ratio in dB.

The later windows of SNAC and of the embedded codec depend on time, and their samples on the windows
within rounding. Their requests ask for a first window so long that nothing is left to time, except
`small first window`, which may differ by rounding. The random weights follow from the order of a
codec's modules: if that changes, all of its audio differs.

The result is written to bench/results/identical.json. The exit status is 1 if an answer is
different or has no audio.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import aiohttp

from bench.answers import Answer, Comparison, compare
from bench.fixed_requests import FixedRequest, fixed_requests
from bench.machine import write_result
from bench.scripted_engine import NEUCODEC, SNAC, ScriptedEngine, TokenScript, scripted_engine
from stress_test.service import started

ROOT = Path(__file__).parent.parent
Message = dict[str, object]
SPEECH = "/v1/audio/speech"
REQUEST_LIMIT_S = 60.0
RANDOM_HEADERS = ("date", "x-request-id")
# One decode thread, and no request is refused because the machine is busy.
SETTINGS = {
    "DEVICE": "cpu",
    "DECODE_WORKERS": "1",
    "ADMISSION_UTILISATION": "0",
    "PYTHONDONTWRITEBYTECODE": "1",  # a checkout may be read-only
}


@dataclass(frozen=True, slots=True)
class Setup:
    """A codec with the settings of the service, its engine, and defaults for the requests."""

    settings: dict[str, str] = field(default_factory=dict[str, str])
    script: TokenScript | None = None  # None: the embedded engine
    fields: dict[str, object] = field(default_factory=dict[str, object])


SETUPS = {
    "neucodec": Setup({"MODEL_PROFILE": "scicom", "CODEC_WEIGHTS": "random"}, NEUCODEC),
    # At most two windows for each text: the second has all frames after the first.
    "snac": Setup(
        {"MODEL_PROFILE": "orpheus", "CODEC_WEIGHTS": "random"}, SNAC, {"playback_speed": 1.3}
    ),
    # One window for each text of up to 8 s, because the codes arrive while others are decoded.
    "builtin": Setup(fields={"playback_speed": 10}),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A running service and its engine; `engine` is None for the embedded one."""

    session: aiohttp.ClientSession
    engine: ScriptedEngine | None = None

    async def answer(self, request: FixedRequest, fields: dict[str, object]) -> Answer:
        """Send a request with these fields; a broken connection or a timeout is an answer too."""
        if self.engine:
            self.engine.received.clear()
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S):
                if request.utterances:
                    answer = await converse(self.session, fields, request.utterances)
                else:
                    answer = await post(self.session, fields)
        except (aiohttp.ClientError, TimeoutError) as exc:
            answer = Answer(facts={"failure": type(exc).__name__})
        if self.engine:
            received = sorted(json.dumps(body, sort_keys=True) for body in self.engine.received)
            answer.facts["engine requests"] = received
        return answer


async def post(session: aiohttp.ClientSession, fields: dict[str, object]) -> Answer:
    """Send POST /v1/audio/speech."""
    async with session.post(SPEECH, json=fields) as response:
        body = await response.read()
    headers = {name.lower(): value for name, value in response.headers.items()}
    facts: dict[str, object] = {"status": response.status}
    facts |= {name: value for name, value in headers.items() if name not in RANDOM_HEADERS}
    if headers.get("content-length") == str(len(body)):
        facts["content-length"] = "the length of the body"
    if response.status != 200:
        return Answer(facts=facts | {"error": error_code(json.loads(body))})
    if response.content_type == "text/event-stream":
        audio, events = read_events(body)
        return Answer((audio,), facts | {"events": events})
    return Answer((body,), facts)


def read_events(body: bytes) -> tuple[bytes, list[object]]:
    """Return the audio of server-sent events, and the other events."""
    audio = b""
    others: list[object] = []
    for line in body.split(b"\n\n"):
        if not line:
            continue
        event: Message = json.loads(line.removeprefix(b"data: "))
        if event["type"] == "speech.audio.delta":
            audio += base64.b64decode(str(event["audio"]))
        else:
            others.append(error_code(event) or event)
    return audio, others


def error_code(message: Message) -> object:
    """Return the code of an error message, or None for another message."""
    error = message.get("error")
    return cast("Message", error).get("code") if isinstance(error, dict) else None


async def converse(
    session: aiohttp.ClientSession, fields: dict[str, object], utterances: tuple[str, ...]
) -> Answer:
    """Send utterances over one WebSocket, each in pieces of 20 characters."""
    audio: list[bytes] = []
    messages: list[object] = []
    async with session.ws_connect(f"{SPEECH}/stream", max_msg_size=0) as socket:
        await socket.send_json({"type": "session", **fields})
        for text in utterances:
            for at in range(0, len(text), 20):
                await socket.send_json({"type": "text", "text": text[at : at + 20]})
            await socket.send_json({"type": "end"})
            audio.append(b"")
            async for received in socket:
                if received.type == aiohttp.WSMsgType.BINARY:
                    audio[-1] += received.data
                    continue
                message: Message = json.loads(received.data)
                message.pop("request_id", None)
                messages.append(error_code(message) or message)
                if message["type"] in ("done", "error"):
                    break
    return Answer(tuple(audio), {"messages": messages})


@asynccontextmanager
async def serving(checkout: Path, setup: Setup) -> AsyncGenerator[Target]:
    """Run the service of a checkout with the engine of its setup until the block ends."""
    settings = SETTINGS | setup.settings | {"PYTHONPATH": str(checkout)}
    if setup.script is None:
        async with _running(settings) as session:
            yield Target(session)
        return
    async with (
        scripted_engine(setup.script) as engine,
        _running(settings | {"TTS_API": engine.url}) as session,
    ):
        yield Target(session, engine)


@asynccontextmanager
async def _running(settings: dict[str, str]) -> AsyncGenerator[aiohttp.ClientSession]:
    async with started(**settings) as service, aiohttp.ClientSession(service.url) as session:
        yield session


async def answers(checkout: Path, setup: Setup, requests: list[FixedRequest]) -> list[Answer]:
    """Send all requests to the service of a checkout, one after the other."""
    async with serving(checkout, setup) as target:
        return [
            await target.answer(request, {**setup.fields, **request.fields}) for request in requests
        ]


def commit(checkout: Path) -> str:
    """Return the commit of a checkout, with `-dirty` if files have changed since.

    Raises:
        RuntimeError: `python -m app` would not run the code of that checkout.
    """
    find = "import importlib.util; print(importlib.util.find_spec('app').origin)"
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    with tempfile.TemporaryDirectory() as folder:
        found = _output([sys.executable, "-c", find], cwd=folder, env=environment)
    if not Path(found).is_relative_to(checkout):
        raise RuntimeError(f"python -m app would run {found}, which is not in {checkout}")
    describe = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    return _output(describe, cwd=str(checkout))


def _output(command: list[str], cwd: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


async def compare_checkouts(
    old: Path, new: Path, codecs: list[str], requests: list[FixedRequest]
) -> dict[str, list[Comparison]]:
    """Compare the answers of two checkouts, by codec and in the order of the requests."""
    compared: dict[str, list[Comparison]] = {}
    for codec in codecs:
        setup = SETUPS[codec]
        started_s = time.monotonic()
        before = await answers(old, setup, requests)
        after = await answers(new, setup, requests)
        compared[codec] = [
            compare(one, other, request.fields)
            for request, one, other in zip(requests, before, after, strict=True)
        ]
        _print(codec, requests, compared[codec], time.monotonic() - started_s)
    return compared


def _print(
    codec: str, requests: list[FixedRequest], compared: list[Comparison], duration_s: float
) -> None:
    for request, comparison in zip(requests, compared, strict=True):
        if comparison.kind != "identical":
            print(f"{codec}: {request.name}: {comparison}", file=sys.stderr)
    kinds = counts({codec: compared})[codec]
    print(f"{codec}: {kinds} in {duration_s:.0f} s", file=sys.stderr, flush=True)


def counts(compared: dict[str, list[Comparison]]) -> dict[str, dict[str, int]]:
    """Return the number of answers of each kind, by codec."""
    return {
        codec: dict(Counter(comparison.kind for comparison in comparisons))
        for codec, comparisons in compared.items()
    }


def differences(
    requests: list[FixedRequest], compared: dict[str, list[Comparison]]
) -> list[dict[str, object]]:
    """Return the comparisons whose answers are not identical."""
    return [
        {"codec": codec, "request": request.name, "kind": comparison.kind, **asdict(comparison)}
        for codec, comparisons in compared.items()
        for request, comparison in zip(requests, comparisons, strict=True)
        if comparison.kind != "identical"
    ]


async def measure(
    old: Path, new: Path, codecs: list[str], limit_s: float
) -> tuple[dict[str, object], bool]:
    """Compare two checkouts; return the result, and True if all answers have equal audio.

    Raises:
        TimeoutError: the comparison took longer than `limit_s`.
    """
    commits = {"old": commit(old), "new": commit(new)}
    requests = fixed_requests()
    started_s = time.monotonic()
    async with asyncio.timeout(limit_s):
        compared = await compare_checkouts(old, new, codecs, requests)
    result: dict[str, object] = {
        "commits": commits,
        "seconds": round(time.monotonic() - started_s),
        "requests": len(requests),
        "codecs": counts(compared),
        "not_identical": differences(requests, compared),
    }
    found = {comparison.kind for comparisons in compared.values() for comparison in comparisons}
    return result, found.isdisjoint(("different", "no audio"))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path, help="checkout to compare with")
    parser.add_argument("new", type=Path, nargs="?", default=ROOT, help="default: this checkout")
    parser.add_argument(
        "--codecs", nargs="+", default=[*SETUPS], choices=[*SETUPS], help="default: all three"
    )
    parser.add_argument("--name", default="identical", help="name of the file in bench/results/")
    parser.add_argument("--limit-s", type=float, default=360, help="time limit of the comparison")
    arguments = parser.parse_args()
    old, new = arguments.old.resolve(), arguments.new.resolve()
    result, same = asyncio.run(measure(old, new, arguments.codecs, arguments.limit_s))
    write_result(arguments.name, result)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
