"""Request ids: in every answer and in the log; the client's own if it is valid."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.middleware.request_context import RequestContext
from app.errors import EngineError, ServiceError
from tests.api.test_slow_clients import HANDSHAKE, KEY, SIZED, Client
from tests.fakes import FixedEngine
from tests.live_server import HELLO, SPEECH, Served, serving, settings_for_tests

CODES = list(range(100))
OURS = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(
        FixedEngine(CODES), settings=settings_for_tests(api_keys=("key",))
    ) as running:
        running.client.headers["authorization"] = "Bearer key"
        yield running


def bad_requests(served: Served) -> list[tuple[int, httpx.Request]]:
    """One of each refusal, with its status."""

    def speech(**fields: object) -> httpx.Request:
        return served.client.build_request("POST", SPEECH, json={**HELLO, **fields})

    get = served.client.build_request
    keyless = speech()
    del keyless.headers["authorization"]
    return [
        (401, keyless),
        (400, speech(voice="nobody")),
        (400, speech(speed="fast")),
        (400, served.client.build_request("POST", SPEECH, content=b"{")),
        (404, speech(model="gpt-9")),
        (404, get("GET", "/v1/models/other")),
        (404, get("GET", "/nothing")),
        (405, get("GET", SPEECH)),
        (413, get("POST", SPEECH, content=b" " * 5_000_000)),
    ]


async def test_every_refusal_has_an_id_and_says_that_it_repeats(served: Served) -> None:
    for status, request in bad_requests(served):
        answer = await served.client.send(request)
        assert answer.status_code == status, request
        assert OURS.fullmatch(answer.headers["x-request-id"]), request
        assert answer.headers["x-should-retry"] == "false", request
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_every_success_has_one(served: Served) -> None:
    answers = [
        await served.client.get(path)
        for path in ("/health", "/ready", "/metrics", "/docs", "/v1/models")
    ]
    for stream in (True, False):
        answers.append(await served.client.post(SPEECH, json={**HELLO, "stream": stream}))
    assert [answer.status_code for answer in answers] == [200] * 7
    assert all(len(answer.headers.get_list("x-request-id")) == 1 for answer in answers)
    assert len({answer.headers["x-request-id"] for answer in answers}) == 7


@pytest.mark.parametrize("name", ["a", "A-z_09", "f" * 64])
async def test_the_callers_own_is_taken_over(
    served: Served, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for fields in ({}, {"voice": "nobody"}, {"stream": False}):
        answer = await served.client.post(
            SPEECH, json={**HELLO, **fields}, headers={"x-request-id": name}
        )
        assert answer.headers["x-request-id"] == name
    assert len([line for line in caplog.messages if f"request_id={name} " in line]) == 3


@pytest.mark.parametrize(
    "name", ["", "f" * 65, "a b", "a;b", "ä", "a%0d%0aevil: 1", "../x", "a\tb"]
)
async def test_another_is_replaced(
    served: Served, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app")
    headers = [(b"x-request-id", name.encode())]
    answer = await served.client.post(SPEECH, json=HELLO, headers=headers)  # type: ignore[arg-type]
    assert OURS.fullmatch(answer.headers["x-request-id"])
    assert not name or f"request_id={name}" not in caplog.text


@given(st.binary(max_size=80))
async def test_no_header_gets_through_that_could_break_one(value: bytes) -> None:
    heard: list[dict[str, object]] = []

    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200})  # type: ignore[operator]

    async def send(message: dict[str, object]) -> None:
        heard.append(message)

    await RequestContext(app)(
        {"type": "http", "path": "/", "headers": [(b"x-request-id", value)]}, None, send
    )  # type: ignore[arg-type]
    ((name, told),) = heard[0]["headers"]  # type: ignore[misc]
    assert name == b"x-request-id"
    assert re.fullmatch(rb"[A-Za-z0-9_-]{1,64}", told)


@pytest.mark.parametrize("error", [EngineError("failed"), KeyError("a bug")])
async def test_failures_and_bugs_have_one_too(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(FixedEngine([], error=error)) as served:
        answer = await served.client.post(SPEECH, json=HELLO, headers={"x-request-id": "mine"})
        expected = error if isinstance(error, ServiceError) else ServiceError("")
        assert (answer.status_code, answer.json()["error"]["code"]) == (
            expected.status,
            expected.code,
        )
        assert answer.headers["x-request-id"] == "mine"
        assert "request_id=mine " in caplog.text
        assert "x-should-retry" not in answer.headers


GET = b"GET /health HTTP/1.1\r\n"


@pytest.mark.parametrize("sane", [True, False])
@pytest.mark.parametrize(
    ("status", "before", "after"),
    [
        (408, SIZED.replace(b"\r\n\r\n", b"\r\n"), b"\r\n"),
        (408, GET, b"x-slow: "),
        (431, GET, b"x-long: " + b"y" * 70_000),
        (400, GET, b"x-next: 1\r\nno header\r\n\r\n"),
        (401, HANDSHAKE, KEY),
    ],
    ids=["408 for a body", "408 for a head", "431", "400", "401 for a WebSocket"],
)
async def test_the_servers_own_refusals_have_one(
    status: int, before: bytes, after: bytes, sane: bool, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for_tests(
        request_read_timeout_s=0.4, api_keys=("sane" if status == 401 else None)
    )
    async with serving(FixedEngine(CODES), settings=settings) as served:
        client = await Client.of(served)
        client.writer.write(
            before + b"x-request-id: " + (b"mine" if sane else b"a;b") + b"\r\n" + after
        )
        head = (await client.rest()).partition(b"\r\n\r\n")[0].decode()
        assert head.startswith(f"HTTP/1.1 {status} ")
        (name,) = re.findall(r"(?im)^x-request-id: (.*?)\r?$", head)
        assert name == "mine" if sane else OURS.fullmatch(name)
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []
