"""What the embedded engine asks of a model: a piece of text, and how it is to be spoken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.engine import OnTokens
from app.engine.phonemes import Piece


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a whole request is to be spoken."""

    voice: str
    temperature: float
    seed: int  # not negative


class EmbeddedModel(Protocol):
    """A model that makes codes of phonemes: `OnePass` or `Conductor`."""

    async def start(self) -> None:
        """Load the weights, off the event loop.

        Raises:
            LoadError: they cannot be read.
        """
        ...

    async def close(self) -> None:
        """Fail what is being spoken, and release what `start` took."""
        ...

    def check(self) -> None:
        """Return when the model can speak.

        Raises:
            EngineError: it cannot.
        """
        ...

    async def lost(self) -> None:
        """Never return: raise EngineError when the model's thread has died."""
        ...

    async def speak(
        self, piece: Piece, number: int, delivery: Delivery, on_codes: OnTokens, due_s: float
    ) -> None:
        """Speak a request's piece of that number, calling `on_codes` on the event loop as codes arrive.

        `due_s`: when its client runs dry (time.monotonic()), for a model that speaks one piece at a time.

        An exception of `on_codes` ends the piece and passes through; so does a cancellation.

        Raises:
            EngineError: the model failed, or is closed.
        """
        ...
