"""uvicorn's connections for HTTP, as this service needs them."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Literal, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.api.access import note
from app.api.failure import failure_response, refused
from app.api.request_id import HEADER, identify
from app.errors import ServiceError
from app.outflow import Outflow
from app.patience import Patience
from app.request_errors import HeadTooLarge, RequestError, RequestTimeout

log = logging.getLogger(__name__)

# Left alone, Linux lets the buffer grow to 4 MB and calls a socket writable again only when a third
# of it is free: half a minute of pcm at real time, in which a client that listens looks stalled.
SEND_BUFFER_BYTES = 131_072

MAX_HEAD_BYTES = 65_536  # and of what is no body within one: trailers, the extensions of a chunk
STALLED = "the client does not read: closed at the write limit"


class AbortableProtocol(HttpToolsProtocol):
    """Closes connections whose requests do not arrive or whose answers nobody takes, and lets the application do so.

    uvicorn waits for ever for a head or a body, keeps trailers without end, and closes gracefully: when the client
    has taken what is buffered, which a stalled client never does.
    """

    read_limit_s = 10.0
    write_limit_s = 30.0
    send_buffer_bytes = SEND_BUFFER_BYTES

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection, with a send buffer of bounded size."""
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer_bytes)
        super().connection_made(transport)
        self._patience = Patience(self.read_limit_s, self._late)
        self._patience.begin()
        self._outflow = Outflow(transport, self.write_limit_s, self._stalled)
        self._part: Literal["head", "body"] | None = None  # of a request, which comes now
        self._head_bytes, self._body_came = 0, False

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._patience.end()
        self._outflow.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._patience.begin()
        self._body_came = False
        super().data_received(data)
        if self._part and not self._body_came and not self.transport.is_closing():
            self._head_bytes += len(data.rpartition(b"\r\n\r\n")[2])  # whole requests may stand before it
            if self._head_bytes > MAX_HEAD_BYTES:
                self._object(HeadTooLarge("the request's headers are too large"))

    def on_message_begin(self) -> None:
        """Begin a request, as uvicorn does, with one more extension in its scope."""
        super().on_message_begin()
        extensions: dict[str, object] = {"speech.abort": self.transport.abort}
        self.scope["extensions"] = extensions  # type: ignore[typeddict-item]
        self._part, self._head_bytes = "head", 0
        self._patience.begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer, which comes behind the body, is dropped."""
        if self._part == "head":
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer; the body comes now."""
        self._part = "body"
        self._patience.renew()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take some of the body."""
        self._body_came, self._head_bytes = True, 0
        if self._answering:
            self._patience.received(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of the request is there."""
        self._part = None
        self._patience.end()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request; what is left of this one's body has so much time, whatever its size."""
        if self._patience.waiting:
            self._patience.renew()
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        """Begin to answer; however that ends, the client is to take what is left of it."""

        async def attended(scope: Scope, receive: Receive, send: Send) -> None:
            self._attend()
            try:
                await app(scope, receive, send)
            finally:
                if cycle.response_complete:
                    self._attend()  # the next one may be under way
                else:
                    self._outflow.watch()  # broken: uvicorn closes now

        super()._start_asgi_task(cycle, attended)  # type: ignore[arg-type]

    def pause_writing(self) -> None:
        """Let the answer wait, while the client takes what there is."""
        super().pause_writing()
        self._attend()

    def resume_writing(self) -> None:
        """Let the answer go on."""
        super().resume_writing()
        self._attend()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket's protocol, which knows nothing of answers that are not over."""
        self._part = None
        self._patience.end()
        self._outflow.leave()
        if self._answering or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._object(RequestError("the request is not valid HTTP"))

    @property
    def _answering(self) -> bool:
        """An answer is not complete; several are given in the order of their requests."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # while a head is read: of the request before
        return cycle is not None and not cycle.response_complete

    @property
    def _behind(self) -> bool:
        """What comes now stands behind a request whose answer is not complete, and must not be broken into."""
        return bool(self.pipeline) or (self._answering and self._part != "body")

    def _attend(self) -> None:
        """Watch whether the client takes what there is, except while an answer is being written."""
        if self._answering and not self.flow.write_paused and not self.transport.is_closing():
            self._outflow.leave()
        else:
            self._outflow.watch()

    def _stalled(self) -> None:
        """The client takes nothing."""
        if self._answering and not self.pipeline:
            note(self.cycle.scope, error="cancelled", reason=STALLED)  # type: ignore[arg-type]
        self.transport.abort()

    def _late(self) -> None:
        """Time is over: for the client, unless we have not read, or the answer to what it asked before still runs."""
        if self.flow.read_paused or self._behind:
            self._patience.renew()
        elif self._part is None:
            self.transport.abort()
        else:
            self._give_up(RequestTimeout("the request did not arrive in time"))

    def _object(self, error: ServiceError) -> None:
        """Refuse what comes; behind another's answer later, when that is over and more of it is read."""
        if self._behind:
            self.flow.pause_reading()
        else:
            self._give_up(error)

    def _give_up(self, error: ServiceError) -> None:
        """Refuse the request that comes now, or close where its answer has begun."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self._part != "body":
            self._refuse(error, self.scope if self._part else {})  # type: ignore[arg-type]
        elif cycle is None or cycle.response_started:
            self.transport.abort()
        else:
            refused(cycle.scope, error.code)  # type: ignore[arg-type]
            note(cycle.scope, status=error.status, broken=False)  # type: ignore[arg-type]
            self._refuse(error, cycle.scope)  # type: ignore[arg-type]
            cycle.disconnected = True  # what was to answer lets go
            cycle.message_event.set()

    def _refuse(self, error: ServiceError, scope: Scope) -> None:
        """Answer in the application's place, and close."""
        name = identify(scope)
        log.info("request %s: %s", name, error.code)
        answer = failure_response(error)
        headers = [*answer.raw_headers, (HEADER.encode(), name.encode()), (b"connection", b"close")]
        headers = [*self.server_state.default_headers, *headers]
        lines = [STATUS_LINE[error.status], *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
        self.transport.write(b"".join(lines) + bytes(answer.body))
        self.transport.close()
        self._attend()
