"""Two services behind HAProxy and nginx, with the configurations of deploy/: streams, failures, a
killed upstream.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from app.errors import NotReady
from bench import proxied
from tests.child_service import Running, running_in, start, wait_until_ready
from tests.slow.paced_service import CALM, CODES, QUICK
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SPEECH = "/v1/audio/speech"
ALL_BYTES = len(CODES) * 480 * 2
PROXIES = {"haproxy": proxied.haproxy, "nginx": proxied.nginx}
STREAMS = 12


@dataclass(frozen=True, slots=True)
class Site:
    """A proxy's URL, and the services behind it."""

    url: str
    services: tuple[Running, Running]


@contextmanager
def sited(name: str, folder: Path, limit: int = 64) -> Iterator[Site]:
    if not proxied.installed(name):
        pytest.skip(f"{name} is not installed")
    settings = {
        "MAX_CONCURRENT_REQUESTS": str(limit),
        "SHUTDOWN_GRACE_S": "10",
        "LOG_LEVEL": "warning",
    }
    paced = partial(running_in, folder, "tests.slow.paced_service", **settings)
    with paced() as first, paced() as second, PROXIES[name](first.port, second.port, folder) as url:
        until_up(url)
        yield Site(url, (first, second))


def until_up(url: str) -> None:
    """Return when the proxy has found its servers healthy."""
    end_s = time.monotonic() + 10
    while httpx.get(f"{url}/ready", trust_env=False).status_code != 200:
        assert time.monotonic() < end_s
        time.sleep(0.1)


@pytest.fixture(scope="module", params=PROXIES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with sited(request.param, tmp_path_factory.mktemp(request.param)) as site:
        yield site


@pytest.fixture(params=PROXIES)
def own_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """One that a test may break; its services take six requests each."""
    with sited(request.param, tmp_path, limit=STREAMS // 2) as site:
        yield site


def client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)


async def ask(client: httpx.AsyncClient, text: str) -> int | str:
    """The bytes of an answer, or what became of it: a status, or the error's name."""
    size = 0
    try:
        async with client.stream(
            "POST", SPEECH, json={"input": text, "response_format": "pcm"}
        ) as answer:
            if answer.status_code != 200:
                return str(answer.status_code)
            async for chunk in answer.aiter_raw():
                size += len(chunk)
    except httpx.TransportError as exc:
        return type(exc).__name__
    return size


def in_flight(service: Running) -> int:
    return int(service.metric("tts_requests_in_flight"))


async def until_closed(service: Running) -> None:
    """Return when the service accepts no new connections."""
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", service.port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.02)


def refusals(service: Running) -> int:
    return int(service.metric('tts_requests_total{outcome="overloaded"}'))


async def until_in_flight(service: Running, count: int) -> None:
    async def reached() -> bool:
        return await asyncio.to_thread(in_flight, service) == count

    await until(reached)


async def under_way(
    asking: httpx.AsyncClient, site: Site, count: int
) -> list[asyncio.Task[int | str]]:
    """Start this many requests, half of them at each service."""
    running = [asyncio.create_task(ask(asking, CALM)) for _ in range(count)]
    for service in site.services:
        await until_in_flight(service, count // 2)
    return running


async def test_sound_comes_as_it_is_made_and_whole(site: Site) -> None:
    """Pieces come over the whole of the three seconds that the engine takes."""
    begun_s = time.monotonic()
    times_s: list[float] = []
    size = 0
    async with (
        client(site.url) as asking,
        asking.stream("POST", SPEECH, json={"input": CALM, "response_format": "pcm"}) as answer,
    ):
        async for chunk in answer.aiter_raw():
            times_s.append(time.monotonic() - begun_s)
            size += len(chunk)
    assert size == ALL_BYTES
    assert times_s[0] < times_s[-1] / 2
    assert len({round(time_s, 1) for time_s in times_s}) > 5


async def test_a_failure_in_mid_stream_is_visible(site: Site) -> None:
    async with client(site.url) as asking:
        assert await ask(asking, "Please break.") == "RemoteProtocolError"
        assert await ask(asking, QUICK) == ALL_BYTES


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_says_18(site: Site, tmp_path: Path) -> None:
    body = json.dumps({"input": "Please break.", "response_format": "pcm"})
    command = [
        "curl",
        "-s",
        "--noproxy",
        "*",
        "-o",
        str(tmp_path / "sound"),
        "-H",
        "Content-Type: application/json",
    ]
    ended = subprocess.run([*command, "-d", body, f"{site.url}{SPEECH}"], check=False)
    assert ended.returncode == 18
    assert 0 < (tmp_path / "sound").stat().st_size < ALL_BYTES


async def test_a_client_that_leaves_frees_its_place(site: Site) -> None:
    async with client(site.url) as asking:
        leaving = asyncio.create_task(ask(asking, CALM))

        async def begun() -> bool:
            counts = [await asyncio.to_thread(in_flight, service) for service in site.services]
            return any(counts)

        await until(begun)
        leaving.cancel()
    for service in site.services:
        async with asyncio.timeout(1.5):  # half of what the answer would have lasted
            await until_in_flight(service, 0)


def test_a_websocket_speaks(site: Site) -> None:
    url = f"{site.url.replace('http', 'ws')}/v1/audio/speech/stream"
    size = 0
    with connect(url, proxy=None) as socket_:
        socket_.send(json.dumps({"type": "text", "text": QUICK}))
        socket_.send(json.dumps({"type": "end"}))
        while True:
            message = socket_.recv(timeout=10)
            if isinstance(message, bytes):
                size += len(message)
            elif json.loads(message)["type"] == "done":
                break
    assert size == 2 * ALL_BYTES  # the first words are a part of their own


@pytest.mark.fault(23)
def test_a_body_that_does_not_come_troubles_no_service(site: Site) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    head = (
        f"POST {SPEECH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        "content-length: 100\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        slow.sendall(head.encode() + b'{"in')
        answer = slow.recv(1000)
    assert answer == b"" or b" 408 " in answer.splitlines()[0]
    assert [in_flight(service) for service in site.services] == [0, 0]


async def test_a_large_body_is_refused_and_an_upload_is_not(site: Site) -> None:
    async with client(site.url) as asking:
        form = {"name": "me", "reference_text": "x"}
        upload = await asking.post(
            "/v1/audio/voices", data=form, files={"audio_sample": bytes(9_000_000)}
        )
        assert upload.json()["error"]["code"] == "cloning_not_supported"
        large = await asking.post(SPEECH, json={"input": "x" * 20_000_000})
        assert large.status_code == 413


def answer_to(url: str, target: str) -> bytes:
    """The whole answer to a GET whose target is sent as it stands."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
        )
        return b"".join(iter(partial(connection.recv, 65536), b""))


@pytest.mark.parametrize(
    "target",
    ["/metrics", "/%6detrics", "/metric%73?x=1", "/metrics#x", "//metrics", "/x/../metrics",
     "/%2e/metrics", "http://x/metrics", "http://x/%6detrics", "/metrics/"],
)  # fmt: skip
def test_metrics_are_not_for_everybody(site: Site, target: str) -> None:
    assert b"tts_requests" not in answer_to(site.url, target)
    assert b" 200 OK" in answer_to(site.url, "/health").splitlines()[0]


JAVA = Path(__file__).parents[1] / "clients" / "HttpClientDefaults.java"
BODY = json.dumps({"input": QUICK, "response_format": "pcm"})
ASKING = (
    "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
    "http2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
)


@pytest.mark.fault(51)
@pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed")
def test_a_java_client_with_its_defaults_gets_its_sound(site: Site) -> None:
    """Through a proxy, and without one."""
    for url in (site.url, site.services[0].url):
        ended = subprocess.run(
            ["java", str(JAVA), url + SPEECH, BODY], capture_output=True, text=True, check=True
        )
        assert ended.stdout.splitlines() == [f"200 {ALL_BYTES}"] * 2


@pytest.mark.fault(51)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_that_asks_for_http_2_gets_its_sound(site: Site, tmp_path: Path) -> None:
    command = [
        "curl",
        "-s",
        "--noproxy",
        "*",
        "--http2",
        "-o",
        str(tmp_path / "sound"),
        "-w",
        "%{http_code}",
    ]
    command += ["-H", "Content-Type: application/json", "-d", BODY]
    for url in (site.url, site.services[0].url):
        ended = subprocess.run([*command, url + SPEECH], capture_output=True, text=True, check=True)
        assert ended.stdout == "200"
        assert (tmp_path / "sound").stat().st_size == ALL_BYTES


@pytest.mark.fault(51)
@pytest.mark.parametrize(
    "asking", [ASKING, "connection: upgrade\r\nupgrade: foo, bar\r\n"], ids=["h2c", "others"]
)
def test_a_body_behind_an_upgrade_is_never_another_request(site: Site, asking: str) -> None:
    """Its bytes are a request; as a body they are no JSON, and so 400."""
    smuggled = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    head = f"POST {SPEECH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{asking}"
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"{head}content-length: {len(smuggled)}\r\n\r\n".encode())
        time.sleep(0.1)
        connection.sendall(smuggled.encode())
        time.sleep(0.1)
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        received = b"".join(iter(partial(connection.recv, 65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+) ", received) == [b"400", b"200"]


def handshake(url: str, protocols: str, more: str = "") -> bytes:
    """The first line of the answer to a WebSocket's handshake."""
    host, port = url.removeprefix("http://").split(":")
    head = (
        f"GET {SPEECH}/stream HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
        f"upgrade: {protocols}\r\n"
    )
    key = "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"{head}{key}{more}\r\n".encode())
        return connection.recv(1000).partition(b"\r\n")[0]


@pytest.mark.fault(51)
@pytest.mark.parametrize("protocols", ["websocket", "WebSocket", "h2c, websocket"])
def test_a_websocket_is_passed_on_also_among_others(site: Site, protocols: str) -> None:
    assert handshake(site.url, protocols).startswith(b"HTTP/1.1 101 ")


@pytest.mark.fault(50)
def test_a_handshake_that_is_not_valid_is_answered(site: Site) -> None:
    """With a body it is no handshake to HAProxy, which passes it on as a request that asks for
    nothing.
    """
    assert handshake(site.url, "websocket", "content-length: 5\r\n\r\nhello").split()[1] in (
        b"400",
        b"426",
    )
    assert handshake(site.url, "websocket", "origin: a\r\norigin: b\r\n").split()[1] == b"400"


@pytest.mark.fault(52)
def test_the_websockets_route_without_an_upgrade_is_426(site: Site) -> None:
    answer = httpx.get(f"{site.url}{SPEECH}/stream", trust_env=False)
    assert (answer.status_code, answer.headers.get("upgrade")) == (426, "websocket")


async def test_a_refusal_is_passed_on_and_asked_once(own_site: Site) -> None:
    async with client(own_site.url) as asking:
        running = await under_way(asking, own_site, STREAMS)
        refused = await asking.post(SPEECH, json={"input": CALM})
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "overloaded"
        assert refused.headers["retry-after"]
        assert await asyncio.gather(*running) == [ALL_BYTES] * STREAMS
    assert sum([await asyncio.to_thread(refusals, service) for service in own_site.services]) == 1


async def test_a_killed_service_costs_its_own_streams_alone(own_site: Site) -> None:
    first, second = own_site.services
    async with client(own_site.url) as asking:
        running = await under_way(asking, own_site, STREAMS - 2)
        first.process.kill()
        await asyncio.to_thread(first.process.wait)
        later = [await ask(asking, QUICK) for _ in range(40)]
        ended = await asyncio.gather(*running)
    assert later == [ALL_BYTES] * 40
    assert ended.count(ALL_BYTES) == len(running) // 2
    assert {*ended} - {ALL_BYTES} <= {"RemoteProtocolError", "502"}  # 502: before its first sound
    assert in_flight(second) == 0


async def asked_until(ready: asyncio.Event, asking: httpx.AsyncClient) -> list[int | str]:
    """The answers to one request after the other."""
    answers: list[int | str] = []
    while not ready.is_set():
        answers.append(await ask(asking, QUICK))
    return answers


async def test_a_service_that_starts_again_is_not_noticed(own_site: Site, tmp_path: Path) -> None:
    """It listens before it has loaded, and is quicker to say 503 than the other is to speak."""
    first, _ = own_site.services
    first.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.process.wait, 20) == 0
    ready = asyncio.Event()
    async with client(own_site.url) as asking:
        asked = [asyncio.create_task(asked_until(ready, asking)) for _ in range(3)]
        again = start(
            tmp_path,
            "tests.slow.paced_service",
            PORT=str(first.port),
            LOADING_S="4",
            LOG_LEVEL="warning",
        )
        try:
            await asyncio.to_thread(wait_until_ready, replace(again, url=first.url))
            ready.set()
            answers = [answer for task in asked for answer in await task]
        finally:
            again.end()
    assert {*answers} == {ALL_BYTES}


def test_no_service_is_an_answer_that_clients_can_read(tmp_path: Path) -> None:
    with sited("haproxy", tmp_path) as site:
        for service in site.services:
            service.end()
        answer = httpx.post(
            f"{site.url}{SPEECH}", json={"input": CALM}, trust_env=False, timeout=10
        )
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["retry-after"]) > 0
    expected = NotReady("no speech server is ready; retry shortly").body()
    assert answer.json() == {"error": asdict(expected)}


async def test_a_service_that_drains_says_what_it_is_saying(own_site: Site) -> None:
    first, _ = own_site.services
    async with client(own_site.url) as asking:
        running = await under_way(asking, own_site, STREAMS - 2)
        first.process.send_signal(signal.SIGTERM)
        await until_closed(first)
        later = [await ask(asking, QUICK) for _ in range(40)]
        ended = await asyncio.gather(*running)
    assert later == [ALL_BYTES] * 40
    assert ended == [ALL_BYTES] * len(running)
    assert await asyncio.to_thread(first.process.wait, 10) == 0
