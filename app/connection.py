"""uvicorn's connections for HTTP, as this service needs them."""

from __future__ import annotations

import asyncio
import socket
from typing import Literal, cast
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from websockets.http11 import Request

from app.api.access import note
from app.api.failure import refused
from app.errors import ServiceError
from app.handshake import asks_for_websocket, read_handshake
from app.outflow import Outflow
from app.patience import Patience
from app.refusal import refusal
from app.request_errors import (
    HeadTooLarge,
    InvalidHandshake,
    RequestError,
    RequestTimeout,
    UrlTooLong,
)
from app.unframed import UnframedBody, reset
from app.websocket_connection import AbortableWebSocket

# Left alone, Linux lets the buffer grow to 4 MB and calls a socket writable again only when a third
# of it is free: half a minute of pcm at real time, in which a client that listens looks stalled.
SEND_BUFFER_BYTES = 131_072

MAX_URL_BYTES = 8_192  # RFC 9112 asks for 8,000
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
    websocket_path = ""  # the one route that is a WebSocket's

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
        self._head_bytes, self._field_bytes, self._body_came = 0, 0, False
        self._fault: ServiceError | None = None  # of what has come: nothing behind it is read

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._patience.end()
        self._outflow.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._patience.begin()
        self._unset_keepalive_if_required()
        self._body_came = False
        self._parse(data)
        if self._part and not self._body_came and not self.transport.is_closing():
            self._head_bytes += len(
                data.rpartition(b"\r\n\r\n")[2]
            )  # whole requests may stand before it
            if self._head_bytes > MAX_HEAD_BYTES:
                self._object(HeadTooLarge("the request's headers are too large"))

    def _parse(self, data: bytes) -> None:
        if self._fault:
            self._object(self._fault)
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = self._feed(rest)
        except ServiceError as exc:
            self._object(exc)
        except httptools.HttpParserError:
            self._object(RequestError("the request is not valid HTTP"))

    def _feed(self, data: memoryview) -> memoryview:
        """Feed the parser, which stops behind a head that asks for an upgrade; return what it has not read."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._upgrade(data[upgrade.args[0] :])
        return data[:0]

    def _upgrade(self, behind: memoryview) -> memoryview:
        """Open a WebSocket, or ignore what the head asks for (RFC 9110, 7.8) and read it again as one without it."""
        if self.parser.get_method() == b"CONNECT":
            raise RequestError("CONNECT is for proxies, and this is none")
        if handshake := self._handshake():
            self._open_websocket(handshake, bytes(behind))
            return behind[:0]
        head = self._head_without_upgrade()
        self._new_parser()
        self.parser.feed_data(head)
        return behind

    def on_message_begin(self) -> None:
        """Begin a request, as uvicorn does, with one more extension in its scope."""
        super().on_message_begin()
        extensions: dict[str, object] = {"speech.abort": self.transport.abort}
        self.scope["extensions"] = extensions  # type: ignore[typeddict-item]
        self._part, self._head_bytes, self._field_bytes = "head", 0, 0
        self._patience.begin()

    def on_url(self, url: bytes) -> None:
        """Keep a part of the URL."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._fault = UrlTooLong("the request's URL is too long")
            raise self._fault  # stops the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer, which comes behind the body, is dropped."""
        if self._part == "head":
            self._field_bytes += len(name) + len(value) + 4
            if self._field_bytes > MAX_HEAD_BYTES:
                self._fault = HeadTooLarge("the request's headers are too large")
                raise self._fault  # stops the parser
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer; the body comes now. An upgrade is decided on first, where the parser has stopped."""
        if self.parser.should_upgrade():
            return
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
        """All of the request is there, unless the parser stops for an upgrade."""
        if self.parser.should_upgrade():
            return
        self._part = None
        self._patience.end()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request; what is left of this one's body has so much time, whatever its size."""
        if self._patience.waiting:
            self._patience.renew()
        super().on_response_complete()
        if self._fault and not self._behind and not self.transport.is_closing():
            self._give_up(self._fault)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        """Begin to answer; however that ends, the client is to take what is left of it."""

        async def attended(scope: Scope, receive: Receive, send: Send) -> None:
            self._attend()
            if scope["http_version"] != "1.1":
                send = UnframedBody(cycle, send).send
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

    def _handshake(self) -> Request | None:
        """The handshake of a WebSocket, which the application answers; on its other routes a bad one is none at all."""
        if self.parser.get_method() != b"GET" or self.parser.get_http_version() != "1.1":
            return None
        if self.ws_protocol_class is None or not asks_for_websocket(self.headers):
            return None
        url = httptools.parse_url(self.url)
        path: bytes = url.path or b""
        try:
            return read_handshake(path + (b"?" + url.query if url.query else b""), self.headers)
        except InvalidHandshake:
            if unquote(path.decode("latin-1")) == self.websocket_path:
                raise
            return None

    def _open_websocket(self, handshake: Request, behind: bytes) -> None:
        """Leave the connection to the WebSocket's protocol, which knows nothing of answers that are not over."""
        self._part = None
        self._patience.end()
        self._outflow.leave()
        if self._answering or self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        self.connections.discard(self)
        assert self.ws_protocol_class is not None
        protocol = self.ws_protocol_class(self.config, self.server_state, self.app_state)  # type: ignore[call-arg]
        assert isinstance(protocol, AbortableWebSocket)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.begin(handshake, behind)

    def _head_without_upgrade(self) -> bytes:
        """The head that has been read, for the parser to find the body's end by."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        fields = (b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade")
        return b"".join((b"%b %b HTTP/%b\r\n" % (method, self.url, version), *fields, b"\r\n"))

    def _new_parser(self) -> None:
        """In the place of one that has stopped, and that a head with `Connection: close` has closed."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does

    @property
    def _answering(self) -> bool:
        """An answer is not complete; several are given in the order of their requests."""
        cycle = cast(
            "RequestResponseCycle | None", self.cycle
        )  # while a head is read: of the request before
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
        reset(self.transport)

    def _late(self) -> None:
        """Time is over: for the client, unless we have not read, or the answer to what it asked before still runs."""
        if self.flow.read_paused or self._behind:
            self._patience.renew()
        elif self._part is None:
            self.transport.abort()
        else:
            self._give_up(RequestTimeout("the request did not arrive in time"))

    def _object(self, error: ServiceError) -> None:
        """Refuse what comes; behind another's answer later, when that is over. What comes then is not read."""
        self._fault = self._fault or error
        if self._behind:
            self.flow.pause_reading()
        else:
            self._give_up(self._fault)

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
        self.transport.write(refusal(error, scope, self.server_state.default_headers))
        self.transport.close()
        self._attend()
