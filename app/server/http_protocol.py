"""The HTTP protocol of uvicorn with read and write timeouts, header limits and error responses."""

from __future__ import annotations

import asyncio
import socket
from typing import Literal, cast
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from websockets.http11 import Request

from app.api.errors import count_rejection
from app.api.middleware.request_log import request_log_of
from app.errors import (
    HeadTooLarge,
    InvalidHandshake,
    RequestError,
    RequestTimeout,
    ServiceError,
    UrlTooLong,
)
from app.server.close_delimited import CloseDelimitedBody, reset
from app.server.handshake import is_websocket_upgrade, read_handshake
from app.server.rejection import rejection_bytes
from app.server.timeouts import ReadTimeout, WriteStallTimeout
from app.server.websocket_protocol import WebSocketProtocol

# By default Linux lets the send buffer grow to 4 MB and reports the socket writable only when a
# third of it is free. That third is half a minute of pcm at real time, during which a client that
# reads at playback speed would look stalled.
SEND_BUFFER_BYTES = 131_072

MAX_URL_BYTES = 8_192  # RFC 9112 recommends at least 8,000
MAX_HEAD_BYTES = 65_536  # of the headers; also of trailers and of chunk extensions
STALLED = "the client did not read within the write timeout"


class HttpProtocol(HttpToolsProtocol):
    """HTTP connection that times out slow requests and stalled clients.

    The application can abort the connection through the scope extension `speech.abort`.

    uvicorn alone has no timeout for headers and bodies and no limit for trailers. Its close waits
    until the client has read the write buffer, which a stalled client never does.
    The proxies in deploy/ limit headers and slow clients too, and pipeline no requests. The same
    limits are here because the service must be safe without a proxy (SECURITY.md).
    """

    read_limit_s = 10.0
    write_limit_s = 30.0
    send_buffer_bytes = SEND_BUFFER_BYTES
    websocket_path = ""  # path of the WebSocket route

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Bound the socket's send buffer and start the timeouts."""
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer_bytes)
        super().connection_made(transport)
        self._read_timeout = ReadTimeout(self.read_limit_s, self._on_read_timeout)
        self._read_timeout.start()
        self._write_stall = WriteStallTimeout(transport, self.write_limit_s, self._on_write_stall)
        self._part: Literal["head", "body"] | None = None  # of the request being received
        self._head_bytes = 0
        self._field_bytes = 0
        self._body_received = False
        self._fault: ServiceError | None = None  # the first error; later bytes are not parsed

    def connection_lost(self, exc: Exception | None) -> None:
        self._read_timeout.stop()
        self._write_stall.disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes and enforce the header limit."""
        self._read_timeout.start()
        self._unset_keepalive_if_required()
        self._body_received = False
        self._parse(data)
        if self._part and not self._body_received and not self.transport.is_closing():
            # The bytes after the last empty line; complete pipelined requests may precede them.
            head = data.rpartition(b"\r\n\r\n")[2]
            self._head_bytes += len(head)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._reject(HeadTooLarge("the request's headers are too large"))

    def _parse(self, data: bytes) -> None:
        if self._fault:
            self._reject(self._fault)
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = self._feed(rest)
        except ServiceError as exc:
            self._reject(exc)
        except httptools.HttpParserError:
            self._reject(RequestError("the request is not valid HTTP"))

    def _feed(self, data: memoryview) -> memoryview:
        """Feed the parser, which stops after the headers of an upgrade; return the unread bytes."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._upgrade(data[upgrade.args[0] :])
        return data[:0]

    def _upgrade(self, unread: memoryview) -> memoryview:
        """Open a WebSocket, or ignore the upgrade (RFC 9110, 7.8) and parse the headers without it.

        Takes the bytes after the headers, and returns those that are still to be parsed.
        """
        if self.parser.get_method() == b"CONNECT":
            raise RequestError("CONNECT is not supported: this server is not a proxy")
        if handshake := self._handshake():
            self._open_websocket(handshake, bytes(unread))
            return unread[:0]
        head = self._head_without_upgrade()
        self._new_parser()
        self.parser.feed_data(head)
        return unread

    def on_message_begin(self) -> None:
        """Add the extension `speech.abort` to the scope and start the read timeout."""
        super().on_message_begin()
        extensions: dict[str, object] = {"speech.abort": self.transport.abort}
        self.scope["extensions"] = extensions  # type: ignore[typeddict-item]
        self._part = "head"
        self._head_bytes = 0
        self._field_bytes = 0
        self._read_timeout.start()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._fault = UrlTooLong("the request's URL is too long")
            raise self._fault  # stops the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header within the limit; drop trailers, which follow the body."""
        if self._part == "head":
            self._field_bytes += len(name) + len(value) + 4
            if self._field_bytes > MAX_HEAD_BYTES:
                self._fault = HeadTooLarge("the request's headers are too large")
                raise self._fault  # stops the parser
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the response and the read timeout of the body, unless `_upgrade` decides first."""
        if self.parser.should_upgrade():
            return
        self._part = "body"
        self._read_timeout.restart()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Extend the read timeout by the size of the chunk."""
        self._body_received, self._head_bytes = True, 0
        if self._responding:
            self._read_timeout.add_bytes(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the read timeout, unless `_upgrade` decides first."""
        if self.parser.should_upgrade():
            return
        self._part = None
        self._read_timeout.stop()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next request; give the unread rest of this body one full read timeout."""
        if self._read_timeout.waiting:
            self._read_timeout.restart()
        super().on_response_complete()
        if self._fault and not self._has_earlier_response and not self.transport.is_closing():
            self._reject_current(self._fault)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        """Run the application, and arm the write timeout when it returns or raises."""

        async def run_app(scope: Scope, receive: Receive, send: Send) -> None:
            self._update_write_timeout()
            if scope["http_version"] != "1.1":
                send = CloseDelimitedBody(cycle, send).send
            try:
                await app(scope, receive, send)
            finally:
                if cycle.response_complete:
                    self._update_write_timeout()  # the next response may have started
                else:
                    self._write_stall.arm()  # an incomplete response: uvicorn closes now

        super()._start_asgi_task(cycle, run_app)  # type: ignore[arg-type]

    def pause_writing(self) -> None:
        super().pause_writing()
        self._update_write_timeout()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._update_write_timeout()

    def _handshake(self) -> Request | None:
        """Return a valid WebSocket handshake, or None for any other request.

        An invalid handshake is None too, except on the WebSocket route.

        Raises:
            InvalidHandshake: an invalid handshake on the WebSocket route.
        """
        if self.parser.get_method() != b"GET" or self.parser.get_http_version() != "1.1":
            return None
        if self.ws_protocol_class is None or not is_websocket_upgrade(self.headers):
            return None
        url = httptools.parse_url(self.url)
        path: bytes = url.path or b""
        try:
            return read_handshake(path + (b"?" + url.query if url.query else b""), self.headers)
        except InvalidHandshake:
            if unquote(path.decode("latin-1")) == self.websocket_path:
                raise
            return None

    def _open_websocket(self, handshake: Request, unread: bytes) -> None:
        """Hand over to the WebSocket protocol; abort if an HTTP response is still pending."""
        self._part = None
        self._read_timeout.stop()
        self._write_stall.disarm()
        if self._responding or self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        self.connections.discard(self)
        assert self.ws_protocol_class is not None
        protocol = self.ws_protocol_class(self.config, self.server_state, self.app_state)  # type: ignore[call-arg]
        assert isinstance(protocol, WebSocketProtocol)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.open_with(handshake, unread)

    def _head_without_upgrade(self) -> bytes:
        """Serialise the parsed headers without Upgrade, so that a new parser can frame the body."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        fields = (b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade")
        return b"".join((b"%b %b HTTP/%b\r\n" % (method, self.url, version), *fields, b"\r\n"))

    def _new_parser(self) -> None:
        """Replace the parser, which does not resume after an upgrade or `Connection: close`."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # like uvicorn's

    @property
    def _responding(self) -> bool:
        """True while a response is incomplete.

        While headers are parsed, `cycle` is still the previous request's.
        """
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    @property
    def _has_earlier_response(self) -> bool:
        """True if an earlier pipelined request is still being answered.

        An error written now would corrupt its response.
        """
        return bool(self.pipeline) or (self._responding and self._part != "body")

    def _update_write_timeout(self) -> None:
        """Arm the write timeout, or disarm it while the application is writing a response."""
        if self._responding and not self.flow.write_paused and not self.transport.is_closing():
            self._write_stall.disarm()
        else:
            self._write_stall.arm()

    def _on_write_stall(self) -> None:
        if self._responding and not self.pipeline:
            request_log_of(self.cycle.scope).fail("cancelled", STALLED)  # type: ignore[arg-type]
        reset(self.transport)

    def _on_read_timeout(self) -> None:
        """Handle the read timeout.

        Extend it if reading is paused or if an earlier response is still running.
        """
        if self.flow.read_paused or self._has_earlier_response:
            self._read_timeout.restart()
        elif self._part is None:
            self.transport.abort()
        else:
            self._reject_current(RequestTimeout("the request did not arrive in time"))

    def _reject(self, error: ServiceError) -> None:
        """Reject the incoming request.

        If an earlier response is running, pause reading and reject the request afterwards.
        """
        self._fault = self._fault or error
        if self._has_earlier_response:
            self.flow.pause_reading()
        else:
            self._reject_current(self._fault)

    def _reject_current(self, error: ServiceError) -> None:
        """Reject the request being received, or abort if its response has started."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self._part != "body":
            self._write_error(error, self.scope if self._part else {})  # type: ignore[arg-type]
        elif cycle is None or cycle.response_started:
            self.transport.abort()
        else:
            scope = cast("Scope", cycle.scope)
            count_rejection(scope, error.code)
            request_log = request_log_of(scope)
            request_log.status = error.status
            request_log.broken = False
            self._write_error(error, scope)
            cycle.disconnected = True  # ends the application's task for this request
            cycle.message_event.set()

    def _write_error(self, error: ServiceError, scope: Scope) -> None:
        """Write the error response in place of the application's, and close."""
        self.transport.write(rejection_bytes(error, scope, self.server_state.default_headers))
        self.transport.close()
        self._update_write_timeout()
