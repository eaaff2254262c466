"""The service in this process, on a free port, with a given codec and batching policy."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn

from app.codec import Codec
from app.config.settings import Settings
from app.decode.queue import BatchLimits, DeadlineQueue, Queue
from app.decode.scheduler import Job
from app.main import create_app
from app.server.http_protocol import HttpProtocol
from bench.cost import COSTS, CallCost, StubCodec
from bench.paced_engine import paced_engine
from bench.policies import Policy
from stress_test.service import Service, started

NO_LIMIT = 1_000_000
FREE = "free"
TOKENS_PER_CHARACTER = "2.5"  # of the prompt; about 6 s for the default text of stress_test


@dataclass(frozen=True, slots=True)
class Served:
    """A running service with its codec and batching policy."""

    url: str
    codec: str
    policy: Policy


def cost_of(codec: str, cost: str) -> CallCost | None:
    """Return the cost model of a fake codec; None for a real codec."""
    return {FREE: CallCost(0.0, 0.0), "stub": COSTS.get(cost)}.get(codec)


def settings_for(engine_url: str, codec: str, device: str, interval: int) -> Settings:
    """Return the default settings with high limits.

    A fake codec has one device and an unlimited batch size.
    """
    own: dict[str, int] = {}
    if codec != "neucodec" or device != "cpu":
        own = {"decode_workers": 1, "max_batch_frames": NO_LIMIT}
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        engine_urls=engine_url,
        codec_weights="random",
        device=device,
        stream_interval=interval,
        max_concurrent_requests=NO_LIMIT // 10,
        max_decode_load=0,
        log_level="warning",
        **own,
    )


def device_for(codec: str, setting: str) -> str:
    """Return the torch device of the setting DEVICE; a fake codec uses the CPU."""
    if codec != "neucodec":
        return "cpu"
    from app.codec.load import pick_devices  # noqa: PLC0415  (imports torch)

    return pick_devices(codec, setting)[0]


def load_codec(cost: CallCost | None, device: str) -> Codec:
    """Return a fake codec with that cost model, or load NeuCodec."""
    if cost:
        return StubCodec(cost)
    from app.codec.load import CodecOptions  # noqa: PLC0415  (imports torch)
    from app.codec.load import load_codec as load  # noqa: PLC0415

    return load(CodecOptions("neucodec", "random"), device)


@asynccontextmanager
async def serving(
    settings: Settings, codec: Codec, queue: Callable[[BatchLimits], Queue[Job]] = DeadlineQueue
) -> AsyncIterator[str]:
    """Run the service until the block ends. Yields its URL once it is ready."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(settings, codec=codec, queue=queue)
    server = uvicorn.Server(uvicorn.Config(app, http=HttpProtocol, log_config=None, ws="none"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await Service(url).until_ready()
        yield url
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def with_fake_engine(codec: str, device: str = "cpu") -> AsyncIterator[str]:
    """Run the service with a fake engine, and with NeuCodec or a stub codec. Yields its URL.

    The length of an answer depends on its text. The stub has the assumed cost of an H200
    (bench.cost).
    """
    with paced_engine("--tokens-per-character", TOKENS_PER_CHARACTER) as engine_url:
        chosen = device_for(codec, device)
        settings = settings_for(engine_url, codec, chosen, interval=5)
        async with serving(settings, load_codec(cost_of(codec, "h200-graphed"), chosen)) as url:
            yield url


@asynccontextmanager
async def embedded(**settings: str) -> AsyncIterator[str]:
    """Run `python -m app` with default settings except these. Yields its URL."""
    async with started(LOG_LEVEL="warning", **settings) as service:
        yield service.url
