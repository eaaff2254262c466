"""A process that is suspended for a while blames no engine and no client for that time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from app.api.sinks import deliver
from app.engine.vllm.client import EngineLimits
from app.engine.vllm.token_timeout import TokenTimeout
from app.process_time import TICK_S, ProcessTimeout, ProcessTimer
from app.server.timeouts import ReadTimeout, WriteStallTimeout
from app.synthesis.audio_output import ClientGone
from tests.child_service import Running, start, wait_until_ready
from tests.engine.connected import against, numbers_of
from tests.engine.scripted import GOOD, ScriptedEngine, Send, Sleep, chunk, completion, events, head
from tests.fakes import tone_codes
from tests.live_server import HELLO, SPEECH
from tests.waiting import until

pytestmark = pytest.mark.process

CODES = tone_codes(120)
STILL_S = 2.0
LIMIT_S = 1.0  # of everything, in the process
SHORT_S, LONG_S = 0.3, 1.0  # a limit, and a standstill, within this process


def stand_still(seconds: float = LONG_S) -> None:
    """Block this process's event loop for a time."""
    time.sleep(seconds)


@asynccontextmanager
async def service(
    engine: ScriptedEngine, folder: Path
) -> AsyncGenerator[tuple[Running, httpx.AsyncClient]]:
    """Start the service in a process of its own, with short limits."""
    limits = ("FIRST_TOKEN", "TOKEN_GAP", "REQUEST_READ", "CLIENT_WRITE", "CONNECT")
    short = {f"{name}_TIMEOUT_S": str(LIMIT_S) for name in limits}
    running = start(
        folder, "tests.tone_service", ENGINE_URLS=engine.url, REQUEST_TIMEOUT_S="1.5", **short
    )
    try:
        await asyncio.to_thread(wait_until_ready, running)
        async with httpx.AsyncClient(base_url=running.url, timeout=20, trust_env=False) as client:
            yield running, client
    finally:
        running.end()


async def freeze(running: Running) -> None:
    """Suspend the process for a while, as a frozen container is."""
    os.kill(running.process.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(STILL_S)
    finally:
        os.kill(running.process.pid, signal.SIGCONT)


@pytest.mark.fault(57)
async def test_a_process_that_is_stopped_for_longer_than_all_limits_breaks_nothing(
    tmp_path: Path,
) -> None:
    late = [Send(head()), Sleep(0.6), *completion(CODES)[1:]]
    paced = completion(CODES, per_event=4, gap_s=0.02)
    paused = [
        *completion(CODES[:60], per_event=4, finish=None)[:-2],
        Sleep(STILL_S),
        *completion(CODES[60:])[1:],
    ]
    async with ScriptedEngine(good=CODES) as engine, service(engine, tmp_path) as (running, client):
        good = (await client.post(SPEECH, json=HELLO)).content
        engine._scripts[:] = [late, paced, paused]
        asked = asyncio.gather(*(client.post(SPEECH, json=HELLO) for _ in range(3)))
        body = b'{"input": "Hello there.", "response_format": "pcm"}'
        lines = (
            f"POST {SPEECH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(f"{lines}\r\nconnection: close\r\n\r\n".encode() + body[:9])
        await writer.drain()
        await until(lambda: len(engine.requests) >= 4)
        await asyncio.sleep(0.3)
        await freeze(running)
        writer.write(body[9:])
        answers = await asked
        assert [(answer.status_code, answer.content == good) for answer in answers] == [
            (200, True)
        ] * 3
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        assert running.metric(f'tts_engine_up{{engine="{engine.name}"}}') == 1
        failed = f'tts_engine_failures_total{{engine="{engine.name}",reason="engine_timeout"}}'
        assert running.metric(failed) == 0


@pytest.mark.fault(57)
@pytest.mark.parametrize("ticked", [False, True])
async def test_the_clock_of_an_engine_stands_still_with_the_process(ticked: bool) -> None:
    clock = TokenTimeout(SHORT_S, SHORT_S)
    async with clock:
        if ticked:
            clock.tick()
        await asyncio.sleep(SHORT_S / 2)
        stand_still()
        await asyncio.sleep(SHORT_S / 10)
        clock.tick()
    assert not clock.expired
    with pytest.raises(TimeoutError):
        async with clock:
            stand_still()
            await asyncio.Event().wait()
    assert clock.expired


@pytest.mark.fault(57)
async def test_what_an_engine_sent_meanwhile_is_read_before_it_counts_as_silent() -> None:
    limits = EngineLimits(first_token_s=SHORT_S, token_gap_s=SHORT_S, end_s=SHORT_S)
    script = [Send(head()), *(Send(chunk(part)) for part in events(GOOD)), Send(chunk(b""))]
    async with against(script, limits=limits) as (engine, _):
        asking = asyncio.create_task(numbers_of(engine))
        for _ in range(4):  # the request is on its way
            await asyncio.sleep(0.001)
            stand_still(LONG_S / 2)
        assert await asking == list(GOOD)


@pytest.mark.fault(57)
async def test_a_limit_is_longer_by_a_standstill_and_ends_all_the_same() -> None:
    async with ProcessTimeout(SHORT_S) as limit:
        before_s = limit.when()
        await asyncio.sleep(SHORT_S / 2)
        stand_still()
        await asyncio.sleep(0.05)
        assert limit.when() == before_s
        limit.reschedule(
            before_s
        )  # as one that counts from the beginning does, and knows of no standstill
        await asyncio.sleep(0.05)
    assert not limit.expired()
    with pytest.raises(TimeoutError):
        async with ProcessTimeout(SHORT_S) as limit:
            stand_still()
            await asyncio.Event().wait()
    assert limit.expired()


async def test_a_limit_can_be_moved_and_taken_away() -> None:
    loop = asyncio.get_running_loop()
    async with ProcessTimeout(3600) as limit:
        assert limit.when() == pytest.approx(loop.time() + 3600, abs=60)
        limit.reschedule(None)
        assert limit.when() is None
    with pytest.raises(TimeoutError):
        async with ProcessTimeout(3600) as limit:
            limit.reschedule(loop.time() + 7200)
            limit.reschedule(loop.time() + 0.01)
            await asyncio.Event().wait()
    async with ProcessTimeout(0.05) as limit:
        limit.reschedule(loop.time() + 3600)
        await asyncio.sleep(0.1)
    with pytest.raises(asyncio.CancelledError):
        async with ProcessTimeout(3600):
            raise asyncio.CancelledError


async def test_short_delays_are_no_standstill() -> None:
    rung = asyncio.Event()
    alarm, loop = ProcessTimer(rung.set), asyncio.get_running_loop()
    alarm.set(loop.time() + SHORT_S)
    due_s = alarm.due_s
    stand_still(TICK_S / 5)
    async with asyncio.timeout(5):
        await rung.wait()
    assert alarm.due_s == due_s
    assert not alarm.waiting


@pytest.mark.fault(57)
async def test_a_client_is_not_blamed_for_what_it_could_not_send_or_take() -> None:
    ended: list[str] = []
    patience = ReadTimeout(SHORT_S, lambda: ended.append("read"))
    patience.start()

    class Transport(asyncio.WriteTransport):
        def get_write_buffer_size(self) -> int:
            return 100

    outflow = WriteStallTimeout(Transport(), SHORT_S, lambda: ended.append("write"))
    outflow.arm()
    taken = asyncio.Event()

    async def send(_: object) -> None:
        await taken.wait()

    delivering = asyncio.create_task(deliver({"type": "x"}, send, SHORT_S))
    await asyncio.sleep(0.05)
    stand_still()
    await asyncio.sleep(0.05)
    assert ended == []
    taken.set()
    await delivering
    await asyncio.sleep(SHORT_S)
    await asyncio.sleep(SHORT_S)
    assert sorted(ended) == ["read", "write"]
    taken.clear()
    with pytest.raises(ClientGone):
        await deliver({"type": "x"}, send, SHORT_S)
