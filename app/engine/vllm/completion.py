"""One completion, without I/O: the body of the request, and the parser of its response."""

from __future__ import annotations

from typing import Final

import orjson

from app.config.profiles import TokenSyntax
from app.engine import FinishReason, Generation, Sampling
from app.engine.vllm.sse import Event, EventStream, Usage
from app.errors import EngineError, EngineProtocolError, EngineTruncated
from app.tokens.token_parser import TokenIdParser

_FINISH_REASONS: Final[dict[str, FinishReason]] = {"stop": "stop", "length": "length"}


def request_body(
    model: str,
    prompt: str,
    sampling: Sampling,
    *,
    stop_token_ids: tuple[int, ...],
    stream_interval: int,
    ids: bool,
) -> bytes:
    """Build the JSON of POST /v1/completions. Omit fields that are None, for the engine's defaults.

    `stop` strings are not used: with them vLLM delays text and splits tokens across events.
    """
    fields = {
        "model": model,
        "prompt": prompt,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "repetition_penalty": sampling.repetition_penalty,
        "seed": sampling.seed,
        "stop_token_ids": stop_token_ids or None,
        "stream": True,
        "stream_options": {"include_usage": True},
        "stream_interval": stream_interval,
        "skip_special_tokens": False,  # otherwise vLLM omits the text of speech tokens
        "return_token_ids": ids or None,
    }
    return orjson.dumps({name: value for name, value in fields.items() if value is not None})


class Completion:
    """A response in progress: bytes in, token numbers out."""

    def __init__(self, syntax: TokenSyntax, token_limit: int | None) -> None:
        self._events = EventStream()
        self._tokens = TokenIdParser(syntax, token_limit)
        self._token_limit = token_limit
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self.progress = 0  # number of events with text, ids or the finish reason

    @property
    def ended(self) -> bool:
        """True if the finish reason has arrived; only the token counts may follow."""
        return self._finish_reason is not None

    def feed(self, data: bytes) -> list[int]:
        """Return the token numbers that `data` completes.

        Raises:
            EngineError: the engine reported an error, or violated the protocol.
        """
        return self._read(self._events.feed(data))

    def finish(self) -> list[int]:
        """Return the token numbers of a last line without line end; raise as `feed` does."""
        return [] if self.ended else self._read(self._events.finish())

    def _read(self, events: list[Event]) -> list[int]:
        numbers: list[int] = []
        for text, token_ids, finish_reason, usage in events:
            if usage:
                self._usage = usage
            if text or token_ids or finish_reason:
                self.progress += 1
                found = self._tokens.feed(text, token_ids, last_is_end=finish_reason == "stop")
                if found and self._token_limit is not None and max(found) >= self._token_limit:
                    raise EngineProtocolError(
                        "the engine sent a token outside the codec's vocabulary"
                    )
                numbers += found
                self._finish_reason = finish_reason or None
                if finish_reason == "stop":
                    self._tokens.finish()
        return numbers

    def generation(self) -> Generation:
        """Return the end of the generation.

        Raises:
            EngineTruncated: no finish reason arrived.
            EngineError: the engine aborted the generation.
        """
        if self._finish_reason is None:
            raise EngineTruncated("the engine's response ended without a finish reason")
        finish_reason = _FINISH_REASONS.get(self._finish_reason)
        if finish_reason is None:
            raise EngineError("the engine aborted the generation")
        return Generation(finish_reason, *(self._usage or (None, None)))
