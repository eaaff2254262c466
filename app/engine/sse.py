"""The bytes of a streamed completion, as events.

An OpenAI completion stream is server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)
of which only the `data:` lines matter, and each of those is a whole JSON object or `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson

from app.errors import EngineError, EngineProtocolError, EngineTruncated

MAX_LINE_BYTES: Final = 1_000_000
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

    Raises, from every method:
        EngineProtocolError: a line that is not an event, not JSON, or longer than MAX_LINE_BYTES.
        EngineError: the engine reported a failure inside the stream.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of a line whose end has not come; joined once, so that cost is linear
        self._size_bytes = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes, in order."""
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._parts:
            lines[0] = b"".join((*self._parts, lines[0]))
            self._parts.clear()
            self._size_bytes = 0
        if rest:
            self._parts.append(rest)
            self._size_bytes += len(rest)
        if self._size_bytes > MAX_LINE_BYTES:
            raise EngineProtocolError("the engine sent a line that is too long")
        events: list[Event] = []
        for line in lines:
            if line and (payload := _payload(line)):
                events.append(_event(payload))
        return events

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
    """The JSON of a `data:` line; None for the other lines of a stream and for the closing `[DONE]`."""
    if len(line) > MAX_LINE_BYTES:
        raise EngineProtocolError("the engine sent a line that is too long")
    if not line.startswith(b"data:"):
        if not line.startswith(_IGNORED_FIELDS):
            raise EngineProtocolError("the engine's answer is not a stream of events")
        return None
    payload = line[5:].strip()
    return None if payload == b"[DONE]" else payload


def _event(payload: bytes) -> Event:
    try:
        body = orjson.loads(payload)
        choices, usage = body["choices"], body.get("usage")
        if not choices:
            return Event("", usage=_usage(usage) if usage else None)
        choice = choices[0]
        text, token_ids, finish_reason = choice["text"], choice.get("token_ids"), choice.get("finish_reason")
        # Only integers add up to one, and adding takes a quarter of the time of looking at each one's type.
        if type(text) is not str or (token_ids and type(sum(token_ids)) is not int):
            raise TypeError
        if finish_reason is not None and type(finish_reason) is not str:
            raise TypeError
        return Event(text, token_ids, finish_reason, _usage(usage) if usage else None)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as exc:
        raise _failure(payload) from exc


def _usage(usage: Mapping[str, object]) -> Usage:
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _failure(payload: bytes) -> EngineError:
    """What a payload that is no completion event is: a reported failure, or a breach of protocol."""
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return EngineProtocolError("the engine sent an event that is not JSON")
    if isinstance(body, dict) and "error" in body:
        return EngineError("the engine failed while it was generating")
    return EngineProtocolError("the engine sent an event without its fields")
