"""Parser of the events of a streamed completion.

An OpenAI completion stream is server-sent events
(https://html.spec.whatwg.org/multipage/server-sent-events.html), of which only the `data:` lines
matter. Each of those is a whole JSON object or `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, cast

import orjson

from app.errors import EngineError, EngineProtocolError, EngineTruncated

MAX_LINE_BYTES: Final = 1_000_000
MAX_COUNT: Final = 2**31 - 1  # maximum token id and token count; real ones are far smaller
_DONE: Final = b"[DONE]"
_IGNORED_FIELDS: Final = (b":", b"event:", b"id:", b"retry:", b"\r")


class Usage(NamedTuple):
    """Token counts of the request, as reported by the engine."""

    prompt_tokens: int | None
    completion_tokens: int | None


class Event(NamedTuple):
    """One `data:` object.

    A tuple, because there is one per token, and a frozen dataclass takes twice as long to create.
    """

    text: str
    token_ids: list[int] | None = None
    finish_reason: str | None = None
    usage: Usage | None = None


class EventStream:
    """Bytes in, events out. Bytes may be split anywhere, even within a character.

    After an event with a finish reason only token counts are read, and after `[DONE]` nothing.
    Other data there is ignored and is no error.

    Raises, from every method:
        EngineProtocolError: a line that is not an event, not JSON, or longer than MAX_LINE_BYTES.
        EngineError: the engine reported an error in the stream.
    """

    def __init__(self) -> None:
        # Parts of an incomplete line. They are joined once, so that the cost is linear.
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._finished = self._done = False

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes, in order."""
        events: list[Event] = []
        if self._done:
            return events
        try:
            for event in self._read(data):
                events.append(event)  # one by one, so that events before an error are kept
        except EngineError:
            if not self._finished:
                raise
            self._done = True
        return events

    def _read(self, data: bytes) -> Iterator[Event]:
        lines = data.split(b"\n")
        rest = lines.pop()  # the beginning of an incomplete line
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
        """Return the event of a last line without line end, if there is one.

        Raises:
            EngineTruncated: the bytes ended within an event.
        """
        try:
            return self.feed(b"\n")
        except EngineProtocolError as exc:
            raise EngineTruncated("the engine's response ended within an event") from exc


def _payload(line: bytes) -> bytes | None:
    """Return the JSON of a `data:` line, or the closing `[DONE]`; None for other lines."""
    if len(line) > MAX_LINE_BYTES:
        raise EngineProtocolError("the engine sent a line that is too long")
    if not line.startswith(b"data:"):
        if not line.startswith(_IGNORED_FIELDS):
            raise EngineProtocolError("the engine's response is not an event stream")
        return None
    return line[5:].strip()


def _event(payload: bytes) -> Event:
    try:
        body = orjson.loads(payload)
        choices, usage = body["choices"], body.get("usage")
        if not choices:
            return Event("", usage=_usage(usage) if usage else None)
        choice = choices[0]
        text = choice["text"]
        token_ids = choice.get("token_ids")
        finish_reason = choice.get("finish_reason")
        if type(text) is not str or not (token_ids is None or _are_ids(token_ids)):
            raise TypeError
        if finish_reason is not None and type(finish_reason) is not str:
            raise TypeError
        return Event(text, token_ids, finish_reason, _usage(usage) if usage else None)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as exc:
        raise _failure(payload) from exc


def _are_ids(ids: object) -> bool:
    """True if `ids` is a list of token ids: integers, not bools, of 0 to MAX_COUNT."""
    if type(ids) is not list or set(map(type, cast("list[object]", ids))) - {int}:
        return False
    numbers = cast("list[int]", ids)
    return not numbers or (min(numbers) >= 0 and max(numbers) <= MAX_COUNT)


def _usage(usage: Mapping[str, object]) -> Usage:
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _count(value: object) -> int | None:
    """Return a number of tokens; None if the value is missing or invalid."""
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


def _failure(payload: bytes) -> EngineError:
    """Return the error for a payload that is no completion event."""
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return EngineProtocolError("the engine sent an event that is not JSON")
    if isinstance(body, dict) and "error" in body:
        return EngineError("the engine failed during the generation")
    return EngineProtocolError("the engine sent an event with missing or invalid fields")
