"""Engines turn a prompt into codec tokens."""

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
    """How the engine draws tokens. None: the engine's own default.

    `after`: an answer to the same request that failed; of several engines another one is to draw them.
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
    """How a generation ended. Token counts are None where the engine does not report them.

    `answer`: set where there are several engines.
    """

    finish_reason: FinishReason
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    answer: EngineAnswer | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class EngineCost:
    """The time of an engine inside this process: for a second of the voice, and at least for anything at all."""

    s_per_voice_s: float
    least_s: float


class Engine(Protocol):
    """A source of codec tokens."""

    async def start(self) -> None:
        """Open connections or load weights; called once, in the lifespan."""
        ...

    async def close(self) -> None:
        """Release what `start` opened."""
        ...

    async def check(self) -> None:
        """Return when the engine can take requests; raise EngineError when it cannot."""
        ...

    async def lost(self) -> None:
        """Never return: raise EngineError when the engine is lost for as long as this process lives.

        Only one inside this process can be; one behind a network is asked again, and may come back.
        """
        ...

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Generate until the model ends, calling `on_tokens` on the event loop as tokens arrive.

        Returns after the connection (or slot) is released; cancelling frees it at once. An
        exception raised by `on_tokens` ends the generation and passes through unchanged.

        Raises:
            EngineError: the engine failed, timed out, or broke its protocol.
            InputTooLong: the prompt does not fit the model's context.
        """
        ...


@runtime_checkable
class LocalEngine(Engine, Protocol):
    """An engine inside this process, whose time admission has to share out as it does the decode devices'."""

    def cost(self) -> EngineCost | None:
        """Return the time that it takes; None where that is not known."""
        ...
