"""Rejected requests: OpenAI's error format, no echo of the request, no request to the engine."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import tracemalloc
from collections.abc import AsyncGenerator

import pytest

from app.api.middleware.body_limit import MAX_VALUES
from tests.fakes import UNREACHABLE, FixedEngine, ToneCodec, tone_spec
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests

HOSTILE_VOICES = [
    "nobody",
    "../../etc/passwd",
    "lark\r\nx-evil: 1",
    "x<|im_end|>",
    "v" * 10_240,
    "lаrk",
    "",
]
EMPTY = ["   ", "\n\t", "😀 🎉", "?!… —", "**  **", "# ", "\u200b\u202e", "***", "``` ```", "\x00"]


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine(list(range(100)))) as running:
        yield running
        await good_request(running)


async def refused(served: Served, status: int, code: str, **fields: object) -> dict[str, str]:
    answer = await served.client.post(SPEECH, json={**HELLO, **fields})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert len(answer.content) < 1024
    assert served.service.engine.prompts == []  # type: ignore[attr-defined]
    return error


@pytest.mark.fault(37)
@pytest.mark.parametrize("voice", HOSTILE_VOICES)
async def test_an_unknown_voice_is_refused_and_not_echoed(served: Served, voice: str) -> None:
    for form in (voice, {"id": voice}):
        error = await refused(served, 400, "voice_not_found", voice=form)
        assert len(voice) < 3 or voice not in error["message"]


@pytest.mark.fault(33)
@pytest.mark.parametrize("text", EMPTY)
async def test_nothing_to_speak_is_refused(served: Served, text: str) -> None:
    assert (await refused(served, 400, "empty_input", input=text, normalize=True))[
        "param"
    ] == "input"


@pytest.mark.fault(33)
async def test_no_text_at_all_is_refused(served: Served) -> None:
    await refused(served, 400, "empty_input", input="")


@pytest.mark.fault(32, 35)
@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"input": "a" * 4097}, 400, "string_too_long"),
        ({"input": "\ufdfa" * 4096}, 400, "string_too_long"),
        ({"model": "gpt-9"}, 404, "model_not_found"),
        ({"sample_rate": 9_000, "response_format": "mp3"}, 400, "unsupported_sample_rate"),
        ({"sample_rate": 44_100, "response_format": "opus"}, 400, "unsupported_sample_rate"),
        ({"sample_rate": 96_000}, 400, "less_than_equal"),
        ({"response_format": "exe"}, 400, "literal_error"),
        ({"stream_format": "sse", "stream": False}, 400, "unsupported_value"),
        ({"temperature": 2.5}, 400, "less_than_equal"),
        ({"playback_speed": 0.01}, 400, "greater_than_equal"),
        ({"max_tokens": 0}, 400, "greater_than_equal"),
        ({"input": None}, 400, "missing"),
        ({"input": ["a"]}, 400, "string_type"),
    ],
)
async def test_bad_fields_are_refused(
    served: Served, fields: dict[str, object], status: int, code: str
) -> None:
    error = await refused(served, status, code, **fields)
    assert error["param"] == next(iter(fields))


@pytest.mark.fault(35)
@pytest.mark.parametrize(
    "body",
    [
        *(
            b"{",
            b"[]",
            b"null",
            b'"x"',
            b"",
            b"\xff",
            b"\xef\xbb\xbf{}",
            b'{"input": "a"} {"input": "b"}',
        ),
        *(
            b'{"input": "a", "temperature": NaN}',
            b'{"input": "a", "speed": 1e999}',
            b'{"input": "\\ud800"}',
        ),
        *(
            b'{"input": ' + b"[" * 100_000,
            b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
            b'{"input": ' + b"9" * 5_000 + b"}",
        ),
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_bad_json_is_400_in_the_same_shape(served: Served, body: bytes) -> None:
    answer = await served.client.post(
        SPEECH, content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


VALUES = b'{"input": "Hello there.", "response_format": "pcm", "unheard_of": %b}'
FLOODS = {
    "lists": b"[" + b",".join([b"[]"] * 1_000_000) + b"]",
    "nested lists": b"[" + b",".join([b"[" * 900 + b"]" * 900] * 2_000) + b"]",
    "numbers": b"[" + b",".join([b"1"] * 1_900_000) + b"]",
    "names": b'{"a":1' + b',"a":1' * 600_000 + b"}",
}


@pytest.mark.fault(35)
@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("path", [SPEECH, "/v1/audio/normalize"])
async def test_json_of_a_million_values_is_refused_before_it_is_read(
    served: Served, path: str, flood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, loads = VALUES % FLOODS[flood], json.loads
    read: list[object] = []
    monkeypatch.setattr(json, "loads", lambda data, **how: read.append(data) or loads(data, **how))
    answer = await served.client.post(
        path, content=body, headers={"content-type": "application/json"}
    )
    monkeypatch.undo()
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "too_many_values")
    assert read == []


@pytest.mark.fault(35)
async def test_values_within_the_limit_are_read(served: Served) -> None:
    body = VALUES % (b"[" + b",".join([b"1"] * (MAX_VALUES - 10)) + b"]")
    answer = await served.client.post(
        SPEECH, content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.fault(35)
@pytest.mark.parametrize("field", ["seed", "speed", "sample_rate", "top_k"])
@pytest.mark.parametrize(
    "number", [b"%b", b"-%b", b"0.%b", b"%b.5", b"1e%b", b'"%b"', b'"-%b"', b'"1_%b"']
)
async def test_a_number_of_a_million_digits_is_refused_or_rounded(
    served: Served, field: str, number: bytes
) -> None:
    body = b'{"input": "Hello there.", "response_format": "pcm", "%b": %b}' % (
        field.encode(),
        number % (b"9" * 1_000_000),
    )
    answer = await served.client.post(
        SPEECH, content=body, headers={"content-type": "application/json"}
    )
    rounded = number == b"0.%b" and field != "sample_rate"  # to 1
    assert answer.status_code == (200 if rounded else 400)
    assert rounded or len(answer.content) < 1_024


@pytest.mark.fault(35)
@pytest.mark.parametrize(
    "kind",
    [None, "text/plain", "application/x-www-form-urlencoded", "nonsense", "a/b; c=" + "d" * 999],
)
async def test_json_that_is_not_called_json_is_400_or_read(
    served: Served, kind: str | None
) -> None:
    headers = {} if kind is None else {"content-type": kind}
    answer = await served.client.post(SPEECH, content=b'{"input": "Hello there."}', headers=headers)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.fault(37)
@pytest.mark.parametrize("word", ["Quagmire", "Quag\r\nx-evil: 1\r\n", "ｑuagmire\u2028"])
async def test_no_text_of_a_request_stands_in_a_header(served: Served, word: str) -> None:
    for fields in (
        {},
        {"voice": word},
        {"model": word},
        {"stream": False},
        {"response_format": word},
        {"speed": word},
    ):
        answer = await served.client.post(
            SPEECH, json={**HELLO, "input": word, "instructions": word, **fields}
        )
        told = str(answer.headers.multi_items()).lower()
        assert "uag" not in told
        assert "evil" not in told


async def test_errors_that_repeat_say_so(served: Served) -> None:
    answer = await served.client.post(SPEECH, json={**HELLO, "voice": "nobody"})
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.fault(35)
async def test_unknown_fields_are_ignored(served: Served) -> None:
    answer = await served.client.post(
        SPEECH, json={**HELLO, "unheard_of": 1, "instructions": "Be kind."}
    )
    assert answer.status_code == 200


async def test_unknown_routes_and_methods_have_the_same_shape(served: Served) -> None:
    for answer in (await served.client.get("/v2/nothing"), await served.client.get(SPEECH)):
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_more_requests_than_places_get_429_with_retry_after() -> None:
    engine = FixedEngine(list(range(100)), stall_after=0)
    async with serving(engine, settings=settings_for_tests(max_concurrent_requests=1)) as served:
        first = asyncio.create_task(served.client.post(SPEECH, json=HELLO))
        await engine.stalled.wait()
        second = await served.client.post(SPEECH, json=HELLO)
        assert second.status_code == 429
        assert second.json()["error"]["code"] == "overloaded"
        assert int(second.headers["retry-after"]) >= 1
        engine.go_on.set()
        assert (await first).status_code == 200
        await good_request(served)


@pytest.mark.fault(31)
async def test_speech_is_503_until_the_codec_is_warm() -> None:
    engine = FixedEngine(list(range(100)))
    async with serving(engine) as served:
        served.service.readiness.set_loading()
        answer = await served.client.post(SPEECH, json=HELLO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
        assert "retry-after" in answer.headers
        assert (await served.client.get("/health")).status_code == 200
        assert (await served.client.get("/ready")).status_code == 503
        served.service.readiness.set_ready()
        await good_request(served)


@pytest.mark.fault(32)
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_over_the_cap_is_413_in_the_same_shape(served: Served, chunked: bool) -> None:
    async def parts() -> AsyncGenerator[bytes]:
        for _ in range(50):
            yield b" " * 100_000

    content = parts() if chunked else b" " * 5_000_000
    answer = await served.client.post(
        SPEECH, content=content, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.fault(32)
async def test_a_body_of_200_mb_is_413_and_not_kept() -> None:
    piece = b"20000\r\n" + b" " * 0x20000 + b"\r\n"
    head = (
        f"POST {SPEECH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        "transfer-encoding: chunked\r\n\r\n"
    )
    settings = settings_for_tests(request_read_timeout_s=0.5)
    async with serving(FixedEngine(list(range(100))), settings=settings) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        tracemalloc.start()
        writer.write(head.encode())
        told = asyncio.create_task(reader.readline())
        with contextlib.suppress(ConnectionError):
            for _ in range(1_600):
                writer.write(piece)
                await writer.drain()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (await told).startswith(b"HTTP/1.1 413 ")
        assert peak < 40_000_000
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(
                reader.read(), 5
            )  # the rest is not read for ever: the connection ends
        writer.close()
        await good_request(served)


@pytest.mark.fault(32)
async def test_a_compressed_body_is_not_opened(served: Served) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = await served.client.post(SPEECH, content=bomb, headers=headers)
    assert (answer.status_code, set(answer.json()["error"])) == (
        400,
        {"message", "type", "param", "code"},
    )


@pytest.mark.fault(31)
async def test_without_its_engine_it_is_alive_and_not_ready() -> None:
    async with serving(settings=settings_for_tests(engine_urls=UNREACHABLE)) as served:
        assert (await served.client.get("/health")).status_code == 200
        answer = await served.client.get("/ready")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_unreachable")
        spoken = await served.client.post(SPEECH, json=HELLO)
        assert (spoken.status_code, spoken.json()["error"]["code"]) == (502, "engine_unreachable")
        await served.settle()


@pytest.mark.parametrize(
    "name", ["speed", "stream", "normalize", "stream_format", "voice", "seed", "playback_speed"]
)
async def test_null_means_absent(served: Served, name: str) -> None:
    assert (await served.client.post(SPEECH, json={**HELLO, name: None})).status_code == 200


async def test_a_text_as_long_as_any_is_let_in_however_its_json_is_written() -> None:
    most = 400_000
    async with serving(
        FixedEngine([]), settings=settings_for_tests(max_input_characters=most)
    ) as served:
        for characters, voice, code in (
            (most, "nobody", "voice_not_found"),
            (most + 1, None, "string_too_long"),
        ):
            body = json.dumps({"input": "\N{GRINNING FACE}" * characters, "voice": voice}).encode()
            assert len(body) > 12 * most
            answer = await served.client.post(
                SPEECH, content=body, headers={"content-type": "application/json"}
            )
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_fewer_tokens_than_one_frame_needs_are_refused_without_asking() -> None:
    engine = FixedEngine(list(range(100)))
    spec = tone_spec(codes_per_frame=7, vocabulary=4_096, samples_per_frame=2_048)
    settings = settings_for_tests(engine_urls=UNREACHABLE, model_profile="orpheus")
    async with serving(engine, ToneCodec(spec), settings) as served:
        answer = await served.client.post(SPEECH, json={**HELLO, "max_tokens": 6})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (
            400,
            "unsupported_value",
            "max_tokens",
        )
        assert engine.prompts == []


async def test_refusals_at_the_door_are_counted(served: Served) -> None:
    row = 'tts_requests_total{outcome="voice_not_found"}'
    before = await served.metric(row)
    await served.client.post(SPEECH, json={**HELLO, "voice": "nobody"})
    assert await served.metric(row) == before + 1
