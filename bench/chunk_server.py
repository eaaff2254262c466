"""Server of timestamped chunks of 20 ms: `python -m bench.chunk_server PORT CHUNKS [ray]`.

Each answer has CHUNKS chunks, and each chunk contains the time at which it was written. It runs
until SIGINT, on the service's HTTP server or with `ray` on two replicas of Ray Serve.
"""

from __future__ import annotations

import asyncio
import struct
import sys
import time

from starlette.types import ASGIApp, Receive, Scope, Send

CHUNK_BYTES = 960  # 20 ms at 24 kHz, 16 bit
CHUNK_S = 0.02
STAMP = struct.Struct("<d")


def chunks_app(chunks: int) -> ASGIApp:
    """Build an app that answers POST with `chunks` chunks in real time.

    Other methods get an empty body.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"audio/pcm")],
            }
        )
        started_s = time.monotonic()
        for index in range(chunks if scope["method"] == "POST" else 0):
            await asyncio.sleep(started_s + index * CHUNK_S - time.monotonic())
            body = STAMP.pack(time.monotonic()).ljust(CHUNK_BYTES, b"\0")
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    return app


def serve(port: int, chunks: int) -> None:
    """Serve with the service's HTTP server."""
    import uvicorn  # noqa: PLC0415  (needed only here)

    from app.server.server import HttpProtocol  # noqa: PLC0415

    app = chunks_app(chunks)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        http=HttpProtocol,
        lifespan="off",
        log_level="warning",
    )


def serve_on_ray(port: int, chunks: int) -> None:
    """Serve with Ray Serve, like deploy/ray."""
    import ray  # noqa: PLC0415  (installed in a separate environment)
    from ray import serve as on_ray  # noqa: PLC0415
    from ray.serve.config import HTTPOptions  # noqa: PLC0415

    def build() -> ASGIApp:
        from bench.chunk_server import chunks_app  # noqa: PLC0415  (Ray cannot serialise __main__)

        return chunks_app(chunks)

    ray.init(include_dashboard=False)
    on_ray.start(http_options=HTTPOptions(host="127.0.0.1", port=port, request_timeout_s=None))
    replicas = on_ray.deployment(num_replicas=2, max_ongoing_requests=100)(on_ray.ingress(build)())
    on_ray.run(replicas.bind(), blocking=True)


if __name__ == "__main__":
    start = serve_on_ray if sys.argv[3:] == ["ray"] else serve
    start(int(sys.argv[1]), int(sys.argv[2]))
