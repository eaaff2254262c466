"""uvicorn, as this service needs it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from http import HTTPStatus
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from app.api.failure import ResponseBroken
from app.api.websocket import SHUTDOWN
from app.settings import Settings

# Left alone, Linux lets the buffer grow to 4 MB and calls a socket writable again only when a third
# of it is free: half a minute of pcm at real time, in which a client that listens looks stalled.
SEND_BUFFER_BYTES = 131_072

# Often enough for proxies that cut silent connections. An answer to a ping is late where the client hears
# its audio at its pace, since it stands behind all that was sent: the write limit sees who has stalled.
PING_S = 20.0


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


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """The same for WebSockets; and at a shutdown the application closes, when it has said what it is saying."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection; its frames and headers, which hold texts and keys, are logged at no level."""
        self.conn.debug = False
        super().connection_made(transport)

    def handle_connect(self, event: Request) -> None:
        """Begin a connection, as uvicorn does, with one more extension in its scope."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            extensions: dict[str, object] = {"speech.abort": self.transport.abort}
            self.scope["extensions"] = extensions  # type: ignore[typeddict-item]

    def shutdown(self) -> None:
        """Tell the application; uvicorn would cut its sentence off."""
        if self.handshake_complete and not self.close_sent:
            self.queue.put_nowait({"type": SHUTDOWN})  # type: ignore[typeddict-item]
        else:
            super().shutdown()


def longest_message(settings: Settings) -> int:
    """Bytes that a text of MAX_INPUT_CHARACTERS can take in JSON, twelve for each, and room for the rest."""
    return 12 * settings.max_input_characters + 16_384


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
        ws=AbortableWebSocket,
        ws_max_size=longest_message(settings),
        ws_ping_interval=PING_S,
        ws_ping_timeout=settings.websocket_idle_timeout_s,
        ws_per_message_deflate=False,  # audio does not get smaller
        log_level=settings.log_level,
        log_config=None,  # app.logs has configured them
        access_log=False,  # app.api.access writes the line of a request
        timeout_graceful_shutdown=settings.shutdown_grace_s,
        server_header=False,
    )


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
