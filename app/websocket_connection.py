"""uvicorn's connections for WebSockets, as this service needs them."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from app.api.websocket import SHUTDOWN
from app.outflow import Outflow

MAX_WAITING_BYTES = 1_000_000  # of answers to pings, mostly: what speaks waits at less than a tenth


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """Closes connections whose clients take nothing, or has the application do so.

    At a shutdown the application closes, when it has said what it is saying.
    """

    write_limit_s = 30.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection; its frames and headers, which hold texts and keys, are logged at no level."""
        self.conn.debug = False
        self._outflow = Outflow(transport, self.write_limit_s, transport.abort)
        self._running = True
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._outflow.leave()
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Begin a connection, as uvicorn does, with one more extension in its scope."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            extensions: dict[str, object] = {"speech.abort": self.transport.abort}
            self.scope["extensions"] |= extensions  # type: ignore[typeddict-item]
        else:
            self._outflow.watch()

    def handle_cont(self, event: Frame) -> None:
        """Take a part of a message; empty ones, which no limit of size would count, are not kept."""
        if event.data or event.fin:
            super().handle_cont(event)

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

    async def run_asgi(self) -> None:
        """Run the application; however that ends, the client is to take what is left."""
        try:
            await super().run_asgi()
        finally:
            self._running = False
            self._outflow.watch()

    def shutdown(self) -> None:
        """Tell the application; uvicorn would cut its sentence off."""
        if self.handshake_complete and not self.close_sent:
            self.queue.put_nowait({"type": SHUTDOWN})  # type: ignore[typeddict-item]
        else:
            super().shutdown()
