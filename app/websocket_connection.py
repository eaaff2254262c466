"""uvicorn's connections for WebSockets, as this service needs them."""

from __future__ import annotations

import asyncio
import logging

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from app.api.websocket import SHUTDOWN
from app.errors import Draining, ServiceError
from app.outflow import Outflow
from app.patience import Patience
from app.refusal import refusal
from app.request_errors import HandshakeRefused, RequestTimeout

# In the place of uvicorn.error, at a level (see app.server) that leaves out uvicorn's line for a handshake: it holds
# the client's address and its query, in which there may be a key. app.api.access writes the line of a request.
LOGGER = "uvicorn.error.websocket"
MAX_WAITING_BYTES = 1_000_000  # of answers to pings, mostly: what speaks waits at less than a tenth


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """Closes connections whose clients take nothing, or has the application do so.

    At a shutdown the application closes, when it has said what it is saying.
    """

    read_limit_s = 10.0
    write_limit_s = 30.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection; its frames and headers, which hold texts and keys, are logged at no level."""
        self.conn.debug = False
        self.logger = logging.getLogger(LOGGER)
        self._outflow = Outflow(transport, self.write_limit_s, transport.abort)
        self._patience = Patience(self.read_limit_s, self._late)
        self._patience.begin()
        self._early = bytearray()  # what has come before the handshake was answered
        self._running = True
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._patience.end()
        self._outflow.leave()
        super().connection_lost(exc)

    def begin(self, handshake: Request, early: bytes) -> None:
        """Pass a handshake, which has been read and checked, to the application; `early` are the bytes behind it."""
        self.conn.receive_data(
            b"GET / HTTP/1.1\r\n\r\n"
        )  # the library's parser is at the frames now
        self.conn.events_received()
        self._early += early
        self.handle_connect(handshake)
        extensions: dict[str, object] = {"speech.abort": self.transport.abort}
        self.scope["extensions"] |= extensions  # type: ignore[typeddict-item]

    def data_received(self, data: bytes) -> None:
        """Take what has come; what comes before the handshake is answered waits, and is all that is read until then."""
        if self.handshake_complete:
            super().data_received(data)
        else:
            self._early += data
            self.transport.pause_reading()

    def handle_cont(self, event: Frame) -> None:
        """Take a part of a message; empty ones, which no limit of size would count, are not kept."""
        if event.data or event.fin:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Pass a message on; a text that is not UTF-8 closes the connection. uvicorn would log that as an error."""
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
        """Answer a ping, unless the client pings for ever and takes no answers."""
        super().handle_ping()
        if self.transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Let the application wait, while the client takes what there is."""
        super().pause_writing()
        self._outflow.watch()

    def resume_writing(self) -> None:
        """Let the application go on."""
        super().resume_writing()
        if self._running and not self.transport.is_closing():
            self._outflow.leave()

    async def send(self, message: ASGISendEvent) -> None:
        """Send, and see the handshake's end."""
        if self.handshake_complete:
            await super().send(message)
        elif message["type"] == "websocket.close":
            self._refuse(HandshakeRefused("the server does not open this WebSocket"))
        else:
            await super().send(message)
            if self.close_sent:  # refused; uvicorn would log that as an error of the application
                self.handshake_complete = True
            if self.handshake_complete:
                self._answered()

    def send_500_response(self) -> None:
        """Answer a handshake that the application has failed to answer."""
        if not self.handshake_complete:
            self._refuse(ServiceError("internal error"))

    def _answered(self) -> None:
        """The handshake is over; frames may come now."""
        self._patience.end()
        early, self._early = bytes(self._early), bytearray()
        if early and not self.transport.is_closing():
            super().data_received(early)
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _late(self) -> None:
        self._refuse(RequestTimeout("the handshake was not answered in time"))

    def _refuse(self, error: ServiceError) -> None:
        """Answer the handshake in the application's place, and close."""
        self.handshake_complete = self.close_sent = self.disconnected = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self._patience.end()
        if not self.transport.is_closing():
            self.transport.write(refusal(error, self.scope, self.default_headers))  # type: ignore[arg-type]
            self.transport.close()
            self._outflow.watch()

    async def run_asgi(self) -> None:
        """Run the application; however that ends, the client is to take what is left."""
        try:
            await super().run_asgi()
        finally:
            self._running = False
            self._outflow.watch()

    def shutdown(self) -> None:
        """Tell the application; uvicorn would cut its sentence off."""
        if not self.handshake_complete:
            self._refuse(Draining("the server is shutting down"))
        elif not self.close_sent:
            self.queue.put_nowait({"type": SHUTDOWN})  # type: ignore[typeddict-item]
        else:
            super().shutdown()
