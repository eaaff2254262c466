"""The uvicorn server with this service's shutdown, exit status and log filters."""

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

from app.api.errors import ResponseBroken
from app.api.service import Service
from app.api.websocket.connection import PATH
from app.config.settings import Settings
from app.server.http_protocol import HttpProtocol
from app.server.websocket_protocol import LOGGER, WebSocketProtocol

log = logging.getLogger(__name__)

# Seconds between two pings, short enough for proxies that close idle connections. A client that
# reads at playback speed answers late, because the ping waits behind the audio. The write timeout,
# not the ping, detects stalled clients.
PING_S = 20.0

FAILURE_GRACE_S = 1  # after a failure, to send the error responses that are already written
CANCEL_GRACE_S = 1.0  # for cancelled tasks to release their resources
CLOSE_TIMEOUT_S = 5.0  # for engine and codec to close
HARD_EXIT_S = 10.0  # after a failure, until the process is killed


def max_message_bytes(settings: Settings) -> int:
    """Return the size limit of a JSON message in bytes.

    A character takes at most 12 bytes (two escapes); 16 KB are for the other fields.
    """
    return 12 * settings.max_input_characters + 16_384


EXPECTED = (ResponseBroken, ClientDisconnect, asyncio.CancelledError)


class _ExpectedDisconnectFilter(logging.Filter):
    """Filter for uvicorn's tracebacks of responses aborted on purpose or cancelled at shutdown."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], EXPECTED))


def filter_expected_disconnects() -> None:
    """Install the filter once, and drop uvicorn's log line for each WebSocket handshake."""
    for logger in (logging.getLogger("uvicorn.error"), logging.getLogger(LOGGER)):
        if not any(isinstance(item, _ExpectedDisconnectFilter) for item in logger.filters):
            logger.addFilter(_ExpectedDisconnectFilter())
    logging.getLogger(LOGGER).setLevel(logging.ERROR)


class Server(uvicorn.Server):
    """uvicorn's server with our shutdown.

    It finishes responses within the grace period, bounds every later step, and sets the exit
    status for the supervisor.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self.exit_code = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """At SIGTERM or SIGINT reject new requests and drain; a second signal exits at once."""
        if self.should_exit:
            os._exit(self.exit_code)
        self._service.readiness.drain()
        self.should_exit = True

    def fail(self) -> None:
        """Shut down with status 1, for the supervisor to restart the process.

        The running requests have already failed; their error responses only need to be sent.
        """
        self.config.timeout_graceful_shutdown = FAILURE_GRACE_S
        self.exit_code = 1
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, finish responses within the grace period, cancel the rest, and close.

        uvicorn's own shutdown closes engine and codec without waiting for the cancelled tasks,
        which still use them.
        """
        for listener in (*self.servers, *(sockets or [])):
            listener.close()
        for connection in list(self.server_state.connections):
            _shut_down(cast("HttpProtocol | WebSocketProtocol", connection))
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._wait_tasks_to_complete()
        except TimeoutError:
            await self._cancel_requests()
        with suppress(TimeoutError):  # a thread may hang
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.lifespan.shutdown()

    async def _cancel_requests(self) -> None:
        if not (tasks := set(self.server_state.tasks)):
            return
        log.warning("the grace period is over: cancelling %d responses", len(tasks))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CANCEL_GRACE_S)


def _shut_down(connection: HttpProtocol | WebSocketProtocol) -> None:
    """Shut a connection down; abort it on an error, so that the others keep their grace period."""
    try:
        connection.shutdown()
    except Exception:
        log.exception("a connection failed to shut down and was aborted")
        connection.transport.abort()


def configure(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return uvicorn's configuration for these settings."""

    class Protocol(HttpProtocol):
        read_limit_s = settings.request_read_timeout_s
        write_limit_s = settings.client_write_timeout_s
        websocket_path = PATH

    class WebSocket(WebSocketProtocol):
        read_limit_s = settings.request_read_timeout_s
        write_limit_s = settings.client_write_timeout_s

    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Protocol,
        loop="uvloop",
        ws=WebSocket,
        ws_max_size=max_message_bytes(settings),
        ws_ping_interval=PING_S,
        ws_ping_timeout=settings.websocket_idle_timeout_s,
        ws_per_message_deflate=False,  # compressed audio does not get smaller
        log_level=settings.log_level,
        log_config=None,  # app.logs has configured the loggers
        access_log=False,  # app.api.middleware.request_context logs the requests
        timeout_graceful_shutdown=settings.shutdown_grace_s,
        server_header=False,
    )


def serve(app: FastAPI, settings: Settings) -> NoReturn:
    """Run the service and exit.

    The status is 0 after a signal, and 1 after a failure that only a new process can repair.
    """
    service = app.state.service
    assert isinstance(service, Service)
    server = Server(configure(app, settings), service)

    def fail() -> None:
        # A hard exit, which works even if a thread holds the GIL.
        faulthandler.dump_traceback_later(HARD_EXIT_S, exit=True)
        server.fail()

    service.readiness.on_failure = fail
    signal.signal(signal.SIGTERM, _exit_before_start)  # until uvicorn installs its own handler
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        try:
            runner.run(server.serve())
        except SystemExit as exc:
            # 0: SIGTERM before startup finished; 3: uvicorn could not bind the port.
            exit_now(1 if exc.code else 0)
        exit_now(server.exit_code)


def exit_now(exit_code: int) -> NoReturn:
    """Flush the logs and exit at once.

    A normal exit would wait for threads that hang on a device or a download.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _exit_before_start(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
