"""uvicorn's connections, as this service needs them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from app.api.failure import failure_response, refused
from app.api.websocket import SHUTDOWN
from app.errors import HeadTooLarge, RequestTimeout, ServiceError

# Left alone, Linux lets the buffer grow to 4 MB and calls a socket writable again only when a third
# of it is free: half a minute of pcm at real time, in which a client that listens looks stalled.
SEND_BUFFER_BYTES = 131_072


MAX_HEAD_BYTES = 65_536
MIN_BODY_BYTES_PER_S = 8_192  # a body has a second more for each: a recording of 10 MB twenty minutes


class Patience:
    """How long a request may take to arrive: so long for its head, then so long for its body and for its size.

    One timer, set when something is awaited; what has come by then decides whether there is more time.
    """

    def __init__(self, limit_s: float, on_end: Callable[[], None]) -> None:
        self._limit_s, self._on_end = limit_s, on_end
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ends_s = 0.0
        self._body_bytes = 0

    @property
    def waiting(self) -> bool:
        """Something is awaited."""
        return self._timer is not None

    def begin(self) -> None:
        """A request, or the next part of it, is awaited from now on, unless one is already."""
        if self._timer is None:
            self.renew()

    def renew(self) -> None:
        """All the time again."""
        self._ends_s, self._body_bytes = self._loop.time() + self._limit_s, 0
        self._timer = self._timer or self._loop.call_later(self._limit_s, self._look)

    def received(self, body_bytes: int) -> None:
        """Some of the body has come."""
        self._body_bytes += body_bytes

    def end(self) -> None:
        """All is there, or nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        left_s = self._ends_s + self._body_bytes / MIN_BODY_BYTES_PER_S - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self._on_end()


class AbortableProtocol(HttpToolsProtocol):
    """Closes connections whose requests do not arrive, and lets the application close those that do not read.

    uvicorn waits for ever for a head or a body; and it closes a broken response gracefully: when the client has
    taken what is buffered, which a stalled client never does.
    """

    read_limit_s = 10.0
    send_buffer_bytes = SEND_BUFFER_BYTES

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection, with a send buffer of bounded size."""
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer_bytes)
        super().connection_made(transport)
        self._patience = Patience(self.read_limit_s, self._late)
        self._patience.begin()
        self._reading_head, self._head_bytes = True, 0

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._patience.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._patience.begin()
        super().data_received(data)
        if self._reading_head:
            self._head_bytes += len(data.rpartition(b"\r\n\r\n")[2])  # whole requests may stand before it
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse(HeadTooLarge("the request's headers are too large"))

    def on_message_begin(self) -> None:
        """Begin a request, as uvicorn does, with one more extension in its scope."""
        super().on_message_begin()
        extensions: dict[str, object] = {"speech.abort": self.transport.abort}
        self.scope["extensions"] = extensions  # type: ignore[typeddict-item]
        self._reading_head, self._head_bytes = True, 0
        self._patience.begin()

    def on_headers_complete(self) -> None:
        """Begin to answer; the body comes now."""
        self._reading_head = False
        self._patience.renew()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take some of the body."""
        if not self.cycle.response_complete:
            self._patience.received(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of the request is there."""
        self._patience.end()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request; what is left of this one's body has so much time, whatever its size."""
        if self._patience.waiting:
            self._patience.renew()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket's protocol."""
        self._patience.end()
        super().handle_websocket_upgrade()

    def _late(self) -> None:
        """Time is over: for the client, unless we have not read, or the answer to what it asked before still runs."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # while a head is read: of the request before
        answering = cycle is not None and not cycle.response_complete
        if self.flow.read_paused or (answering and self._reading_head):
            self._patience.renew()
        elif cycle is not None and answering and not cycle.response_started:
            refused(cycle.scope, RequestTimeout.code)  # type: ignore[arg-type]
            self._refuse(RequestTimeout("the request's body did not arrive in time"))
            cycle.disconnected = True  # what was to answer lets go
            cycle.message_event.set()
        elif self._reading_head and self._head_bytes:
            self._refuse(RequestTimeout("the request did not arrive in time"))
        else:
            self.transport.abort()

    def _refuse(self, error: ServiceError) -> None:
        """Answer in the application's place, and close."""
        answer = failure_response(error)
        headers = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
        lines = [STATUS_LINE[error.status], *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
        self.transport.write(b"".join(lines) + bytes(answer.body))
        self.transport.close()


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
