"""uvicorn, as this service needs it."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn, cast

import uvicorn
from fastapi import FastAPI
from starlette.requests import ClientDisconnect

from app.api.failure import ResponseBroken
from app.api.service import Service
from app.api.websocket import PATH
from app.connection import AbortableProtocol
from app.settings import Settings
from app.websocket_connection import LOGGER, AbortableWebSocket

log = logging.getLogger(__name__)

# Often enough for proxies that cut silent connections. An answer to a ping is late where the client hears
# its audio at its pace, since it stands behind all that was sent: the write limit sees who has stalled.
PING_S = 20.0

FAILURE_GRACE_S = 1  # for answers that have been broken off and only have to reach their clients
CUT_OFF_S = 1.0  # for those that are cut off to let go of what they hold
CLOSE_S = 5.0  # for engine and codec to close
LAST_S = 10.0  # after a failure, for all of that


def longest_message(settings: Settings) -> int:
    """Bytes that a text of MAX_INPUT_CHARACTERS can take in JSON, twelve for each, and room for the rest."""
    return 12 * settings.max_input_characters + 16_384


DELIBERATE = (ResponseBroken, ClientDisconnect, asyncio.CancelledError)


class _Quiet(logging.Filter):
    """Leaves out uvicorn's traceback for bodies that were broken off on purpose, or cut at shutdown."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], DELIBERATE))


def quiet_broken_responses() -> None:
    """Install the filter once; calling it again changes nothing. A WebSocket's logger has no line for its handshake."""
    for logger in (logging.getLogger("uvicorn.error"), logging.getLogger(LOGGER)):
        if not any(isinstance(item, _Quiet) for item in logger.filters):
            logger.addFilter(_Quiet())
    logging.getLogger(LOGGER).setLevel(logging.ERROR)


class Server(uvicorn.Server):
    """uvicorn's, which ends in our way: answers first, then within limits, and with what its supervisor must know."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self.exit_code = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGINT: refuse what is new, let answers end. The second one ends the process at once."""
        if self.should_exit:
            os._exit(self.exit_code)
        self._service.drain()
        self.should_exit = True

    def fail(self) -> None:
        """End the process, for its supervisor to start a new one; answers have been told, and need only be sent."""
        self.config.timeout_graceful_shutdown = FAILURE_GRACE_S
        self.exit_code = 1
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let answers end within the grace, cut off the rest, and let go of everything.

        uvicorn's own does not wait for what it has cut off before it closes what that still uses.
        """
        for listener in (*self.servers, *(sockets or [])):
            listener.close()
        for connection in list(self.server_state.connections):
            _shut_down(cast("AbortableProtocol | AbortableWebSocket", connection))
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._wait_tasks_to_complete()
        except TimeoutError:
            await self._cut_off()
        with suppress(TimeoutError):  # a thread that does not return
            async with asyncio.timeout(CLOSE_S):
                await self.lifespan.shutdown()

    async def _cut_off(self) -> None:
        if not (tasks := set(self.server_state.tasks)):
            return
        log.warning("%d answers are cut off: the grace is over", len(tasks))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CUT_OFF_S)


def _shut_down(connection: AbortableProtocol | AbortableWebSocket) -> None:
    """Tell a connection to end; one that fails to is ended at once, and costs the others nothing of their grace."""
    try:
        connection.shutdown()
    except Exception:
        log.exception("a connection failed to shut down: closed")
        connection.transport.abort()


def configure(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """What uvicorn has to know."""

    class Protocol(AbortableProtocol):
        read_limit_s = settings.request_read_timeout_s
        write_limit_s = settings.client_write_timeout_s
        websocket_path = PATH

    class WebSocket(AbortableWebSocket):
        read_limit_s = settings.request_read_timeout_s
        write_limit_s = settings.client_write_timeout_s

    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Protocol,
        loop="uvloop",
        ws=WebSocket,
        ws_max_size=longest_message(settings),
        ws_ping_interval=PING_S,
        ws_ping_timeout=settings.websocket_idle_timeout_s,
        ws_per_message_deflate=False,  # audio does not get smaller
        log_level=settings.log_level,
        log_config=None,  # app.logs has configured them
        access_log=False,  # app.api.access writes the line of a request
        timeout_graceful_shutdown=settings.shutdown_grace_s,
        server_header=False,
    )


def serve(app: FastAPI, settings: Settings) -> NoReturn:
    """Run the service until a signal ends it, which is success, or a failure that only a new process can mend."""
    service = app.state.service
    assert isinstance(service, Service)
    server = Server(configure(app, settings), service)

    def fail() -> None:
        faulthandler.dump_traceback_later(
            LAST_S, exit=True
        )  # whatever hangs, and without the interpreter's help
        server.fail()

    service.on_failure = fail
    signal.signal(signal.SIGTERM, _leave)  # until the server listens for it
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        try:
            runner.run(server.serve())
        except SystemExit as exc:  # a signal's before it listens, which is none; or uvicorn's own 3: the port is taken
            leave(1 if exc.code else 0)
        leave(server.exit_code)


def leave(exit_code: int) -> NoReturn:
    """End the process now. A thread that does not return (a hung device, a download) would keep the interpreter."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
