"""uvicorn's connections, as this service needs them."""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from app.api.websocket import SHUTDOWN

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


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """The same for WebSockets; and at a shutdown the application closes, when it has said what it is saying."""

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
