"""API keys: access with and without one, rejections, and no key in any answer or log."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncGenerator
from itertools import chain

import httpx
import pytest
from fastapi.routing import APIRoute
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from app.api.middleware.api_keys import ApiKeyMiddleware, ApiKeys
from app.main import create_app
from tests.api.test_faults import raw_request
from tests.fakes import FixedEngine, ToneCodec
from tests.live_server import HELLO, SPEECH, Served, serving, settings_for_tests

KEYS = ("sk-first-1", "sk-second-2")
CODES = list(range(100))
OPEN = ["/health", "/ready", "/metrics", "/docs", "/openapi.json", "/"]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine(CODES), settings=settings_for_tests(api_keys=KEYS)) as running:
        yield running


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
async def test_each_key_is_let_in(served: Served, key: str, scheme: str) -> None:
    answer = await served.client.post(
        SPEECH, json=HELLO, headers={"authorization": f"{scheme} {key}"}
    )
    assert answer.status_code == 200
    assert answer.content


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    "authorization",
    [
        *(
            None,
            "",
            "Bearer",
            "Bearer wrong",
            "Basic sk-first-1",
            "sk-first-1",
            "Bearer sk-first-1 x",
        ),
        *(
            "Bearer sk-first-",
            "Bearer SK-FIRST-1",
            "Bearer sk-first-1,sk-second-2",
            b"Bearer \xe9\xff",
        ),
    ],
)
async def test_anything_else_is_refused(served: Served, authorization: str | bytes | None) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization)]
    answer = await served.client.post(SPEECH, json=HELLO, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-should-retry"] == "false"
    assert served.service.engine.prompts == []  # type: ignore[attr-defined]


def v1_routes() -> list[tuple[str, str]]:
    routes = [
        route
        for route in every_route(create_app(settings_for_tests()).routes)
        if route.path.startswith("/v1/")
    ]
    return sorted(
        chain.from_iterable(((method, route.path) for method in route.methods) for route in routes)
    )


def every_route(routes: object) -> list[APIRoute]:
    """Yield all routes, also those of included routers."""
    found: list[APIRoute] = []
    for route in routes:  # type: ignore[attr-defined]
        if isinstance(route, APIRoute):
            found.append(route)
        elif inner := getattr(route, "original_router", None):
            found += every_route(inner.routes)
    return found


@pytest.mark.parametrize(("method", "path"), v1_routes())
async def test_every_route_below_v1_needs_one(served: Served, method: str, path: str) -> None:
    assert (await served.client.request(method, path)).status_code == 401
    assert (
        await served.client.request(method, f"/prefix{path}")
    ).status_code == 401  # as behind --root-path


def test_the_speech_route_is_one_of_them() -> None:
    assert ("POST", SPEECH) in v1_routes()


def test_the_document_says_which_routes_need_one() -> None:
    for keys in (None, KEYS):
        paths = create_app(settings_for_tests(api_keys=keys)).openapi()["paths"]
        keyed = {
            path
            for path, operations in paths.items()
            for each in operations.values()
            if "security" in each
        }
        assert keyed == ({path for path in paths if path.startswith("/v1/")} if keys else set())
        assert "422" not in str(paths)


async def test_a_websocket_needs_one_too() -> None:
    said: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        said.append(message)

    async def reached(*_: object) -> None:
        pytest.fail("let in")

    scope = {"type": "websocket", "path": "/v1/any", "headers": []}
    await ApiKeyMiddleware(reached, ApiKeys(KEYS))(scope, reached, send)  # type: ignore[arg-type]
    assert (said[0]["type"], said[0]["status"]) == ("websocket.http.response.start", 401)


@pytest.mark.parametrize("path", OPEN)
async def test_what_operators_ask_is_open(served: Served, path: str) -> None:
    assert (await served.client.get(path)).status_code != 401


async def test_without_keys_everybody_is_let_in() -> None:
    async with serving(FixedEngine(CODES)) as served:
        assert (
            await served.client.post(SPEECH, json=HELLO, headers=bearer("any"))
        ).status_code == 200


async def test_a_wrong_key_is_refused_before_the_body_is_read(served: Served) -> None:
    """And whatever its length: a body over the cap would be 413."""
    head = (
        f"POST {SPEECH} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
        "content-length: 5000000\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head.encode())
    async with asyncio.timeout(5):
        status = await reader.readline()
    assert status.startswith(b"HTTP/1.1 401 ")  # and no "100 Continue" before it
    writer.close()
    await writer.wait_closed()


@pytest.mark.fault(39)
async def test_no_key_stands_in_logs_metrics_errors_or_documents(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        await served.client.post(SPEECH, json=HELLO, headers=bearer(key))
        for key in (*KEYS, "sk-wrong-3")
    ]
    answers.append(
        await served.client.post(SPEECH, json={**HELLO, "voice": "nobody"}, headers=bearer(KEYS[0]))
    )
    answers += [await served.client.get(path) for path in OPEN]
    told = [caplog.text] + [f"{answer.headers} {answer.text}" for answer in answers]
    ours = [record for record in caplog.records if record.name.startswith("app")]
    assert ours
    assert not [text for text in told if any(key in text for key in (*KEYS, "sk-wrong-3"))]
    assert KEYS[0] not in repr(served.service.settings)


async def test_refused_keys_are_counted(served: Served) -> None:
    row = 'tts_requests_total{outcome="invalid_api_key"}'
    await served.client.post(SPEECH, json=HELLO)
    before, _ = await served.metric(row), await served.client.post(SPEECH, json=HELLO)
    assert await served.metric(row) == before + 1


async def test_one_key_has_so_many_places_and_the_others_theirs() -> None:
    engine = FixedEngine(CODES, stall_after=0)
    limits = settings_for_tests(api_keys=KEYS, max_concurrent_requests_per_key=1)
    async with serving(engine, ToneCodec(), limits) as served:

        def ask(key: str) -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(served.client.post(SPEECH, json=HELLO, headers=bearer(key)))

        first = ask(KEYS[0])
        await engine.stalled.wait()
        refused, other = await ask(KEYS[0]), ask(KEYS[1])
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert "x-should-retry" not in refused.headers
        engine.go_on.set()
        assert (await first).status_code == (await other).status_code == 200
        assert (await ask(KEYS[0])).status_code == 200


async def test_a_client_that_leaves_gives_its_keys_place_back() -> None:
    engine = FixedEngine(CODES, stall_after=0)
    limits = settings_for_tests(api_keys=KEYS, max_concurrent_requests_per_key=1)
    async with serving(engine, ToneCodec(), limits) as served:
        client = await raw_request(served, key=KEYS[0])
        await engine.stalled.wait()
        client.close()
        await served.settle()
        engine.go_on.set()
        assert (
            await served.client.post(SPEECH, json=HELLO, headers=bearer(KEYS[0]))
        ).status_code == 200


def test_a_key_is_found_by_its_number() -> None:
    keys = ApiKeys(["a", "b", "b"])
    assert [keys.find(key) for key in (b"a", b"b", b"c", b"")] == [0, 1, None, None]
    assert ApiKeys([]).find(b"") is None
    assert b"a" not in vars(keys)["_hashes"]


@pytest.mark.fault(39)
def test_every_known_key_is_compared_wherever_the_match_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys, compared = ApiKeys([f"sk-{number}" for number in range(5)]), []
    compare = hmac.compare_digest
    monkeypatch.setattr(
        hmac,
        "compare_digest",
        lambda left, right: compared.append(len(left)) or compare(left, right),
    )
    for key, number in (
        (b"sk-0", 0),
        (b"sk-4", 4),
        (b"sk-9", None),
        (b"", None),
        (b"s" * 100_000, None),
    ):
        compared.clear()
        assert keys.find(key) == number
        assert compared == [32] * 5


def stream_of(served: Served) -> str:
    return f"ws://127.0.0.1:{served.port}/v1/audio/speech/stream"


@pytest.mark.parametrize(
    ("offered", "accepted"),
    [
        (["realtime", "openai-insecure-api-key.sk-second-2"], "realtime"),
        (["openai-insecure-api-key.sk-second-2", "realtime"], "realtime"),
        (
            ["realtime", "openai-insecure-api-key.sk-second-2", "openai-beta.realtime-v1"],
            "realtime",
        ),
        (["other", "openai-insecure-api-key.sk-second-2"], "other"),
        (["openai-insecure-api-key.sk-second-2"], "openai-insecure-api-key.sk-second-2"),
    ],
)
async def test_a_page_offers_its_key_as_a_sub_protocol(
    served: Served, offered: list[str], accepted: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "app")
    caplog.set_level(logging.DEBUG, "uvicorn")
    protocols = [Subprotocol(name) for name in offered]
    async with connect(stream_of(served), proxy=None, subprotocols=protocols) as socket:
        assert socket.subprotocol == accepted
        await socket.send('{"type": "cancel"}')
        assert await socket.recv() == '{"type":"cancelled"}'
    ours = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    assert "sk-second-2" not in "".join(record.getMessage() for record in ours)


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    "offered",
    [["realtime"], ["openai-insecure-api-key."], ["openai-insecure-api-key.wrong"], ["sk-first-1"]],
)
async def test_another_sub_protocol_is_no_key(served: Served, offered: list[str]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            stream_of(served), proxy=None, subprotocols=[Subprotocol(name) for name in offered]
        ):
            pass
    assert refused.value.response.status_code == 401


async def test_a_key_may_hold_every_character_of_a_sub_protocol() -> None:
    key = "azAZ09!#$%&'*+-.^_`|~"
    async with serving(FixedEngine(CODES), settings=settings_for_tests(api_keys=(key,))) as served:
        offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{key}")]
        async with connect(stream_of(served), proxy=None, subprotocols=offered) as socket:
            assert socket.subprotocol == "realtime"


@pytest.mark.parametrize(("offered", "accepted"), [(["realtime"], "realtime"), (["other"], None)])
async def test_an_open_service_accepts_the_sub_protocol_that_it_speaks(
    offered: list[str], accepted: str | None
) -> None:
    async with (
        serving(FixedEngine(CODES)) as served,
        connect(
            stream_of(served), proxy=None, subprotocols=[Subprotocol(name) for name in offered]
        ) as socket,
    ):
        assert socket.subprotocol == accepted
