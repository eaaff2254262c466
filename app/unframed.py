"""Bodies that end with their connection, for clients older than HTTP/1.1, which know no chunks."""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus

from starlette.types import Message, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class UnframedBody:
    """Sends an answer of unknown length without chunks, which uvicorn would send to any client.

    Up to the last byte the connection is one that the system resets when it is closed, for whatever reason: without
    chunks, that is all by which a client can tell a failure from the end.
    """

    def __init__(self, cycle: RequestResponseCycle, send: Send) -> None:
        self._cycle, self._send = cycle, send
        self._unframed = False

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self._begin(message)
        elif self._unframed:
            self._cycle.expected_content_length = len(
                message.get("body", b"")
            )  # uvicorn then sends it as it is
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
        reset_on_close(self._cycle.transport, False)  # sending the last part closes
        try:
            await self._send(message)
        except BaseException:
            reset_on_close(self._cycle.transport, True)
            raise


def reset(transport: asyncio.Transport) -> None:
    """Close a connection at once, in a way that its client cannot take for the end of an answer."""
    reset_on_close(transport, True)
    transport.abort()


def reset_on_close(transport: asyncio.Transport, on: bool) -> None:
    """Let the system drop what it has not sent when the connection is closed, and tell the client so."""
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))
