"""Pages of other origins, and DNS names rebound to this machine, against a service on loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.api.middleware.origin_check import OriginCheck
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests

pytestmark = pytest.mark.fault(48)
CODES = tone_codes(100)
EVIL = "http://evil.example"
STREAM = "/v1/audio/speech/stream"


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine(CODES)) as running:
        yield running


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://localhost"},
        {"origin": "x"},
        {"origin": "http://[::1"},
        {"origin": EVIL, "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_page_of_another_origin_changes_nothing_and_opens_no_websocket(
    served: Served, headers: dict[str, str]
) -> None:
    form = {"files": {"audio": ("a.wav", b"x" * 100)}, "data": {"name": "Lark", "consent": "true"}}
    for answer in (
        await served.client.post(SPEECH, json=HELLO, headers=headers),
        await served.client.post("/v1/audio/voices", headers=headers, **form),  # type: ignore[arg-type]
        await served.client.delete("/v1/audio/voices/voice_1", headers=headers),
    ):
        assert answer.status_code == 403
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert answer.json()["error"]["code"] == "origin_not_allowed"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"ws://127.0.0.1:{served.port}{STREAM}", proxy=None, additional_headers=headers
        ):
            pass
    assert refused.value.response.status_code == 403
    assert b"origin_not_allowed" in (refused.value.response.body or b"")
    await good_request(served)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "a@b", "[::1"]
)
async def test_a_name_that_dns_has_bound_to_this_machine_is_refused(
    served: Served, host: str
) -> None:
    named = {"host": host.format(port=served.port)}
    page = {**named, "origin": f"http://{named['host']}"}
    for path in (
        "/v1/audio/voices",
        "/metrics",
        "/",
        "/openapi.json",
    ):  # a page's own GET has no origin
        answer = await served.client.get(path, headers=named)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host_not_allowed")
    assert (await served.client.post(SPEECH, json=HELLO, headers=page)).status_code == 403
    faked = {**page, "x-forwarded-for": "1.2.3.4", "x-forwarded-host": named["host"]}
    if ":" in host:  # straight to this port, so that no proxy can have passed it on
        assert (await served.client.post(SPEECH, json=HELLO, headers=faked)).status_code == 403
        assert (await served.client.get("/metrics", headers=faked)).status_code == 403
    assert (await served.client.get("/health", headers=named)).status_code == 200


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "127.0.0.9", "[::1]", "gpu-box", "gpu-box.local", "10.1.2.3"]
)
async def test_the_services_own_page_works_by_each_of_its_names(served: Served, name: str) -> None:
    host = f"{name}:{served.port}"
    page = {"host": host, "origin": f"http://{host}"}
    assert (await served.client.get("/", headers={"host": host})).status_code == 200
    assert (await served.client.post(SPEECH, json=HELLO, headers=page)).status_code == 200
    headers = {"origin": f"http://127.0.0.1:{served.port}"}
    async with connect(
        f"ws://127.0.0.1:{served.port}{STREAM}", proxy=None, additional_headers=headers
    ):
        pass


@pytest.mark.parametrize(
    "host", ["speech:9091", "x", "10.0.0.7:9091", "speech.default.svc.cluster.local", "LOCALHOST"]
)
async def test_programs_are_let_in_by_each_of_its_names(served: Served, host: str) -> None:
    assert (await served.client.get("/v1/models", headers={"host": host})).status_code == 200
    assert (await served.client.post(SPEECH, json=HELLO, headers={"host": host})).status_code == 200


async def test_a_program_that_writes_is_let_in_by_any_name(served: Served) -> None:
    for headers in (
        {"host": "speech.example.com"},
        {"host": "speech.example.com", "sec-fetch-mode": "cors"},
    ):  # Node
        assert (await served.client.post(SPEECH, json=HELLO, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {
            "host": "tts.example.com",
            "x-forwarded-for": "1.2.3.4",
            "origin": "https://tts.example.com",
        },
        {
            "host": "tts.example.com",
            "x-forwarded-for": "1.2.3.4",
            "origin": "http://tts.example.com",
        },
        {
            "host": "tts.example.com",
            "x-forwarded-for": "1.2.3.4",
            "origin": "https://tts.example.com:8443",
        },
        {
            "host": "127.0.0.1:9091",
            "x-forwarded-host": "tts.example.com",
            "origin": "https://tts.example.com",
        },
        {
            "host": "127.0.0.1:9091",
            "sec-fetch-site": "same-origin",
            "origin": "https://tts.example.com",
        },
    ],
)
async def test_a_page_works_through_a_proxy_on_the_same_machine(
    served: Served, headers: dict[str, str]
) -> None:
    assert (await served.client.post(SPEECH, json=HELLO, headers=headers)).status_code == 200
    read = {name: value for name, value in headers.items() if name != "origin"}
    assert (await served.client.get("/v1/audio/voices", headers=read)).status_code == 200


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        ("tts.example.com", "tts.example.com", 200),
        ("tts.example.com", "TTS.example.com:9091", 200),
        ("tts.example.com", "tts.example.com.", 200),
        ("tts.example.com", "127.0.0.1", 200),
        ("tts.example.com", "speech:9091", 200),
        ("tts.example.com", "evil.example", 403),
        ("*", "evil.example", 200),
    ],
)
async def test_allowed_hosts_name_those_that_may_be_used(
    allowed: str, host: str, status: int
) -> None:
    async with serving(
        FixedEngine(CODES), settings=settings_for_tests(allowed_hosts=allowed)
    ) as served:
        for forwarded in ({}, {"x-forwarded-for": "1.2.3.4"}):
            headers = {"host": host, "origin": f"http://{host}", **forwarded}
            assert (
                await served.client.get("/v1/models", headers={"host": host, **forwarded})
            ).status_code == status
            assert (
                await served.client.post(SPEECH, json=HELLO, headers=headers)
            ).status_code == status


@pytest.mark.parametrize(
    "origin", ["https://page.example", "tauri://localhost", "chrome-extension://abc"]
)
@pytest.mark.parametrize("listed", [True, False])
async def test_pages_of_cors_origins_are_let_in(origin: str, listed: bool) -> None:
    settings = settings_for_tests(cors_origins=(origin if listed else "*",))
    async with serving(FixedEngine(CODES), settings=settings) as served:
        headers = {"origin": origin, "sec-fetch-site": "cross-site"}
        assert (await served.client.post(SPEECH, json=HELLO, headers=headers)).status_code == 200
        async with connect(
            f"ws://127.0.0.1:{served.port}{STREAM}", proxy=None, additional_headers=headers
        ):
            pass
        if listed:
            assert (
                await served.client.post(SPEECH, json=HELLO, headers={"origin": EVIL})
            ).status_code == 403


@pytest.mark.parametrize(
    ("address", "passed"),
    [("127.0.0.1", False), ("::1", False), ("::ffff:127.0.0.1", False), ("192.168.1.5", True)],
)
async def test_a_public_name_is_refused_where_the_connection_has_come_over_loopback(
    address: str, passed: bool
) -> None:
    reached: list[Scope] = []
    said: list[object] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.append(scope)

    async def receive() -> dict[str, object]:
        pytest.fail("the body was read")

    async def send(message: object) -> None:
        said.append(message)

    host = b"gpu.example.com:9091"
    scope = {
        **{
            "type": "http",
            "method": "POST",
            "path": SPEECH,
            "server": (address, 9091),
        },
        "headers": [(b"host", host), (b"origin", b"http://" + host)],
    }
    await OriginCheck(app, hosts=(), own="0.0.0.0", origins=())(scope, receive, send)  # type: ignore[arg-type]
    assert bool(reached) is passed
    assert bool(said) is not passed
