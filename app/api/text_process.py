"""Normalization of texts in a separate process, so that they do not delay speech.

In a thread, each text holds the GIL for milliseconds at a time. One client that normalizes without
a pause would make the first audio of the others three times as late.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import BinaryIO

from app.child_process import child_command, child_environment, die_with_parent
from app.errors import (
    DeadlineExceeded,
    EmptyInput,
    InputTooLong,
    NotReady,
    RequestError,
    UnsupportedValue,
)
from app.process_time import ProcessTimeout
from app.text.preparation import NormalisationOptions, TextPreparation

ERRORS = {kind.__name__: kind for kind in (EmptyInput, InputTooLong, UnsupportedValue)}
LENGTH_BYTES = 4  # length prefix of each message

log = logging.getLogger(__name__)


class TextProcess:
    """Process that normalizes one text after another, at a low priority.

    The process starts with the first text, and again if it has ended.
    """

    def __init__(self, preparation: TextPreparation, limit_s: float) -> None:
        """`limit_s`: time limit of one text."""
        self._preparation, self._limit_s = preparation, limit_s
        self._process: Process | None = None
        self._lock = asyncio.Lock()

    async def text(self, text: str, normalisation: NormalisationOptions) -> str:
        """Return the result of `TextPreparation.text`.

        Raises:
            RequestError: the text cannot be spoken.
            DeadlineExceeded: the text takes longer than `limit_s`.
            NotReady: the process cannot be started, or has ended.
        """
        async with self._lock:
            received = False
            try:
                async with ProcessTimeout(self._limit_s):
                    kind, value, param = json.loads(
                        await self._exchange(pickle.dumps((text, normalisation)))
                    )
                    received = True
            except TimeoutError as exc:
                raise DeadlineExceeded("the text was not normalized in time") from exc
            except (OSError, EOFError) as exc:
                log.error("the normalizing process ended or cannot be started: %r", exc)
                message = "texts cannot be normalized at the moment; retry shortly"
                raise NotReady(message, retry_after_s=1) from exc
            finally:
                if not received:
                    self._kill()  # a late answer would be read as that of the next text
        if kind:
            raise ERRORS.get(kind, RequestError)(value, param=param)
        return value

    async def close(self) -> None:
        """End the process."""
        if (process := self._process) is not None:
            self._kill()
            await process.wait()

    async def _exchange(self, message: bytes) -> bytes:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *child_command(__name__),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,  # an error message may contain text
                env=child_environment(),
            )
            self._send(self._process, pickle.dumps(self._preparation))
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        self._send(process, message)
        await process.stdin.drain()
        length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES))
        return await process.stdout.readexactly(length)

    @staticmethod
    def _send(process: Process, message: bytes) -> None:
        assert process.stdin is not None
        process.stdin.write(len(message).to_bytes(LENGTH_BYTES) + message)

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()


def main() -> None:
    """Read texts from stdin and write the normalized texts to stdout, until stdin ends."""
    die_with_parent()
    os.nice(5)  # lower priority than speech
    source, output = sys.stdin.buffer, sys.stdout.buffer
    preparation = pickle.loads(_read_message(source) or b"")  # sent by the service itself
    while message := _read_message(source):
        text, normalisation = pickle.loads(message)
        answer = json.dumps(_prepare(preparation, text, normalisation)).encode()
        output.write(len(answer).to_bytes(LENGTH_BYTES) + answer)
        output.flush()


def _prepare(
    preparation: TextPreparation, text: str, normalisation: NormalisationOptions
) -> tuple[str, str, str | None]:
    """Return the class of the error or "", its message or the normalized text, and its param."""
    try:
        return "", preparation.text(text, normalisation), None
    except RequestError as exc:
        return type(exc).__name__, exc.message, exc.param


def _read_message(source: BinaryIO) -> bytes:
    return source.read(int.from_bytes(source.read(LENGTH_BYTES)))
