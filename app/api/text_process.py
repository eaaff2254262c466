"""Texts that are only to be normalized, read in a process of their own, so that they take nothing from speech.

In a thread each of them holds Python's lock for milliseconds at a time: one client that normalizes without a pause
makes the first sound of the others three times as late.
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

from app.api.wording import Manner, Wording
from app.clone.child import command, die_with_the_service, environment
from app.errors import DeadlineExceeded, NotReady
from app.request_errors import EmptyInput, InputTooLong, RequestError, UnsupportedValue
from app.standstill import Limit

REFUSALS = {kind.__name__: kind for kind in (EmptyInput, InputTooLong, UnsupportedValue)}
LENGTH_BYTES = 4  # before each message

log = logging.getLogger(__name__)


class TextProcess:
    """Reads one text after another, at a low priority. The process starts with the first text, and again if it ends."""

    def __init__(self, wording: Wording, limit_s: float) -> None:
        """`limit_s`: the longest time that one text may take."""
        self._wording, self._limit_s = wording, limit_s
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def text(self, text: str, manner: Manner) -> str:
        """The text as `Wording.text` puts it.

        Raises:
            RequestError: a text that could not be spoken.
            DeadlineExceeded: it takes too long.
            NotReady: the process cannot be started, or has ended.
        """
        async with self._turn:
            answered = False
            try:
                async with Limit(self._limit_s):
                    kind, value, param = json.loads(await self._ask(pickle.dumps((text, manner))))
                    answered = True
            except TimeoutError as exc:
                raise DeadlineExceeded("the text takes too long to normalize") from exc
            except (OSError, EOFError) as exc:
                log.error(
                    "the process that normalizes texts has ended, or cannot be started: %r", exc
                )
                raise NotReady(
                    "texts cannot be normalized now; try again shortly", retry_after_s=1
                ) from exc
            finally:
                if not answered:
                    self._kill()  # an answer that comes later would be taken for that to the next text
        if kind:
            raise REFUSALS.get(kind, RequestError)(value, param=param)
        return value

    async def close(self) -> None:
        """End the process."""
        if (process := self._process) is not None:
            self._kill()
            await process.wait()

    async def _ask(self, message: bytes) -> bytes:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *command(__name__),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,  # an error may hold words of a text
                env=environment(),
            )
            self._send(self._process, pickle.dumps(self._wording))
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
    """Read texts from stdin and write what they become to stdout, until there are no more."""
    die_with_the_service()
    os.nice(5)  # speech goes first
    source, output = sys.stdin.buffer, sys.stdout.buffer
    wording = pickle.loads(_message(source) or b"")  # of the service itself
    while message := _message(source):
        text, manner = pickle.loads(message)
        answer = json.dumps(_read(wording, text, manner)).encode()
        output.write(len(answer).to_bytes(LENGTH_BYTES) + answer)
        output.flush()


def _read(wording: Wording, text: str, manner: Manner) -> tuple[str, str, str | None]:
    """The kind of the refusal, or none, then its message, or what the text becomes, and its parameter."""
    try:
        return "", wording.text(text, manner), None
    except RequestError as exc:
        return type(exc).__name__, exc.message, exc.param


def _message(source: BinaryIO) -> bytes:
    return source.read(int.from_bytes(source.read(LENGTH_BYTES)))
