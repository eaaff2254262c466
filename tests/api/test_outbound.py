"""The service connects to the configured engine alone, whatever a request or an engine contains."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest

from tests.api.test_cloning import CountingEncoder
from tests.cloning.recordings import recording
from tests.engine.scripted import ScriptedEngine, Step, refusal
from tests.fakes import ToneCodec, tone_codes
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests

CODES = tone_codes(40)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_connections: list[tuple[object, ...]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        _connections.append(
            (event, *arguments[-1:]) if event == "socket.connect" else (event, *arguments[:2])
        )


sys.addaudithook(_note)


@contextmanager
def trap() -> Iterator[tuple[str, list[bytes]]]:
    """A server that must not be contacted: its address, and the bytes that it received."""
    visits: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    visits.append(b"connected")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", visits
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@asynccontextmanager
async def watched(*scripts: list[Step]) -> AsyncGenerator[tuple[Served, ScriptedEngine]]:
    """The service before its engine; at the end it has made no other connection."""
    async with ScriptedEngine(scripts, good=CODES) as engine:
        settings = settings_for_tests(engine_urls=engine.url)
        async with serving(None, ToneCodec(), settings, load_encoder=CountingEncoder) as served:
            _connections.clear()
            yield served, engine
            seen = list(_connections)
            await good_request(served)
            own = {engine.url.rpartition(":")[2], str(served.port)}
    assert {str(port) for _, (_, port) in _connected(seen)} <= own
    assert [each for each in seen if each[0] != "socket.connect" and each[1] != "127.0.0.1"] == []


def _connected(seen: list[tuple[object, ...]]) -> list[tuple[str, tuple[str, int]]]:
    return [each for each in seen if each[0] == "socket.connect"]  # type: ignore[misc]


async def test_a_visit_to_the_trap_is_noticed() -> None:
    with trap() as (address, visits), pytest.raises(httpx.TransportError):
        _connections.clear()
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(f"http://{address}/")
    assert visits
    assert [
        port for _, (_, port) in _connected(_connections) if str(port) == address.rpartition(":")[2]
    ]


@pytest.mark.fault(38)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_of_the_engine_is_a_failure(status: int) -> None:
    with trap() as (address, visits):
        async with watched(refusal(status, b"", f"location: http://{address}/v1/completions")) as (
            served,
            engine,
        ):
            answer = await served.client.post(SPEECH, json=HELLO)
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_failed")
            assert address not in answer.text
            assert len(engine.requests) == 1
    assert visits == []


@pytest.mark.fault(38)
async def test_proxy_variables_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with trap() as (address, visits):
        for name in PROXIES:
            monkeypatch.setenv(name, f"http://{address}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with watched() as (served, _):
            assert (await served.client.get("/ready")).status_code == 200
            await good_request(served)
    assert visits == []


@pytest.mark.fault(38)
async def test_addresses_in_fields_are_text() -> None:
    with trap() as (address, visits):
        url = f"http://{address}/a.wav"
        async with watched() as (served, engine):
            for text in (
                url,
                f"![a cat]({url})",
                f"[Hello]({url})",
                f'<img src="{url}">Hello',
                f"<{url}>",
                f"@{address}",
            ):
                for route in (SPEECH, "/v1/audio/normalize"):
                    answer = await served.client.post(
                        route, json={**HELLO, "input": f"Hello {text}", "normalize": True}
                    )
                    assert answer.status_code == 200, answer.text
            for name in (
                "voice",
                "model",
                "instructions",
                "response_format",
                "reference_audio",
                "lora",
                "callback",
            ):
                answer = await served.client.post(
                    SPEECH, json={**HELLO, name: url}, headers={"referer": url}
                )
                assert answer.status_code in (200, 400, 404)
            headers = {"host": address, "x-forwarded-host": address, "forwarded": f"host={address}"}
            assert (
                await served.client.post(SPEECH, json=HELLO, headers=headers)
            ).status_code == 200
            assert {request.path for request in engine.requests} == {"/v1/completions"}
    assert visits == []


def uploads(url: str) -> list[bytes]:
    """Files that name an address, in the forms that media libraries follow."""
    address = url.removeprefix("http://").partition("/")[0]
    return [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n".encode(),
        f"ffconcat version 1.0\nfile '{url}'\n".encode(),
        (
            f"v=0\no=- 0 0 IN IP4 {address}\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
            "m=audio 5004 RTP/AVP 0\n"
        ).encode(),
        (
            f'<?xml version="1.0"?><!DOCTYPE a SYSTEM "{url}"><MPD><BaseURL>{url}</BaseURL></MPD>'
        ).encode(),
        f"[playlist]\nFile1={url}\nNumberOfEntries=1\n".encode(),
        url.encode(),
    ]


@pytest.mark.process
@pytest.mark.fault(38)
async def test_uploads_are_read_and_never_followed() -> None:
    with trap() as (address, visits):
        url = f"http://{address}/a.m3u8"
        async with watched() as (served, _):
            form = {
                "name": "ana",
                "reference_text": "What I said.",
                "generate_text": "Hello.",
                "response_format": "pcm",
            }
            for data in uploads(url):
                for route, field in (
                    ("/v1/audio/voices", "audio_sample"),
                    ("/v1/audio/vc", "reference_audio"),
                ):
                    answer = await served.client.post(
                        route, data=form, files={field: (url, data, "application/x-mpegurl")}
                    )
                    assert (answer.status_code, answer.json()["error"]["code"]) == (
                        400,
                        "invalid_audio",
                    ), data
            good = {"reference_audio": (url, recording("wav", 2.0), "audio/x-mpegurl")}
            answer = await served.client.post(
                "/v1/audio/vc", data={**form, "reference_text": f"See {url}."}, files=good
            )
            assert answer.status_code == 200, answer.text
            by_url = await served.client.post("/v1/audio/vc", data={**form, "reference_audio": url})
            assert by_url.status_code == 400
    assert visits == []
