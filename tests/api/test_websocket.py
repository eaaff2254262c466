"""WS /v1/audio/speech/stream on real sockets: pieces of text, cancel, and failures."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from prometheus_client import REGISTRY
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.api.websocket.channel import WebSocketChannel
from app.api.websocket.connection import Connection
from app.api.websocket.error_budget import MAX_ERRORS
from app.config.settings import Settings
from app.engine import Generation, OnTokens, Sampling
from app.errors import EngineError
from app.server.websocket_protocol import WebSocketProtocol
from tests.audio_checks import decoded
from tests.fakes import UNREACHABLE, FixedEngine, ToneCodec, tone_codes
from tests.live_server import SPEECH, Served, good_request, serving, settings_for_tests
from tests.waiting import until
from text_normaliser import segmenter

CODES = tone_codes(150)
EXACT = {"normalize_loudness": False}
SENTENCES = [
    "The first thing that I want to say is hello.",
    "Then comes the second of these long sentences!",
    "Is the third one not the best of them all?",
    "With the fourth we have come to the end of it.",
]


@dataclass
class ReadingEngine(FixedEngine):
    """Says a code for each character of the prompt, so that a lost or doubled word is heard."""

    numbers: Sequence[int] = ()

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        self.prompts.append(prompt)
        on_tokens([ord(character) for character in prompt])
        return Generation("stop", prompt_tokens=len(prompt))


@dataclass
class Answer:
    """Messages and audio between `started` and `done`."""

    started: dict[str, object]
    done: dict[str, object] = field(default_factory=dict[str, object])
    audio: bytes = b""


class Client:
    """A client of the route: sends messages, receives answers."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, *kinds: str, **fields: object) -> None:
        for kind in kinds:
            await self.socket.send(json.dumps({"type": kind, **fields}))

    async def text(self, text: str, size: int = 1_000) -> None:
        for at in range(0, len(text), size):
            await self.say("text", text=text[at : at + size])

    async def message(self) -> dict[str, object]:
        """The next message, which must not be sound."""
        received = await self.socket.recv()
        assert isinstance(received, str)
        return json.loads(received)

    async def error(self) -> str:
        """The code of the next message, which must be an error in OpenAI's shape."""
        message = await self.message()
        assert message["type"] == "error"
        error = message["error"]
        assert isinstance(error, dict)
        assert set(error) == {"message", "type", "param", "code"}
        return str(error["code"])

    async def answer(self) -> Answer:
        answer = Answer(await self.message())
        assert answer.started["type"] == "started", answer.started
        while isinstance(received := await self.socket.recv(), bytes):
            answer.audio += received
        answer.done = json.loads(received)
        assert answer.done["type"] == "done", answer.done
        return answer

    async def dropped(self) -> None:
        """Hear what was under way when `cancel` was said, up to the answer to it."""
        async with asyncio.timeout(5):
            while (received := await self.socket.recv()) != '{"type":"cancelled"}':
                assert isinstance(received, bytes), received

    async def speaks(self) -> None:
        """One good utterance succeeds: the last line of every fault test."""
        await self.text("Hello there.")
        await self.say("end")
        assert (await self.answer()).audio

    async def closed(self) -> int | None:
        """The code with which the server closes; sound before it is skipped."""
        async with asyncio.timeout(5):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed as exc:
                return exc.rcvd.code if exc.rcvd else None


def outcomes() -> Counter[str]:
    """Return the number of requests of this process by outcome."""
    (family,) = [family for family in REGISTRY.collect() if family.name == "tts_requests"]
    totals = [sample for sample in family.samples if sample.name.endswith("_total")]
    return Counter(
        {sample.labels["outcome"]: int(sample.value) for sample in totals if sample.value}
    )


def url_of(served: Served) -> str:
    return f"ws://127.0.0.1:{served.port}/v1/audio/speech/stream"


@asynccontextmanager
async def connected(served: Served) -> AsyncGenerator[Client]:
    async with asyncio.timeout(30), connect(url_of(served), proxy=None, max_size=None) as socket:
        yield Client(socket)


@asynccontextmanager
async def talking(
    engine: FixedEngine, codec: ToneCodec | None = None, **values: object
) -> AsyncGenerator[tuple[Served, Client]]:
    async with serving(engine, codec, limits(**values)) as served, connected(served) as client:
        yield served, client


def limits(**values: object) -> Settings:
    return settings_for_tests(engine_urls=UNREACHABLE, **values)


async def idle(engine: FixedEngine, served: Served) -> None:
    """Return when the engine, the device and the admission are free."""
    admission, decoder = served.service.admission, served.service.decoder
    assert decoder is not None

    def free() -> bool:
        return not (engine.active or admission.in_flight or decoder.waiting)

    await until(free, 2)


async def posted(served: Served, text: str, **fields: object) -> bytes:
    answer = await served.client.post(
        SPEECH, json={"input": text, "response_format": "pcm", **EXACT, **fields}
    )
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("size", [1, 5, 1_000])
async def test_text_in_pieces_sounds_as_one_post_of_it(size: int) -> None:
    text = (
        "[pause:100ms] Good morning to all of you. [pause: 0.5 s] How are you today? [pause:250ms]"
    )
    async with talking(ReadingEngine()) as (served, client):
        await client.say("session", **EXACT)
        await client.text(text, size)
        await client.say("end")
        answer = await client.answer()
        assert answer.audio == await posted(served, text)
    assert answer.started.pop("request_id")
    assert answer.started == {
        "type": "started",
        "utterance": 1,
        "format": "pcm",
        "sample_rate": 24_000,
        "channels": 1,
        "bit_depth": 16,
        "encoding": "pcm_s16le",
    }
    assert answer.done["audio_seconds"] == len(answer.audio) / 48_000
    assert set(answer.done) == {"type", "utterance", "usage", "audio_seconds", "finish_reason"}


async def test_each_sentence_is_a_generation_as_in_a_post_whose_parts_hold_one_each() -> None:
    engine = ReadingEngine()
    async with talking(engine, default_max_tokens=280) as (served, client):
        whole = await posted(served, " ".join(SENTENCES))
        spoken = engine.prompts.copy()
        assert len(spoken) == len(SENTENCES)
        await client.say("session", **EXACT)
        await client.text(" ".join(SENTENCES), 3)
        await client.say("end")
        assert (await client.answer()).audio == whole
    assert engine.prompts[len(spoken) :] == spoken


async def test_sound_comes_before_the_text_has_ended() -> None:
    async with talking(FixedEngine(CODES)) as (_, client):
        await client.text("This is the first sentence. A")
        assert (await client.message())["type"] == "started"
        heard = b""
        while (
            len(heard) < len(CODES) * 480 * 2
        ):  # all of the first sentence, though the second is not written
            received = await client.socket.recv()
            assert isinstance(received, bytes)
            heard += received
        await client.text("nother one.")
        await client.say("end")
        while isinstance(received := await client.socket.recv(), bytes):
            heard += received
        assert json.loads(received)["type"] == "done"


async def test_a_flush_speaks_what_is_there() -> None:
    engine = FixedEngine(CODES)
    async with talking(engine) as (_, client):
        await client.text("One moment please")
        await client.say("flush")
        assert (await client.message())["type"] == "started"
        assert len(engine.prompts) == 1
        await client.say("cancel")
        await client.dropped()


async def test_an_utterances_line_in_the_log_tells_whose_key_it_was_by_its_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "app.api.websocket.utterance")
    settings = settings_for_tests(engine_urls=UNREACHABLE, api_keys="sk-first-1,sk-second-2")
    headers = {"authorization": "Bearer sk-second-2"}
    async with serving(ReadingEngine(), settings=settings) as served:
        async with connect(url_of(served), proxy=None, additional_headers=headers) as socket:
            client = Client(socket)
            await client.text(SENTENCES[0])
            await client.say("end")
            await client.answer()
        await served.settle()
    (line,) = [record for record in caplog.records if record.name == "app.api.websocket.utterance"]
    assert vars(line)["key"] == 2
    assert "key=2" in line.getMessage()
    assert "sk-" not in caplog.text


async def test_utterances_are_spoken_in_turn_and_text_may_come_before_its_turn() -> None:
    engine = ReadingEngine()
    async with talking(engine) as (served, client):
        await client.say("session", **EXACT)
        for sentence in SENTENCES[:3]:
            await client.text(sentence, 7)
            await client.say("end")
        answers = [await client.answer() for _ in range(3)]
        assert [answer.audio for answer in answers] == [
            await posted(served, sentence) for sentence in SENTENCES[:3]
        ]
    assert [answer.started["utterance"] for answer in answers] == [1, 2, 3]


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": "mp3"},
        {"speed": 1.5},
        {"response_format": "wav", "sample_rate": 8_000},
        {"voice": "jenny"},
    ],
)
async def test_formats_speeds_rates_and_voices_are_those_of_a_post(
    fields: dict[str, object],
) -> None:
    async with talking(ReadingEngine()) as (served, client):
        await client.say("session", **EXACT, **fields)
        await client.text(SENTENCES[0], 4)
        await client.say("end")
        answer = await client.answer()
        assert answer.audio == await posted(served, SENTENCES[0], **fields)
    assert answer.started["format"] == fields.get("response_format", "pcm")
    assert answer.started["sample_rate"] == fields.get("sample_rate", 24_000)


@pytest.mark.process
@pytest.mark.parametrize(
    "fields", [{"response_format": "mp3"}, {"speed": 1.7}, {"response_format": "opus"}]
)
async def test_the_end_of_a_sentence_is_heard_while_the_next_is_not_written(
    fields: dict[str, object],
) -> None:
    """Filters and encoders keep sound back; a rest pushes it through. Whatever comes now is
    silence.
    """
    async with talking(FixedEngine([900] * 50)) as (_, client):
        await client.say("session", **{**EXACT, "speed": 1.0, **fields})
        await client.text("This is the first sentence.")
        await client.say("flush")
        await client.message()
        heard = b""
        async with asyncio.timeout(5):
            while True:
                try:
                    async with asyncio.timeout(1.5):
                        received = await client.socket.recv()
                except TimeoutError:
                    break
                assert isinstance(received, bytes)
                heard += received
        sound = (
            decoded(heard, 24_000)
            if "response_format" in fields
            else np.frombuffer(heard, "<i2") / 32768
        )
        assert len(sound) >= 24_000 / float(fields.get("speed", 1.0)) + 2_000  # type: ignore[arg-type]
        assert np.abs(sound[-480:]).max() < 0.02


async def test_a_cancel_frees_everything_at_once_and_the_next_utterance_is_spoken() -> None:
    engine = FixedEngine(CODES, stall_after=8)
    async with talking(engine) as (served, client):
        await client.text("This is the first sentence. This is the second. ")
        assert (await client.message())["type"] == "started"
        await engine.stalled.wait()
        assert engine.active == 1
        await client.text("This text is dropped with the others")
        await client.say("cancel")
        await client.dropped()
        assert engine.active == 0
        await idle(engine, served)
        asked = len(engine.prompts)
        engine.stall_after = None
        await client.speaks()
        assert len(engine.prompts) == asked + 1
        await good_request(served)


async def test_a_cancel_drops_waiting_utterances_and_windows_that_wait_for_the_device() -> None:
    codec, engine = ToneCodec(), FixedEngine(CODES)
    async with talking(engine, codec) as (served, client):
        codec.free.clear()
        blocker = asyncio.create_task(served.client.post(SPEECH, json={"input": "Hello."}))
        assert await asyncio.to_thread(codec.busy.wait, 5)
        for sentence in SENTENCES[:2]:
            await client.text(sentence)
            await client.say("end")
        await served.until_waiting(1)
        await client.say("cancel")
        await client.dropped()
        assert served.service.admission.in_flight == 1
        codec.free.set()
        assert (await blocker).status_code == 200
        assert len(engine.prompts) == 2
        await client.speaks()


async def test_a_cancel_with_nothing_to_cancel_is_answered() -> None:
    async with talking(FixedEngine(CODES)) as (_, client):
        await client.say("cancel", "cancel")
        assert [(await client.message())["type"] for _ in range(2)] == ["cancelled", "cancelled"]
        await client.speaks()


@pytest.mark.parametrize("stall_after", [0, 8])
async def test_a_client_that_leaves_frees_everything(stall_after: int) -> None:
    engine = FixedEngine(CODES, stall_after=stall_after)
    async with serving(engine, settings=limits()) as served:
        async with connected(served) as client:
            await client.text("This is the first sentence. And")
            await engine.stalled.wait()
            assert engine.active == 1
            client.socket.transport.abort()
            await idle(engine, served)
        engine.stall_after = None
        await good_request(served)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{no json", "invalid_message"),
        ("[]", "invalid_message"),
        ('{"text": "x"}', "invalid_message"),
        ('{"type": "sing"}', "invalid_message"),
        ('{"type": "text"}', "invalid_message"),
        ('{"type": "text", "text": 7}', "invalid_message"),
        (b"\xff\xfe", "invalid_message"),
        ('{"type": "end"}', "empty_input"),
        ('{"type": "session", "voice": "nobody"}', "voice_not_found"),
        ('{"type": "session", "model": "nothing"}', "model_not_found"),
        ('{"type": "session", "speed": 9}', "invalid_message"),
        (
            '{"type": "session", "response_format": "mp3", "sample_rate": 47999}',
            "unsupported_sample_rate",
        ),
        ('{"type": "session", "stream": false}', "unsupported_value"),
        ('{"type": "session", "stream_format": "sse"}', "unsupported_value"),
    ],
)
async def test_a_bad_message_is_an_error_and_is_ignored(message: str | bytes, code: str) -> None:
    async with talking(FixedEngine(CODES)) as (_, client):
        before = outcomes()
        await client.socket.send(message)
        assert await client.error() == code
        assert outcomes() == before
        await client.speaks()


async def test_a_session_within_an_utterance_is_refused_and_the_utterance_goes_on() -> None:
    async with talking(FixedEngine(CODES)) as (_, client):
        await client.text("This is the first")
        await client.say("session", voice="jenny")
        assert await client.error() == "invalid_message"
        await client.say("end")
        assert (await client.answer()).audio


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        (["x" * 60, " and" * 20, " more"], "string_too_long"),
        (["[pause:11s] x. And", "so on"], "unsupported_value"),
        (["Hm. [pause:9s] ", "so. [pause:9s]" * 2, " on"] * 4, "unsupported_value"),
        (["...", "😀"], "empty_input"),
    ],
)
async def test_a_text_at_fault_ends_its_utterance_and_no_more(pieces: list[str], code: str) -> None:
    engine = FixedEngine(CODES, stall_after=0)
    longest = {} if code == "unsupported_value" else {"max_input_characters": 100}
    async with talking(engine, **longest) as (served, client):
        before = outcomes()
        for piece in pieces:
            await client.text(piece)
        await client.say("end")
        assert await client.error() == code
        await idle(engine, served)
        assert outcomes() - before == {code: 1}
        engine.stall_after = None
        await client.speaks()


async def test_the_rest_of_a_text_whose_utterance_is_over_is_dropped() -> None:
    engine = FixedEngine(CODES)
    async with talking(engine) as (_, client):
        await client.say("session", max_tokens=len(CODES))
        engine.finish_reason = "length"
        await client.text("This is the first sentence. An")
        assert (await client.answer()).audio
        await client.text("other one. And this. And that.")
        await client.say("flush", "end")
        engine.finish_reason = "stop"
        await client.speaks()
    assert len(engine.prompts) == 2


async def test_a_full_service_is_an_error_and_no_close() -> None:
    engine = FixedEngine(CODES, stall_after=0)
    async with (
        talking(engine, max_concurrent_requests=1) as (served, client),
        connected(served) as other,
    ):
        await client.text("This is the first sentence. A")
        await engine.stalled.wait()
        await other.text("This is another sentence. A")
        assert await other.error() == "overloaded"
        await other.text("nd the rest of it.")
        await other.say("end")
        await client.say("cancel")
        await client.dropped()
        engine.stall_after = None
        await other.speaks()


async def test_a_connection_may_have_eight_utterances() -> None:
    engine = FixedEngine(CODES, stall_after=0)
    async with talking(engine) as (_, client):
        for _ in range(9):
            await client.text("Hello.")
            await client.say("end")
        refused = await client.message()
        assert (refused["type"], refused["utterance"]) == ("error", 9)
        engine.go_on.set()
        assert [(await client.answer()).started["utterance"] for _ in range(8)] == list(range(1, 9))
        await client.speaks()


@pytest.mark.parametrize("after", [0, 100])
async def test_a_failing_engine_is_an_error_and_a_close(after: int) -> None:
    engine = FixedEngine(
        CODES[:after] if after else CODES[:12], gap_s=0.01, error=EngineError("failed")
    )
    async with serving(engine, settings=limits()) as served:
        async with connected(served) as client:
            await client.text("This is a sentence.")
            await client.say("end")
            messages: list[dict[str, object]] = []
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    received = await client.socket.recv()
                    messages += [json.loads(received)] if isinstance(received, str) else []
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "engine_failed")
        assert [message["type"] for message in messages] == (
            ["started", "error"] if after else ["error"]
        )
        assert messages[-1]["utterance"] == 1
        engine.error = None
        await good_request(served)


async def test_a_bug_of_ours_is_an_error_without_details_and_a_close(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = FixedEngine(CODES[:12], error=ZeroDivisionError("SECRET"))
    async with serving(engine, settings=limits()) as served:
        async with connected(served) as client:
            await client.text("This is a sentence. And the")
            message = await client.message()
            assert message["error"] == {
                "message": "internal error",
                "type": "server_error",
                "param": None,
                "code": "internal_error",
            }
            assert await client.closed() == 1011
        assert "ZeroDivisionError" in caplog.text
        engine.error = None
        await good_request(served)


async def test_a_client_that_reads_nothing_is_closed_and_the_engine_is_free() -> None:
    engine = FixedEngine([index % 900 for index in range(1_500)])  # 30 s of pcm: 1.4 MB
    values = limits(client_write_timeout_s=0.5)
    async with (
        serving(engine, settings=values, send_buffer_bytes=4096) as served,
        asyncio.timeout(20),
        connect(url_of(served), proxy=None, max_queue=1) as socket,
    ):
        client = Client(socket)
        await client.say("session", max_tokens=1_500)
        await client.text("This is a sentence.")
        await client.say("end")
        await asyncio.sleep(0.1)
        socket.transport.pause_reading()
        await idle(engine, served)
        await served.settle()
        connections = served.server.server_state.connections
        await until(lambda: not any(isinstance(each, WebSocketProtocol) for each in connections), 2)
        socket.transport.resume_reading()
        assert await client.closed() is None  # broken off, not closed
        engine.numbers = CODES
        await good_request(served)


async def test_a_text_that_does_not_go_on_ends_its_utterance() -> None:
    engine = FixedEngine(CODES)
    async with talking(engine, text_timeout_s=0.3) as (served, client):
        await client.text("This is not the")
        assert await client.error() == "request_timeout"
        await client.text(" end of it.")
        await client.say("end")
        await client.text("This is a sentence. And")
        assert (await client.message())["type"] == "started"
        while isinstance(received := await client.socket.recv(), bytes):
            pass
        assert json.loads(received)["error"]["code"] == "request_timeout"
        await idle(engine, served)
        await client.say("end")
        await client.speaks()


async def test_text_that_trickles_is_not_late() -> None:
    async with talking(FixedEngine(CODES), text_timeout_s=0.4) as (_, client):
        for piece in ("This ", "sentence ", "is ", "slow", "."):
            await client.text(piece)
            await asyncio.sleep(0.2)
        await client.say("end")
        assert (await client.answer()).audio


async def test_an_idle_connection_is_closed() -> None:
    """Not while it speaks, though nothing is said for longer than the limit."""
    async with talking(FixedEngine(CODES, gap_s=0.05), websocket_idle_timeout_s=0.3) as (_, client):
        await client.speaks()
        assert await client.closed() == 1000


async def test_a_message_beyond_all_limits_closes_the_connection() -> None:
    async with serving(FixedEngine(CODES), settings=limits(max_input_characters=10)) as served:
        async with connected(served) as client:
            await client.text("x" * 20_000, 20_000)
            assert await client.closed() == 1009
        async with connected(served) as client:
            await client.text("\u20ac" * 11)
            assert await client.error() == "string_too_long"
        await served.settle()


async def test_other_paths_take_no_websocket() -> None:
    async with serving(FixedEngine(CODES)) as served:
        with pytest.raises(Exception, match="403"):
            async with connect(url_of(served) + "/other", proxy=None):
                pass
        await good_request(served)


async def test_at_a_shutdown_the_utterance_ends_before_the_connection() -> None:
    engine = FixedEngine(CODES, stall_after=8)
    async with serving(engine, settings=limits()) as served:
        async with connected(served) as client, connected(served) as silent:
            await client.text("This is a sentence.")
            await client.say("end")
            await engine.stalled.wait()
            await silent.say("cancel")
            assert (await silent.message())["type"] == "cancelled"
            served.shut_connections_down()
            assert await silent.closed() == 1012
            engine.go_on.set()
            assert len((await client.answer()).audio) == len(CODES) * 480 * 2
            assert await client.closed() == 1012
        engine.stall_after = None
        await good_request(served)


# JSON as a program sends it that counts in UTF-16: the text of each message, or what stands between
# two messages.
HALVES = [
    (["Good \\ud83d", "\\ude00 morning to you."], "Good \U0001f600 morning to you."),
    (["Good \\ud83d", "", "\\ude00 morning to you."], "Good \U0001f600 morning to you."),
    (["Good \\ud83d morning to you."], "Good  morning to you."),
    (["Good \\ude00 morning", " to you\\ud83d"], "Good  morning to you"),
    (
        ["\\ude00Good morning to\\ud83d", "\\ud83d", "\\ud83d\\ude00 you."],
        "Good morning to\U0001f600 you.",
    ),
    (["Good morning, \\ud840", "\\udc00 is a word."], "Good morning, \U00020000 is a word."),
]


@pytest.mark.fault(49)
@pytest.mark.parametrize(("pieces", "text"), HALVES)
async def test_a_character_cut_between_messages_is_joined_and_half_of_one_is_dropped(
    pieces: list[str], text: str
) -> None:
    engine = FixedEngine(CODES)
    async with talking(engine) as (served, client):
        await client.say("session", normalize=False)
        for piece in pieces:
            await client.socket.send(f'{{"type": "text", "text": "{piece}"}}')
        await client.say("end")
        assert (await client.answer()).audio
        await posted(served, text, normalize=False)
    dictated, written = engine.prompts
    assert dictated == written


@pytest.mark.fault(49)
@pytest.mark.parametrize("between", ["flush", "end"])
async def test_words_are_kept_where_a_flush_or_an_end_stands_between_two_halves(
    between: str,
) -> None:
    engine = FixedEngine(CODES)
    async with talking(engine) as (_, client):
        await client.socket.send('{"type": "text", "text": "Good morning \\ud83d"}')
        await client.say(between)
        await client.socket.send('{"type": "text", "text": "\\ude00 to all of you."}')
        await client.say("end")
        for _ in range(2 if between == "end" else 1):
            assert (await client.answer()).audio
    assert [prompt for prompt in engine.prompts if "Good morning" in prompt]
    assert [prompt for prompt in engine.prompts if "to all of you." in prompt]


@pytest.mark.fault(49)
async def test_a_session_may_hold_half_a_character() -> None:
    async with talking(FixedEngine(CODES)) as (_, client):
        fields = (
            '"voice": {"id": "jenny\\ud83d"}, "instructions": "calm \\ud83d", '
            '"other\\ude00": "\\ude00"'
        )
        await client.socket.send(f'{{"type": "session", {fields}}}')
        await client.speaks()


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    "data",
    [
        "[" * 4_000,
        '{"type":' * 4_000,
        '{"type": "text", "text": NaN}',
        '{"type": %s}' % ("9" * 5_000),
        json.dumps({"type": "cancel", "x": [[]] * 60_000}),
        b"\xed\xa0\xbd",
        "7",
    ],
)
async def test_json_made_to_break_a_parser_is_an_invalid_message(data: str | bytes) -> None:
    async with talking(FixedEngine(CODES), max_input_characters=20_000) as (_, client):
        await client.socket.send(data)
        assert await client.error() == "invalid_message"
        await client.speaks()


@pytest.mark.fault(47)
async def test_a_text_after_its_own_error_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    segmented: list[int] = []
    segment = segmenter._segment  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(
        segmenter, "_segment", lambda lang, text: segmented.append(len(text)) or segment(lang, text)
    )
    async with talking(FixedEngine(CODES), max_input_characters=100) as (_, client):
        await client.text("a" * 101)
        assert await client.error() == "string_too_long"
        before = sum(segmented)
        await client.text("a.a." * 1_000)
        await client.say("flush")
        await client.text("b" * 1_000)
        await client.say("end")
        await client.say("end")
        assert (
            await client.error() == "empty_input"
        )  # the answer to the second end: all before it has been read
        assert sum(segmented) == before
        await client.speaks()


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    "messages",
    [
        ["{no json"],
        ['{"type": "text", "text": "."}', '{"type": "end"}'],
        ['{"type": "session", "voice": "nobody"}'],
    ],
)
async def test_a_client_whose_messages_are_refused_without_end_is_closed(
    messages: list[str],
) -> None:
    async with talking(FixedEngine(CODES)) as (served, client):
        for _ in range(MAX_ERRORS + 20):
            for message in messages:
                await client.socket.send(message)
        errors = 0
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(10):
                while True:
                    assert await client.error() != "internal_error"
                    errors += 1
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert MAX_ERRORS <= errors <= MAX_ERRORS + 2
        await good_request(served)


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("message", "turns"),
    [
        ('{"type": "cancel"}', 15),
        ('{"type": "flush"}', 15),
        ('{"type": "text", "text": ""}', 15),
        ('{"type": "text", "text": "%s"}' % ("a.a." * 250), 150),
    ],
)
async def test_others_have_their_turn_between_messages_and_within_long_ones(
    message: str, turns: int
) -> None:
    """All messages are there at once, as in one packet; the loop's other tasks run meanwhile."""
    settings = limits(max_input_characters=60_000)
    async with serving(FixedEngine(CODES), settings=settings) as served:
        left = [message] * 20
        ticks = 0

        async def receive() -> dict[str, object]:
            return (
                {"type": "websocket.receive", "text": left.pop()}
                if left
                else {"type": "websocket.disconnect"}
            )

        async def send(_: object) -> None:
            pass

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with asyncio.TaskGroup() as tasks:
            await Connection(
                served.service, receive, WebSocketChannel(send, 5), tasks, None
            ).serve()  # type: ignore[arg-type]
        ticking.cancel()
        assert ticks >= turns
