"""Loudness: one gain for the whole answer, and a limiter that never exceeds full scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]  # (samples,), mono

BLOCK_S = 0.02
VOICED_DB = -45.0  # a block above this level counts as speech
LOCK_S = 0.9  # the gain is fixed this long after speech begins
PRIOR_S = 0.1  # the profile's typical level weighs as much as this much speech
MAX_GAIN_DB = 15.0
KNEE = 0.8  # below it the limiter is transparent


def limit(samples: Samples) -> Samples:
    """Soft limiter without memory: identity up to the knee, tanh above, always within (-1, 1)."""
    loud = np.abs(samples)
    if not loud.size or loud.max() <= KNEE:
        return samples
    bent = KNEE + (1 - KNEE) * np.tanh((loud - KNEE) / (1 - KNEE))
    bent = np.sign(samples) * np.minimum(bent, 1 - 2**-16)  # tanh rounds to 1 far above the knee
    return np.where(loud > KNEE, bent, samples).astype(np.float32)


class VoicedLevel:
    """The mean level of the voiced blocks, a typical level counted in; fixed after LOCK_S of speech."""

    def __init__(self, typical_db: float) -> None:
        self._blocks = PRIOR_S / BLOCK_S
        self._energy = self._blocks * 10 ** (typical_db / 10)
        self._left = round(LOCK_S / BLOCK_S)
        self._speaking = False

    def observe(self, block: Samples) -> None:
        """Take one block of BLOCK_S into account."""
        if not self._left:
            return
        energy = float(np.mean(np.square(block, dtype=np.float64)))
        voiced = energy > 10 ** (VOICED_DB / 10)
        self._speaking |= voiced
        self._left -= self._speaking
        if voiced:
            self._energy += energy
            self._blocks += 1

    @property
    def db(self) -> float:
        """RMS in dBFS."""
        return float(10 * np.log10(self._energy / self._blocks))


class Leveller:
    """Brings the voiced parts to `target_db` (dBFS, RMS) with one gain.

    The gain is estimated from the first `horizon_s` of sound and the profile's typical level,
    refined while the speaker's first second goes by, then locked. It is a function of the samples
    alone, on a fixed grid of 20 ms, so the way they were chunked cannot be heard.
    """

    def __init__(self, sample_rate_hz: int, *, target_db: float, typical_db: float, horizon_s: float) -> None:
        self._block = round(sample_rate_hz * BLOCK_S)
        self._horizon = self._block * max(1, int(horizon_s / BLOCK_S))
        self._target_db = target_db
        self._level = VoicedLevel(typical_db)
        self._pending: Samples = np.zeros(0, np.float32)
        self._gain: float | None = None  # None until the horizon is full
        self._observed = 0  # blocks of the horizon, seen before they are released

    def feed(self, samples: Samples) -> Samples:
        """Levelled samples; up to one block (at first `horizon_s`) is kept back."""
        self._pending = np.concatenate([self._pending, samples])
        whole = len(self._pending) // self._block * self._block
        if self._gain is None and whole < self._horizon:
            return np.zeros(0, np.float32)
        return self._release(whole)

    def finish(self) -> Samples:
        """What was kept back."""
        return self._release(len(self._pending))

    def _release(self, count: int) -> Samples:
        ready, self._pending = self._pending[:count], self._pending[count:]
        if not count:
            return ready
        if self._gain is None:
            opening = self._blocks(ready[: self._horizon])
            for block in opening:
                self._level.observe(block)
            self._observed = len(opening)
            self._gain = self._gain_now()
        envelope = np.concatenate([self._ramp(block) for block in self._blocks(ready)])
        return limit(ready * envelope)

    def _ramp(self, block: Samples) -> Samples:
        """The gain over one block: a straight line from the last estimate to the newest."""
        before = self._gain or self._gain_now()
        if self._observed:
            self._observed -= 1
        else:
            self._level.observe(block)
        self._gain = after = self._gain_now()
        return np.linspace(before, after, len(block), dtype=np.float32)

    def _blocks(self, samples: Samples) -> list[Samples]:
        return [samples[at : at + self._block] for at in range(0, len(samples), self._block)]

    def _gain_now(self) -> float:
        gain_db = min(MAX_GAIN_DB, max(-MAX_GAIN_DB, self._target_db - self._level.db))
        return 10 ** (gain_db / 20)
