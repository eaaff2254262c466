"""Engines generate codec tokens from a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from app.errors import EngineAnswer

FinishReason = Literal["stop", "length"]
TokenNumbers = Sequence[int]  # the N of each `<|s_N|>`, control tokens included, in order
OnTokens = Callable[[TokenNumbers], None]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters. None: the engine's own default.

    `after`: the failed answer to the same request, for a retry. A pool then prefers another engine.
    """

    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    after: EngineAnswer | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Generation:
    """The end of a generation. Token counts are None if the engine does not report them.

    `answer`: set by a pool of several engines.
    """

    finish_reason: FinishReason
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    answer: EngineAnswer | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class EngineCost:
    """Compute time of an engine in this process, per second of speech, and its minimum."""

    s_per_voice_s: float
    min_s: float  # of a chunk


class Engine(Protocol):
    """A source of codec tokens."""

    async def start(self) -> None:
        """Open connections or load weights; called once, in the lifespan."""
        ...

    async def close(self) -> None:
        """Release what `start` opened."""
        ...

    async def check(self) -> None:
        """Return if the engine accepts requests; raise EngineError if it does not."""
        ...

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Generate until the model ends, calling `on_tokens` on the event loop as tokens arrive.

        Returns after the connection (or slot) is released; a cancellation releases it at once. An
        exception raised by `on_tokens` ends the generation and passes through unchanged.

        Raises:
            EngineError: the engine failed, timed out, or broke its protocol.
            InputTooLong: the prompt does not fit the model's context.
        """
        ...


@runtime_checkable
class LocalEngine(Engine, Protocol):
    """An engine in this process. Admission counts its compute time, as it does that of decoding."""

    def cost(self) -> EngineCost | None:
        """Return the compute time; None if unknown."""
        ...
