"""The WebSocket protocol of uvicorn with timeouts and error responses."""

from __future__ import annotations

import asyncio
import logging

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from app.api.websocket.connection import SHUTDOWN
from app.errors import Draining, HandshakeRefused, RequestTimeout, ServiceError
from app.server.rejection import rejection_bytes
from app.server.timeouts import ReadTimeout, WriteStallTimeout

# Replaces uvicorn.error. Its level (see app.server.server) drops the line that uvicorn logs for
# each handshake, because that line holds the client's address and the query, which may contain a
# key.
# app.api.middleware.request_context logs the requests.
LOGGER = "uvicorn.error.websocket"

# Bytes in the write buffer at which a ping aborts the connection. Only answers to pings get there:
# the application stops writing audio at less than a tenth.
MAX_WAITING_BYTES = 1_000_000


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket connection that times out slow handshakes and stalled clients.

    The application can abort the connection through the scope extension `speech.abort`. At a
    shutdown the application receives SHUTDOWN and closes after its running utterances.
    """

    read_limit_s = 10.0
    write_limit_s = 30.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeouts; never log frames and headers, which hold texts and keys."""
        self.conn.debug = False
        self.logger = logging.getLogger(LOGGER)
        self._write_stall = WriteStallTimeout(transport, self.write_limit_s, transport.abort)
        self._read_timeout = ReadTimeout(self.read_limit_s, self._on_handshake_timeout)
        self._read_timeout.start()
        self._early = bytearray()  # bytes received before the handshake was answered
        self._running = True
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._read_timeout.stop()
        self._write_stall.disarm()
        super().connection_lost(exc)

    def open_with(self, handshake: Request, early: bytes) -> None:
        """Pass a valid handshake to the application; `early` are the bytes that followed it."""
        self.conn.receive_data(b"GET / HTTP/1.1\r\n\r\n")  # now the library's parser expects frames
        self.conn.events_received()
        self._early += early
        self.handle_connect(handshake)
        extensions: dict[str, object] = {"speech.abort": self.transport.abort}
        self.scope["extensions"] |= extensions  # type: ignore[typeddict-item]

    def data_received(self, data: bytes) -> None:
        """Parse frames; before the handshake is answered, keep the bytes and pause reading."""
        if self.handshake_complete:
            super().data_received(data)
        else:
            self._early += data
            self.transport.pause_reading()

    def handle_cont(self, event: Frame) -> None:
        """Drop empty continuation frames, which the size limit would not count."""
        if event.data or event.fin:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Close the connection for text that is not UTF-8, which uvicorn would log as an error."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            data = b"".join(self.frames)
            self.frames = [data]
            try:
                data.decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.fail(CloseCode.INVALID_DATA)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer a ping, but abort if the client does not read the answers."""
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_stall.arm()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._running and not self.transport.is_closing():
            self._write_stall.disarm()

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message; before the handshake is answered, answer it."""
        if self.handshake_complete:
            await super().send(message)
        elif message["type"] == "websocket.close":
            self._reject(HandshakeRefused("the server rejected this WebSocket"))
        else:
            await super().send(message)
            if self.close_sent:  # rejected; uvicorn would log that as an error of the application
                self.handshake_complete = True
            if self.handshake_complete:
                self._on_handshake_answered()

    def send_500_response(self) -> None:
        """Answer the handshake with 500 after the application failed."""
        if not self.handshake_complete:
            self._reject(ServiceError("internal error"))

    def _on_handshake_answered(self) -> None:
        """Stop the read timeout, and parse the bytes that followed the handshake."""
        self._read_timeout.stop()
        early, self._early = bytes(self._early), bytearray()
        if early and not self.transport.is_closing():
            super().data_received(early)
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _on_handshake_timeout(self) -> None:
        self._reject(RequestTimeout("the handshake was not answered in time"))

    def _reject(self, error: ServiceError) -> None:
        """Reject the handshake in place of the application, and close."""
        self.handshake_complete = self.close_sent = self.disconnected = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self._read_timeout.stop()
        if not self.transport.is_closing():
            self.transport.write(rejection_bytes(error, self.scope, self.default_headers))  # type: ignore[arg-type]
            self.transport.close()
            self._write_stall.arm()

    async def run_asgi(self) -> None:
        """Run the application, and arm the write timeout when it returns or raises."""
        try:
            await super().run_asgi()
        finally:
            self._running = False
            self._write_stall.arm()

    def shutdown(self) -> None:
        """Send SHUTDOWN to the application, which uvicorn would cut off in mid-sentence."""
        if not self.handshake_complete:
            self._reject(Draining("the server is shutting down"))
        elif not self.close_sent:
            self.queue.put_nowait({"type": SHUTDOWN})  # type: ignore[typeddict-item]
        else:
            super().shutdown()
