"""Rows 1 to 17 of docs/faults.md, as far as they concern the engine's client."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine import Generation
from app.engine.vllm.client import EngineLimits
from app.errors import (
    EngineError,
    EngineOverloaded,
    EngineRefused,
    EngineTimeout,
    EngineTruncated,
    EngineUnreachable,
    InputTooLong,
    ServiceError,
)
from tests.engine.connected import (
    LONG,
    SAMPLING,
    SHORT,
    against,
    failure_of,
    numbers_of,
    opened,
    refusing,
    unaccepting,
)
from tests.engine.scripted import (
    GOOD,
    ID_OFFSET,
    Close,
    Reset,
    ScriptedEngine,
    Send,
    Sleep,
    Step,
    answer,
    choice,
    chunk,
    completion,
    event,
    events,
    head,
    refusal,
    tokens,
)


@pytest.mark.fault(1)
async def test_row_1_refused() -> None:
    started_s = time.monotonic()
    with refusing() as url:
        async with opened(url) as engine:
            with pytest.raises(EngineUnreachable):
                await numbers_of(engine)
            with pytest.raises(EngineUnreachable):
                await engine.check()
    assert time.monotonic() - started_s < 2


@pytest.mark.fault(2)
async def test_row_2_connecting_hangs() -> None:
    with unaccepting() as url:
        async with opened(url, EngineLimits(connect_s=0.2, first_token_s=30, check_s=30)) as engine:
            for attempt in (numbers_of(engine), engine.check()):
                started_s = time.monotonic()
                with pytest.raises(EngineTimeout):
                    await attempt
                assert 0.2 <= time.monotonic() - started_s < 5


@pytest.mark.fault(3)
@pytest.mark.parametrize("status", [302, 404, 500, 502])
async def test_row_3_refusals_that_say_nothing_more(status: int) -> None:
    error, found = await failure_of(refusal(status, b'{"error": {"message": "secret: Hello."}}'))
    assert type(error) is EngineError
    assert "secret" not in str(error)
    assert found == []


@pytest.mark.fault(4)
@pytest.mark.parametrize("status", [401, 403])
async def test_row_4_our_key_is_refused(status: int, caplog: pytest.LogCaptureFixture) -> None:
    script = refusal(status, b'{"error": "Unauthorized"}')
    with caplog.at_level(logging.ERROR):
        async with against(script, script, api_key="key-1") as (engine, _):
            for _ in range(2):
                with pytest.raises(EngineError) as caught:
                    await numbers_of(engine)
                assert caught.value.code == "engine_failed"
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "TTS_API_KEY" in messages[0]
    assert "key-1" not in messages[0]


@pytest.mark.fault(3, 6)
@pytest.mark.parametrize("status", [302, 400, 404, 500])
async def test_a_refusal_is_told_by_its_status_until_the_engine_is_well(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    script = refusal(status, b"it quotes Hello.")
    async with against(script, script, completion(GOOD), script) as (engine, fake):
        for _ in range(2):
            with pytest.raises(EngineError):
                await numbers_of(engine)
        (record,) = caplog.records
        assert record.getMessage().startswith(f"engine {fake.name} answered {status}")
        await numbers_of(engine)
        with pytest.raises(EngineError):
            await numbers_of(engine)
    assert len(caplog.records) == 1  # within a minute
    assert "Hello" not in caplog.text


@pytest.mark.fault(5, 6)
@pytest.mark.parametrize(
    ("status", "body"), [(429, b"{}"), (503, b"{}"), (400, b"maximum context length")]
)
async def test_refusals_that_are_in_order_are_not_told(
    status: int, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await failure_of(refusal(status, body))
    assert caplog.records == []


@pytest.mark.fault(5)
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("30", 30),
        ("3600", 30),
        ("0", 1),
        ("soon", 1),
        ("-5", 1),
        ("9" * 5000, 1),
        (None, 1),
    ],
)
async def test_row_5_overloaded(status: int, header: str | None, seconds: int) -> None:
    lines = [] if header is None else [f"retry-after: {header}"]
    error, _ = await failure_of(refusal(status, b"{}", *lines))
    assert isinstance(error, EngineOverloaded)
    assert error.retry_after_s == seconds


@pytest.mark.fault(6)
@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            "This model's maximum context length is 2048 tokens. However, your prompt contains …",
            InputTooLong,
        ),
        ("… (parameter=input_tokens, value=2049)", InputTooLong),
        ("max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)", InputTooLong),
        ("max_tokens=4000 cannot be greater than max_model_len=2048.", EngineRefused),
        ("temperature must be non-negative, got -1.0.", EngineRefused),
    ],
)
async def test_row_6_bad_requests(message: str, kind: type[ServiceError]) -> None:
    error, _ = await failure_of(refusal(400, f'{{"error": {{"message": "{message}"}}}}'.encode()))
    assert type(error) is kind
    assert message not in str(error)


@pytest.mark.fault(6)
@pytest.mark.parametrize("status", [413, 422])
async def test_row_6_other_words_for_a_bad_request(status: int) -> None:
    error, _ = await failure_of(refusal(status, b"{}"))
    assert (type(error), error.code) == (EngineRefused, "engine_failed")


async def test_a_refusal_that_never_ends() -> None:
    error, _ = await failure_of([Send(head(500) + chunk(b"x" * 100)), Sleep()], SHORT)
    assert isinstance(error, EngineTimeout)
    error, _ = await failure_of([Send(head(500)), Send(chunk(b"x" * 1_000_000)), Sleep()], SHORT)
    assert type(error) is EngineError


COMMENTS = [step for _ in range(100) for step in (Sleep(0.02), Send(chunk(b": keep-alive\n\n")))]
EMPTY = [step for _ in range(100) for step in (Sleep(0.02), Send(chunk(event(choice("")))))]


@pytest.mark.fault(7)
@pytest.mark.parametrize(
    "script",
    [
        [Sleep()],
        [Send(head()), Sleep()],
        [Send(b"HTTP/1.1 200 OK\r\nx-a: "), Sleep()],
        [Send(head()), *COMMENTS],
        [Send(head()), *EMPTY],
    ],
    ids=["nothing", "headers", "half a header", "comments", "events without tokens"],
)
async def test_row_7_silence_before_the_first_token(script: Sequence[Step]) -> None:
    started_s = time.monotonic()
    error, found = await failure_of(script, EngineLimits(first_token_s=0.2, token_gap_s=30))
    assert isinstance(error, EngineTimeout)
    assert 0.2 <= time.monotonic() - started_s < 5
    assert found == []


@pytest.mark.fault(8)
@pytest.mark.parametrize(
    "rest", [[Sleep()], COMMENTS, EMPTY], ids=["nothing", "comments", "events without tokens"]
)
async def test_row_8_silence_between_tokens(rest: Sequence[Step]) -> None:
    limits, started_s = EngineLimits(first_token_s=30, token_gap_s=0.2), time.monotonic()
    error, found = await failure_of([*completion(LONG)[:6], *rest], limits)
    assert isinstance(error, EngineTimeout)
    assert 0.2 <= time.monotonic() - started_s < 5
    assert found == LONG[:5]


async def test_an_engine_slower_than_the_limits_in_all_but_not_between_tokens() -> None:
    limits = EngineLimits(first_token_s=0.4, token_gap_s=0.4)
    async with against(completion(GOOD, gap_s=0.1), limits=limits) as (engine, _):
        assert await numbers_of(engine) == list(GOOD)  # 1.0 s in all


@pytest.mark.fault(10)
@pytest.mark.parametrize("tokens_before", [0, 5])
@pytest.mark.parametrize(
    "end",
    [
        [Close()],
        [Reset()],
        [Send(chunk(b"")), Close()],
        [Send(chunk(b"data: [DONE]\n\n") + chunk(b"")), Close()],
        [Send(chunk(event(choice("<|s_1|>"))[:-20]) + chunk(b"")), Close()],
        [Send(b"f0\r\ndata: "), Close()],
    ],
    ids=["FIN", "reset", "clean end", "DONE", "half an event", "half a chunk"],
)
async def test_row_10_ends_early(end: Sequence[Step], tokens_before: int) -> None:
    error, found = await failure_of([*completion(LONG)[: 1 + tokens_before], *end])
    assert type(error) is EngineTruncated
    assert found == LONG[:tokens_before]


@pytest.mark.fault(10)
@pytest.mark.parametrize("end", [Close(), Reset()])
async def test_row_10_ends_before_the_headers(end: Step) -> None:
    error, _ = await failure_of([end])
    assert type(error) is EngineTruncated


@pytest.mark.parametrize(
    "end", [[Close()], [Reset()], [Sleep()], COMMENTS], ids=["FIN", "reset", "silence", "comments"]
)
async def test_after_the_finish_reason_nothing_can_fail(end: Sequence[Step]) -> None:
    found: list[int] = []
    async with against([*completion(GOOD)[:-4], *end], limits=SHORT) as (engine, _):
        assert await engine.generate("Hello.", SAMPLING, found.extend) == Generation("stop")
    assert found == list(GOOD)


@pytest.mark.fault(12)
@pytest.mark.parametrize(
    "behind",
    [
        [event(choice("<|s_900|>", [900 + ID_OFFSET]))] * 3,
        [b"data: {nonsense\n\n", b"<html>\n"],
        [event({"error": {"message": "x"}})],
        [event({"choices": [], "usage": {"prompt_tokens": 2**63, "completion_tokens": True}})],
        [b"data: [DONE]\n\n", event(choice("<|s_900|>")), b"<html>\n"],
        [b"data: " + b"x" * 3_000_000],
    ],
    ids=["tokens", "nonsense", "an error", "usage", "behind DONE", "a line without end"],
)
@pytest.mark.parametrize("merged", [True, False])
async def test_whatever_comes_behind_the_finish_reason_changes_nothing(
    behind: list[bytes], merged: bool
) -> None:
    parts, found = [*events(GOOD)[:-2], *behind], list[int]()
    async with against(answer([b"".join(parts)] if merged else parts), limits=SHORT) as (engine, _):
        assert await engine.generate("Hello.", SAMPLING, found.extend) == Generation("stop")
    assert found == list(GOOD)


@pytest.mark.fault(11)
@pytest.mark.parametrize("error", [{"message": "secret", "code": 500}, "secret"])
@pytest.mark.parametrize("tokens_before", [0, 5])
async def test_row_11_an_error_under_200(error: object, tokens_before: int) -> None:
    script = answer([*events(LONG)[:tokens_before], event({"error": error}), b"data: [DONE]\n\n"])
    raised, found = await failure_of(script)
    assert type(raised) is EngineError
    assert "secret" not in str(raised)
    assert found == LONG[: len(found)]  # those in the same read as the error are not worth having


@pytest.mark.fault(11)
@pytest.mark.parametrize("reason", ["abort", "error", "tool_calls"])
async def test_a_generation_that_the_engine_gave_up(reason: str) -> None:
    error, _ = await failure_of(completion(GOOD, finish=reason))
    assert type(error) is EngineError


@pytest.mark.fault(12, 17)
@pytest.mark.parametrize(
    "script",
    [
        answer([b"data: nonsense\n\n"]),
        answer([b"<html>\n<body>Bad Gateway</body></html>\n"]),
        refusal(200, b"<html></html>", content_type="text/html"),
        refusal(200, b'{"choices": [{"text": "<|s_1|>"}]}'),
        answer([b"data: " + b"<" * 10_000_000]),
        [Send(b"SSH-2.0-OpenSSH_9.2\r\n"), Sleep()],
        answer([event(choice("<|s_-1|>"))]),
        answer([event(choice("<|s_12345678901234567890|>"))]),
        answer([event(choice("<|s_1.5|>"))]),
        answer([event(choice("<|s_1|>", [2**63]))]),
        answer([event(choice("<|s_1|><|s_2")), event(choice("", finish="stop"))]),
        answer([event(choice("<|s_1|><|s_2|>", [301, 302])), event(choice("<|s_3|>", [304]))]),
    ],
    ids=[
        "no JSON",
        "HTML",
        "type HTML",
        "type JSON",
        "10 MB",
        "no HTTP",
        "negative",
        "20 digits",
        "a half",
        "id",
        "open",
        "ids",
    ],
)
async def test_rows_12_and_17_breaches_of_protocol(script: Sequence[Step]) -> None:
    error, found = await failure_of(script)
    assert error.code == "engine_protocol"
    assert found in ([], [1, 2])


@pytest.mark.fault(12)
async def test_row_12_http_that_breaks_off_in_nonsense() -> None:
    error, found = await failure_of([*completion(LONG)[:4], Send(b"zz\r\ndata\r\n"), Sleep()])
    assert error.code in ("engine_protocol", "engine_truncated")
    assert found == LONG[: len(found)]


STREAM = b": hello\r\n\r\n" + event(choice("ł\u2028")) + b"".join(events(LONG[:12], per_event=5))


@pytest.mark.fault(14)
@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=30, unique=True), st.booleans())
def test_row_14_any_split_of_the_bytes(cuts: list[int], pauses: bool) -> None:
    marks = sorted(cuts)
    parts = [
        STREAM[start:end] for start, end in zip([0, *marks], [*marks, len(STREAM)], strict=True)
    ]

    async def run() -> list[int]:
        async with (
            ScriptedEngine([answer(parts, gap_s=0.0001 if pauses else 0)]) as fake,
            opened(fake.url) as engine,
        ):
            return await numbers_of(engine)

    assert asyncio.run(run()) == LONG[:12]


@pytest.mark.fault(15)
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, len(tokens(LONG))), max_size=30),
    st.sampled_from(["", "\n", " and <|x|> "]),
)
def test_row_15_any_split_of_the_text(cuts: list[int], between: str) -> None:
    text = between + between.join(tokens([number]) for number in LONG)
    marks = sorted(cuts)
    parts = [text[start:end] for start, end in zip([0, *marks], [*marks, len(text)], strict=True)]
    script = answer([*(event(choice(part)) for part in parts), *events([], ids=False)])

    async def run() -> list[int]:
        async with ScriptedEngine([script]) as fake, opened(fake.url) as engine:
            return await numbers_of(engine)

    assert asyncio.run(run()) == LONG


@pytest.mark.fault(15)
async def test_ids_where_an_event_has_no_text() -> None:
    parts = [*events(LONG[:2])[:2], event(choice("", [LONG[2] + ID_OFFSET])), *events(LONG[3:])]
    async with against(answer(parts)) as (engine, _):
        assert await numbers_of(engine) == LONG


OTHER = b'{"data": [{"id": "other"}]}'


async def test_an_engine_that_does_not_list_the_model_is_told_once_and_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedEngine() as fake, opened(fake.url) as engine:
        fake.models = OTHER
        for _ in range(3):
            await engine.check()
        assert fake.questions == 1
        fake.health = 503
        with pytest.raises(EngineError, match="its /health returned 503"):
            await engine.check()
        fake.health = 200
        await engine.check()
        assert fake.questions == 2  # it may have been started anew, with another model
    assert [record.getMessage() for record in caplog.records] == [
        f"engine {fake.name} lists 'other', but not MODEL_NAME=tiny"
    ]


@pytest.mark.parametrize(
    "models", [None, b'{"data": [{"id": "tiny"}]}', b'{"data": []}', b"<html></html>"]
)
async def test_an_engine_that_lists_the_model_or_none_is_not_remarked_upon(
    models: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedEngine() as fake, opened(fake.url) as engine:
        fake.models = models
        await engine.check()
        assert fake.questions == 1
    assert caplog.records == []
