"""Clients that do not read: their connections are closed at the write timeout."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from starlette.types import Message

from app.api.admission import Admission
from app.api.errors import ResponseBroken
from app.api.history import RequestHistory
from app.api.request_planner import RequestPlanner
from app.api.response import AudioResponse
from app.api.schemas import SpeechRequest
from app.config.profiles import load_profile
from app.decode.load_estimate import LoadEstimate
from app.decode.queue import BatchLimits, DeadlineQueue
from app.decode.scheduler import Scheduler
from app.engine import Generation, OnTokens, Sampling
from app.errors import EngineTruncated
from app.synthesis.attempt import Backend
from app.text.preparation import TextPreparation
from app.text.pronunciations import Pronunciations
from tests.api.test_faults import CODES, closed_by_peer, raw_request, repaired
from tests.api.test_slow_clients import HANDSHAKE, KEY
from tests.fakes import FixedEngine, ToneCodec
from tests.live_server import HELLO, SPEECH, Served, serving, settings_for_tests
from tests.waiting import until

LIMITS = settings_for_tests(client_write_timeout_s=0.5)


def untaken(served: Served) -> list[int]:
    """Return the bytes in the send buffer of each connection that has some."""
    sizes = [
        each.transport.get_write_buffer_size() for each in served.server.server_state.connections
    ]
    return [size for size in sizes if size]


async def nothing_untaken(served: Served) -> None:
    """Return when all send buffers are empty."""
    await until(lambda: not untaken(served))


@pytest.mark.fault(22)
async def test_a_client_that_never_reads_the_end_is_closed_at_the_write_limit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A short answer fits the buffers: the request ends before the client has read it."""
    caplog.set_level(logging.INFO, "app")
    engine, limits = FixedEngine(CODES[:60]), LIMITS  # 1.2 s of pcm: 58 kB
    async with serving(engine, settings=limits, send_buffer_bytes=4096) as served:
        client = await raw_request(served)
        await until(lambda: any(f"POST {SPEECH} " in line for line in caplog.messages))
        assert "status=200 broken=False" in caplog.text
        assert untaken(served)
        await nothing_untaken(served)
        await closed_by_peer(client)
        await repaired(served, engine)


@pytest.mark.fault(22)
async def test_a_client_that_reads_nothing_leaves_the_devices_time_to_the_others() -> None:
    """Its stream has half a minute of sound to decode, and does not, as long as the write limit
    lasts.
    """
    engine = FixedEngine(CODES * 8)
    async with serving(
        engine, settings=settings_for_tests(client_write_timeout_s=20), send_buffer_bytes=4096
    ) as served:
        client, admission = await raw_request(served), served.service.admission
        await until(lambda: admission.streams)
        (stalled,) = admission._streams
        load = served.service.load_estimate
        await until(lambda: not load.busy_s([stalled.state()])[-1])
        assert stalled.state().left_s > 0
        client.close()


@pytest.mark.process
@pytest.mark.fault(22)
async def test_a_client_that_takes_the_end_slowly_gets_it() -> None:
    engine, limits = FixedEngine(CODES[:60]), LIMITS
    async with serving(engine, settings=limits, send_buffer_bytes=4096) as served:
        client, loop, received = await raw_request(served), asyncio.get_running_loop(), b""
        async with asyncio.timeout(20):
            while not received.endswith(b"0\r\n\r\n"):
                data = await loop.sock_recv(client, 2_048)
                assert data, f"broken off after {len(received)} bytes"
                received += data
                await asyncio.sleep(0.05)
        client.close()
        await repaired(served, engine)


@pytest.mark.fault(22)
@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_an_answer_that_fails_while_its_client_stalls_is_closed_too(
    stream_format: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = FixedEngine(CODES[:50], error=EngineTruncated("cut"), stall_after=4)
    limits = LIMITS
    async with serving(engine, settings=limits, send_buffer_bytes=4096) as served:
        body = json.dumps({**HELLO, "stream_format": stream_format}).encode()
        client = await raw_request(served, body)
        await engine.stalled.wait()
        await until(lambda: untaken(served))
        engine.go_on.set()
        await served.settle()
        await nothing_untaken(served)
        await closed_by_peer(client)
        await repaired(served, engine)
    assert "unexpected error" not in caplog.text


class FailsOnOrder(FixedEngine):
    """Sends the codes of one window and breaks off when it is told to."""

    def __init__(self) -> None:
        super().__init__(CODES[:30])
        self.order = asyncio.Event()

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Send the codes; raises EngineTruncated."""
        on_tokens(self.numbers)
        await self.order.wait()
        raise EngineTruncated("cut")


async def test_a_failure_that_cannot_be_told_breaks_off_at_once() -> None:
    """Its event waits as long as sound does; then the connection is closed and not drained."""
    aborted, sent, engine = asyncio.Event(), list[Message](), FailsOnOrder()

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 2:  # the status and the first audio
            engine.order.set()
        elif len(sent) > 2:
            await asyncio.get_running_loop().create_future()

    codec = ToneCodec()
    asked = SpeechRequest(input="Hello there.", response_format="pcm", stream_format="sse")
    preparation = TextPreparation(4096, Pronunciations([]))
    planner = RequestPlanner(settings_for_tests(), load_profile("scicom"), codec.spec, preparation)
    decoder = Scheduler([codec], DeadlineQueue(BatchLimits(8)))
    backend = Backend(engine, decoder)
    response = AudioResponse(
        planner.plan(asked), backend, Admission(LoadEstimate(), 1), RequestHistory(), 0.05
    )
    scope = {
        "type": "http",
        "extensions": {"speech.abort": aborted.set},
    }
    decoder.start()
    try:
        with pytest.raises(ResponseBroken, match="engine_truncated"):
            await response(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]
    finally:
        await decoder.close()
    assert aborted.is_set()
    assert b"engine_truncated" in sent[-1]["body"]


@pytest.mark.fault(22)
async def test_answers_in_one_piece_that_nobody_takes_hold_no_connection() -> None:
    """As many as are asked for without reading; the one that waits has no limit of its own."""
    engine = FixedEngine(CODES)
    async with serving(engine, settings=LIMITS, send_buffer_bytes=4096) as served:
        client, loop = await raw_request(served, b"{}"), asyncio.get_running_loop()
        await loop.sock_sendall(client, b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 20)
        await until(lambda: untaken(served))
        await nothing_untaken(served)
        client.close()
        await repaired(served, engine)


@pytest.mark.fault(22)
async def test_a_connection_is_no_websocket_before_all_has_been_taken() -> None:
    engine = FixedEngine(CODES)
    async with serving(engine, send_buffer_bytes=4096) as served:
        client, loop = await raw_request(served, b"{}"), asyncio.get_running_loop()
        await loop.sock_sendall(client, b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: untaken(served))
        await loop.sock_sendall(client, HANDSHAKE + KEY)
        await nothing_untaken(served)
        client.close()
        await repaired(served, engine)
