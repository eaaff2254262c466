"""The command `say`: speak one text without a server.

The text is a request to POST /v1/audio/speech of an application in this process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping

from fastapi import FastAPI
from starlette.types import Message

from app.api.errors import ResponseBroken
from app.commands.output import Output, OutputError, open_output
from app.config.checks import CONFIG_ERRORS, config_error_message
from app.config.settings import Settings
from app.errors import NotReady, ServiceError
from app.logs import configure
from app.main import create_app

# Loggers of errors that the command prints itself.
REPORTED = ("app.startup", "app.api.middleware.access_log", "app.engine.pool")
PATH = "/v1/audio/speech"
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": PATH,
    "raw_path": PATH.encode(),
    "root_path": "",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json")],
    "client": None,
    "server": None,
}
CLOSED_PIPE = 141  # exit status of a shell for a process that wrote to a closed pipe


class SpeechFailed(Exception):
    """The text could not be spoken; the message is one line."""


def say(
    text: str, target: str | None, audio_format: str, options: Mapping[str, str | float | None]
) -> None:
    """Speak a text; exit with one readable line on an error.

    Args:
        text: empty or `-` for standard input.
        target: a file, `-` for standard output, or None for the speakers.
        audio_format: a `response_format` of the API.
        options: other fields of the request; None is the default.
    """
    try:
        app = create_app(_settings(), pause=None)
        request = {**options, "input": _read(text), "response_format": audio_format}
        output = open_output(target, audio_format)
    except (*CONFIG_ERRORS, SpeechFailed) as exc:
        sys.exit(config_error_message(exc))
    except OSError as exc:
        sys.exit(_message(exc, target))
    _discard_at_signals(output)
    try:
        asyncio.run(speak(app, request, output.write))
        output.finish()
    except BrokenPipeError:  # os._exit, because Python would report the pipe when it closes stdout
        os._exit(CLOSED_PIPE)
    except (SpeechFailed, OSError) as exc:
        output.discard()
        sys.exit(_message(exc, target))


def _settings() -> Settings:
    """Return the settings, without API keys, and log only warnings."""
    settings = Settings(api_keys=None)
    configure("warning", settings.log_format)
    for name in REPORTED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return settings


def _read(text: str) -> str:
    if text not in ("", "-"):
        return text
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as exc:
        raise SpeechFailed("standard input is not UTF-8 text") from exc


def _message(exc: Exception, target: str | None) -> str:
    if isinstance(exc, OSError) and not isinstance(exc, OutputError):
        return f"{target or exc.filename}: {exc.strerror}"
    return str(exc)


def _discard_at_signals(output: Output) -> None:
    """At SIGINT and SIGTERM discard the output and exit, without waiting for threads."""

    def stop(number: int, _: object) -> None:
        output.discard()
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


async def speak(
    app: FastAPI, request: Mapping[str, object], write: Callable[[bytes], object]
) -> None:
    """Load the application and write the audio of one request while it is generated.

    Raises:
        SpeechFailed: loading or the request failed.
        OSError: `write` failed.
    """
    async with app.router.lifespan_context(app):
        try:
            await app.state.service.readiness.wait_until_loaded()
        except NotReady as exc:
            raise SpeechFailed(exc.message) from exc
        exchange = _Exchange(json.dumps(request).encode(), write)
        try:
            await app(dict(SCOPE), exchange.receive, exchange.send)
        except ResponseBroken as exc:
            if exchange.write_error:
                raise exchange.write_error from exc
            cause = exc.__cause__
            message = cause.message if isinstance(cause, ServiceError) else str(exc)
            raise SpeechFailed(message) from exc
        if exchange.error:
            raise SpeechFailed(json.loads(exchange.error)["error"]["message"])


class _Exchange:
    """One request and its response, as the ASGI application receives and sends them."""

    def __init__(self, body: bytes, write: Callable[[bytes], object]) -> None:
        self._body: bytes | None = body
        self._write = write
        self._status = 0
        self.error = b""  # body of an error response
        self.write_error: OSError | None = None

    async def receive(self) -> Message:
        """Return the body, then wait: this client does not disconnect."""
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Write audio in a thread, because a player reads as slowly as it plays."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif self._status != 200:
            self.error += message.get("body", b"")
        else:
            try:
                await asyncio.to_thread(self._write, message.get("body", b""))
            except OSError as exc:
                self.write_error = exc
                raise
