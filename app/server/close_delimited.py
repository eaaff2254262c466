"""Response bodies that end with their connection, for HTTP/1.0 clients."""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus

from starlette.types import Message, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class CloseDelimitedBody:
    """Response of unknown length without chunked encoding, which HTTP/1.0 does not have.

    uvicorn alone would send chunks to every client.

    Until the last byte is written, closing the connection resets it. Without chunks the reset is
    the only sign by which a client can distinguish a failure from the end of the body.
    """

    def __init__(self, cycle: RequestResponseCycle, send: Send) -> None:
        self._cycle, self._send = cycle, send
        self._unframed = False

    async def send(self, message: Message) -> None:
        """Send an ASGI message of the response."""
        if message["type"] == "http.response.start":
            self._begin(message)
        elif self._unframed:
            # uvicorn then sends the body without framing.
            self._cycle.expected_content_length = len(message.get("body", b""))
            if not message.get("more_body", False):
                await self._end(message)
                return
        await self._send(message)

    def _begin(self, message: Message) -> None:
        sized = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
        if sized or message["status"] in BODILESS or self._cycle.scope["method"] == "HEAD":
            return
        self._unframed = True
        self._cycle.chunked_encoding = self._cycle.keep_alive = False
        reset_on_close(self._cycle.transport, True)

    async def _end(self, message: Message) -> None:
        reset_on_close(self._cycle.transport, False)  # uvicorn closes after the last chunk
        try:
            await self._send(message)
        except BaseException:
            reset_on_close(self._cycle.transport, True)
            raise


def reset(transport: asyncio.Transport) -> None:
    """Reset a connection, so that the client cannot mistake this for the end of a response."""
    reset_on_close(transport, True)
    transport.abort()


def reset_on_close(transport: asyncio.Transport, on: bool) -> None:
    """Set SO_LINGER: a close drops unsent bytes and sends RST."""
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))
