"""What listeners in real time heard: delays and gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.traffic import TOKENS_PER_S
from stress_test.underruns import underruns

BYTES_PER_S = 48_000  # pcm: 24 kHz, 16 bit


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as its client saw it; times by time.monotonic()."""

    word: str
    asked_s: float
    first_s: float  # the first audio byte
    end_s: float
    audio_s: float
    gaps: int
    silence_s: float
    failure: str = ""

    @property
    def heard_s(self) -> float:
        """When the last of it has been heard."""
        return self.first_s + self.audio_s + self.silence_s

    @classmethod
    def of(
        cls, word: str, asked_s: float, chunks: Sequence[tuple[float, int]], tokens: int
    ) -> Answer:
        """From the time and size of each piece of pcm; an answer that is too short has failed."""
        if not chunks:
            return cls.failed(word, asked_s, "no audio")
        audio_s = sum(size for _, size in chunks) / BYTES_PER_S
        failure = "" if round(audio_s * TOKENS_PER_S) == tokens else "too short"
        return cls(
            word,
            asked_s,
            chunks[0][0],
            chunks[-1][0],
            audio_s,
            *underruns(chunks, BYTES_PER_S),
            failure,
        )

    @classmethod
    def failed(cls, word: str, asked_s: float, failure: str, end_s: float | None = None) -> Answer:
        """An answer that did not come; `end_s`: when that was known."""
        return cls(word, asked_s, asked_s, end_s or asked_s, 0.0, 0, 0.0, failure)


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent of the values do not exceed; nan of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)] if ordered else math.nan
