"""The application under a real uvicorn on a free port, and the check for leftovers."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from app.api.service import Service
from app.codec import Codec, VoiceEncoder
from app.config.settings import Settings
from app.engine import Engine
from app.main import create_app
from app.server.server import Server, configure
from tests.fakes import ToneCodec
from tests.metric_values import exported
from tests.waiting import until

SPEECH = "/v1/audio/speech"
APP = Path(__file__).parents[1] / "app"
REQUEST_CODE = (f"{APP}/api/", f"{APP}/synthesis/")  # folders of the coroutines of requests
HELLO: dict[str, object] = {"input": "Hello there.", "response_format": "pcm"}


@dataclass(frozen=True, slots=True)
class Served:
    """A running service: its address, a client, and its internals for the check at the end."""

    url: str
    port: int
    client: httpx.AsyncClient
    app: FastAPI
    server: Server

    @property
    def service(self) -> Service:
        """The service behind the routes."""
        service = self.app.state.service
        assert isinstance(service, Service)
        return service

    def _busy(self) -> bool:
        decoder = self.service.decoder
        return bool(
            self.service.admission.in_flight or (decoder and decoder.waiting) or speech_tasks()
        )

    async def until_waiting(self, windows: int) -> None:
        """Return when this many windows wait for the device."""
        decoder = self.service.decoder
        assert decoder is not None
        await until(lambda: decoder.waiting >= windows)

    async def metric(self, row: str) -> float:
        """Return an exported metric by its name and labels, as on /metrics."""
        return exported((await self.client.get("/metrics")).text, row)

    async def until_metric(self, row: str, value: float) -> None:
        """Return when a metric is at least a value."""

        async def reached() -> bool:
            return await self.metric(row) >= value

        await until(reached)

    def shut_connections_down(self) -> None:
        """Shut all connections down as at SIGTERM."""
        for connection in list(self.server.server_state.connections):
            connection.shutdown()

    async def settle(self) -> None:
        """Wait until no slot, window or task of a request is left."""
        await until(lambda: not self._busy(), 5)


def speech_tasks() -> list[str]:
    """Return the coroutines of unfinished tasks of requests: ASGI calls and REQUEST_CODE."""
    coroutines = [task.get_coro() for task in asyncio.all_tasks() if not task.done()]
    return [
        coroutine.__qualname__
        for coroutine in coroutines
        if inspect.iscoroutine(coroutine)
        and (
            coroutine.__qualname__.endswith(".run_asgi")
            or coroutine.cr_code.co_filename.startswith(REQUEST_CODE)
        )
    ]


def settings_for_tests(**values: object) -> Settings:
    """Return settings that ignore the environment and `.env`; one decode thread by default."""
    return Settings(_env_file=None, **{"decode_workers": 1, **values})  # type: ignore[arg-type,call-arg]


def http_client(url: str) -> httpx.AsyncClient:
    """Return a client of a service without TLS, whose certificates would take 15 ms to load."""
    return httpx.AsyncClient(base_url=url, timeout=20, trust_env=False, verify=False)


class _PromptServer(Server):
    """A server that looks every 5 ms whether it shall stop; uvicorn's looks every 100 ms."""

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(
    engine: Engine | None = None,
    codec: Codec | None = None,
    settings: Settings | None = None,
    send_buffer_bytes: int | None = None,
    load_encoder: Callable[[], VoiceEncoder] | None = None,
) -> AsyncGenerator[Served]:
    """Serve until the block ends; then no request may be left over, and the lifespan must end."""
    settings = settings or settings_for_tests()
    app = create_app(settings, engine=engine, codec=codec or ToneCodec(), load_encoder=load_encoder)
    listener = socket.create_server(("127.0.0.1", 0))
    config = configure(app, settings)
    if send_buffer_bytes:
        config.http.send_buffer_bytes = send_buffer_bytes  # type: ignore[union-attr]
    server = _PromptServer(config, app.state.service)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    try:
        async with http_client(url) as client:
            await until(lambda: server.started and app.state.service.decoder is not None, 20)
            served = Served(url, port, client, app, server)
            yield served
            await served.settle()
    finally:
        server.should_exit = True
        await running
        listener.close()


async def until_ready(client: httpx.AsyncClient) -> None:
    """Return when /ready answers with 200."""

    async def ready() -> bool:
        return (await client.get("/ready")).status_code == 200

    await until(ready, 20)


async def good_request(served: Served) -> bytes:
    """Send one valid request that must succeed: the last line of every fault test."""
    answer = await served.client.post(SPEECH, json=HELLO)
    assert answer.status_code == 200, answer.text
    assert answer.content
    return answer.content
