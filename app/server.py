"""uvicorn, as this service needs it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.failure import ResponseBroken
from app.settings import Settings

# Left alone, Linux lets the buffer grow to 4 MB and calls a socket writable again only when a third
# of it is free: half a minute of pcm at real time, in which a client that listens looks stalled.
SEND_BUFFER_BYTES = 131_072


class AbortableProtocol(HttpToolsProtocol):
    """Offers the application a way to close a connection whose client does not read.

    uvicorn closes a broken response gracefully: it waits until the client has taken what is
    buffered, which a stalled client never does.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection, with a send buffer of bounded size."""
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """Begin a request, as uvicorn does, with one more extension in its scope."""
        super().on_message_begin()
        extensions: dict[str, object] = {"speech.abort": self.transport.abort}
        self.scope["extensions"] = extensions  # type: ignore[typeddict-item]


class _Quiet(logging.Filter):
    """Leaves out uvicorn's traceback for bodies that were broken off on purpose, or cut at shutdown."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], ResponseBroken | asyncio.CancelledError))


def quiet_broken_responses() -> None:
    """Install the filter once; calling it again changes nothing."""
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(item, _Quiet) for item in logger.filters):
        logger.addFilter(_Quiet())


def serve(app: FastAPI, settings: Settings) -> None:
    """Run the service until a signal ends it; SIGTERM then ends the process with success."""
    signal.signal(signal.SIGTERM, _leave)  # uvicorn raises the signal again when it has shut down
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=AbortableProtocol,
        loop="uvloop",
        ws="none",
        log_level=settings.log_level,
        timeout_graceful_shutdown=settings.shutdown_grace_s,
        server_header=False,
    )


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
