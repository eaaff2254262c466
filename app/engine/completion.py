"""One completion, without the network: the request's body, and what the streamed answer says."""

from __future__ import annotations

from typing import Final

import orjson

from app.engine import FinishReason, Generation, Sampling
from app.engine.sse import Event, EventStream, Usage
from app.errors import EngineError, EngineProtocolError, EngineTruncated
from app.profiles import TokenSyntax
from app.speech.tokens import TokenIds

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
    """The JSON of POST /v1/completions; fields that are None stay away, so the engine's defaults hold.

    There are no `stop` strings: with one, vLLM holds text back and cuts tokens across events.
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
        "skip_special_tokens": False,  # otherwise vLLM leaves the text of speech tokens out
        "return_token_ids": ids or None,
    }
    return orjson.dumps({name: value for name, value in fields.items() if value is not None})


class Completion:
    """The answer so far: bytes in, token numbers out."""

    def __init__(self, syntax: TokenSyntax, token_limit: int | None) -> None:
        self._events = EventStream()
        self._tokens, self._limit = TokenIds(syntax, token_limit), token_limit
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self.progress = 0  # events that carried text, ids or the finish reason

    @property
    def ended(self) -> bool:
        """Whether the engine has said why it stopped; what follows is only its token count."""
        return self._finish_reason is not None

    def feed(self, data: bytes) -> list[int]:
        """The token numbers that `data` completes.

        Raises:
            EngineError: the engine reported a failure, or broke its protocol.
        """
        return self._take(self._events.feed(data))

    def finish(self) -> list[int]:
        """The token numbers of a last line without its line end; errors as for `feed`."""
        return [] if self.ended else self._take(self._events.finish())

    def _take(self, events: list[Event]) -> list[int]:
        numbers: list[int] = []
        for text, token_ids, finish_reason, usage in events:
            if usage:
                self._usage = usage
            if text or token_ids or finish_reason:
                self.progress += 1
                found = self._tokens.feed(text, token_ids, last_is_end=finish_reason == "stop")
                if found and self._limit is not None and max(found) >= self._limit:
                    raise EngineProtocolError(
                        "the engine sent a token outside the codec's vocabulary"
                    )
                numbers += found
                self._finish_reason = finish_reason or None
                if finish_reason == "stop":
                    self._tokens.finish()
        return numbers

    def generation(self) -> Generation:
        """How it ended.

        Raises:
            EngineTruncated: no finish reason came, whatever else did.
            EngineError: the engine gave the generation up.
        """
        if self._finish_reason is None:
            raise EngineTruncated("the engine's answer ended before the speech did")
        finish_reason = _FINISH_REASONS.get(self._finish_reason)
        if finish_reason is None:
            raise EngineError("the engine gave the generation up")
        return Generation(finish_reason, *(self._usage or (None, None)))
