"""Seeded traffic: who asks when, and for how much speech."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.load_shape import answer_s
from stress_test.arrivals import poisson_arrivals

SENTENCES = Path(__file__).parent / "sentences.txt"
TOKENS_PER_S = 50
LETTERS = "bcdfghjklm"  # one for each digit: a word that the service leaves as it is


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    text: str  # ends with a word of its own, by which the engine's log knows it
    tokens: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """A load that begins at `begin_s` (time.monotonic()): `streams` that never pause, or `rate` requests a second.

    What is asked in the first `warm_s` is not counted; nothing is asked after `warm_s + counted_s`.
    """

    url: str
    begin_s: float
    warm_s: float
    counted_s: float
    streams: int = 0
    rate: float = 0.0
    seed: int = 1

    @property
    def end_s(self) -> float:
        """When nothing more is asked."""
        return self.begin_s + self.warm_s + self.counted_s

    def asks(self, stream: int) -> Iterator[Ask]:
        """What one stream asks for, one after the other: the same for every service."""
        rng = np.random.default_rng((self.seed, stream))
        sentences = SENTENCES.read_text(encoding="utf-8").splitlines()
        index = 0
        while True:
            sentence = sentences[rng.integers(len(sentences))]
            yield Ask(
                f"{sentence} {word(stream * 1000 + index)}", round(answer_s(rng) * TOKENS_PER_S)
            )
            index += 1

    def stagger_s(self, stream: int) -> float:
        """How long after the beginning a stream begins: not all at once."""
        return float(np.random.default_rng((self.seed, stream, 1)).uniform(0, self.warm_s * 2 / 3))

    def arrivals_s(self) -> list[float]:
        """When each request of an open loop comes, after the beginning: a Poisson process."""
        return poisson_arrivals(
            np.random.default_rng(self.seed), self.rate, self.warm_s + self.counted_s
        )

    def dump(self) -> str:
        """As JSON; see `load`."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Traffic:
        """What `dump` wrote."""
        return cls(**json.loads(text))


def word(number: int) -> str:
    """A word for each number, no two alike."""
    return "q" + "".join(LETTERS[int(digit)] for digit in str(number))
