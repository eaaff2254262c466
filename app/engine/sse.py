"""The bytes of a streamed completion, as events.

An OpenAI completion stream is server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)
of which only the `data:` lines matter, and each of those is a whole JSON object or `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, cast

import orjson

from app.errors import EngineError, EngineProtocolError, EngineTruncated

MAX_LINE_BYTES: Final = 1_000_000
MAX_COUNT: Final = (
    2**31 - 1
)  # of a token's id, and of tokens; no model and no context comes near it
_DONE: Final = b"[DONE]"
_IGNORED_FIELDS: Final = (b":", b"event:", b"id:", b"retry:", b"\r")


class Usage(NamedTuple):
    """Token counts of the whole request, as the engine reports them."""

    prompt_tokens: int | None
    completion_tokens: int | None


class Event(NamedTuple):
    """One `data:` object. A tuple, because there is one a token, and a frozen dataclass takes twice as long to make."""

    text: str
    token_ids: list[int] | None = None
    finish_reason: str | None = None
    usage: Usage | None = None


class EventStream:
    """Bytes in, events out; split anywhere, also inside a character.

    After an event with a finish reason only its token counts are read, and after `[DONE]` nothing: whatever else comes
    there is dropped, and is no failure.

    Raises, from every method:
        EngineProtocolError: a line that is not an event, not JSON, or longer than MAX_LINE_BYTES.
        EngineError: the engine reported a failure inside the stream.
    """

    def __init__(self) -> None:
        self._parts: list[
            bytes
        ] = []  # of a line whose end has not come; joined once, so that cost is linear
        self._size_bytes = 0
        self._finished = self._done = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes, in order."""
        events: list[Event] = []
        if self._done:
            return events
        try:
            for event in self._read(data):
                events.append(event)  # at once: those before a failure count too
        except EngineError:
            if not self._finished:
                raise
            self._done = True
        return events

    def _read(self, data: bytes) -> Iterator[Event]:
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._parts:
            lines[0] = b"".join((*self._parts, lines[0]))
            self._parts.clear()
            self._size_bytes = 0
        if rest:
            self._parts.append(rest)
            self._size_bytes += len(rest)
        for line in lines:
            if not line or not (payload := _payload(line)):
                continue
            if payload == _DONE:
                self._done = True
                return
            if not self._finished:
                event = _event(payload)
                self._finished = bool(event.finish_reason)
                yield event
            elif usage := _event(payload).usage:
                yield Event("", usage=usage)
        if self._size_bytes > MAX_LINE_BYTES:
            raise EngineProtocolError("the engine sent a line that is too long")

    def finish(self) -> list[Event]:
        """The event of a last line without its line end, if there is one.

        Raises:
            EngineTruncated: the bytes ended within an event.
        """
        try:
            return self.feed(b"\n")
        except EngineProtocolError as exc:
            raise EngineTruncated("the engine's answer ended within an event") from exc


def _payload(line: bytes) -> bytes | None:
    """The JSON of a `data:` line, or the closing `[DONE]`; None for the other lines of a stream."""
    if len(line) > MAX_LINE_BYTES:
        raise EngineProtocolError("the engine sent a line that is too long")
    if not line.startswith(b"data:"):
        if not line.startswith(_IGNORED_FIELDS):
            raise EngineProtocolError("the engine's answer is not a stream of events")
        return None
    return line[5:].strip()


def _event(payload: bytes) -> Event:
    try:
        body = orjson.loads(payload)
        choices, usage = body["choices"], body.get("usage")
        if not choices:
            return Event("", usage=_usage(usage) if usage else None)
        choice = choices[0]
        text, token_ids, finish_reason = (
            choice["text"],
            choice.get("token_ids"),
            choice.get("finish_reason"),
        )
        if type(text) is not str or not (token_ids is None or _are_ids(token_ids)):
            raise TypeError
        if finish_reason is not None and type(finish_reason) is not str:
            raise TypeError
        return Event(text, token_ids, finish_reason, _usage(usage) if usage else None)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as exc:
        raise _failure(payload) from exc


def _are_ids(ids: object) -> bool:
    """Whether these are the ids of tokens; a bool is none, nor is a number that no vocabulary reaches."""
    if type(ids) is not list or set(map(type, cast("list[object]", ids))) - {int}:
        return False
    numbers = cast("list[int]", ids)
    return not numbers or (min(numbers) >= 0 and max(numbers) <= MAX_COUNT)


def _usage(usage: Mapping[str, object]) -> Usage:
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _count(value: object) -> int | None:
    """A number of tokens; None: unknown, as where what stands there cannot be one."""
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


def _failure(payload: bytes) -> EngineError:
    """What a payload that is no completion event is: a reported failure, or a breach of protocol."""
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return EngineProtocolError("the engine sent an event that is not JSON")
    if isinstance(body, dict) and "error" in body:
        return EngineError("the engine failed while it was generating")
    return EngineProtocolError("the engine sent an event without its fields")
