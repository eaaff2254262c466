"""Loudness normalisation with one gain for the whole response, and a limiter below full scale."""

from __future__ import annotations

import math

import numpy as np

from app.audio.samples import Samples

BLOCK_S = 0.02  # seconds of a block, whose energy is measured
VOICED_DB = -45.0  # dBFS, RMS; a block above this level counts as speech
SPEECH_BLOCKS = 3  # voiced blocks in a row; fewer are a click, as no syllable lasts only 40 ms
LOCK_BLOCKS = 45  # blocks (0.9 s) from the first speech until the gain is fixed
PRIOR_BLOCKS = 8  # initial weight of the profile's typical level, 0 when the gain is fixed
MAX_GAIN_DB = 20.0  # brings -36 dBFS to the default target
SOFT_LIMIT_KNEE = 0.8  # amplitude below which the limiter changes nothing


def soft_limit(samples: Samples) -> Samples:
    """Limit each sample to (-1, 1): unchanged up to the knee, tanh above it."""
    loud = np.abs(samples)
    if not loud.size or loud.max() <= SOFT_LIMIT_KNEE:
        return samples
    bent = SOFT_LIMIT_KNEE + (1 - SOFT_LIMIT_KNEE) * np.tanh(
        (loud - SOFT_LIMIT_KNEE) / (1 - SOFT_LIMIT_KNEE)
    )
    bent = np.sign(samples) * np.minimum(bent, 1 - 2**-16)  # tanh rounds to 1 far above the knee
    return np.where(loud > SOFT_LIMIT_KNEE, bent, samples).astype(np.float32)


class LoudnessEstimate:
    """Mean level of the voiced blocks, mixed with a typical level until LOCK_BLOCKS have passed."""

    def __init__(self, typical_db: float) -> None:
        self._typical = 10 ** (typical_db / 10)
        self._energy = 0.0
        self._blocks = 0
        self._run: list[float] = []  # voiced blocks that may turn out to be a click
        self._left = LOCK_BLOCKS

    @property
    def locked(self) -> bool:
        """True if further blocks do not change the level."""
        return self._left == 0

    def observe(self, energy: float) -> None:
        """Add the mean square of one block."""
        if self.locked:
            return
        self._run = [*self._run, energy] if energy > 10 ** (VOICED_DB / 10) else []
        if len(self._run) >= SPEECH_BLOCKS:
            fresh = self._run if len(self._run) == SPEECH_BLOCKS else self._run[-1:]
            self._energy += sum(fresh)
            self._blocks += len(fresh)
        self._left -= self._blocks > 0

    @property
    def db(self) -> float:
        """Level in dBFS, RMS."""
        typical_blocks = PRIOR_BLOCKS * self._left / LOCK_BLOCKS
        energy = self._energy + typical_blocks * self._typical
        return 10 * math.log10(energy / (self._blocks + typical_blocks))


class LoudnessNormaliser:
    """Normaliser that brings voiced speech to `target_db` (dBFS, RMS) with one gain.

    The gain is estimated from the first `estimation_window_s` of audio and the profile's typical
    level, refined during the first second of speech, then fixed. It depends on the samples alone,
    on a fixed grid of 20 ms, so the chunk sizes do not change the result.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        *,
        target_db: float,
        typical_db: float,
        estimation_window_s: float,
    ) -> None:
        self._block = round(sample_rate_hz * BLOCK_S)
        self._window = self._block * max(1, int(estimation_window_s / BLOCK_S))
        self._target_db = target_db
        self._level = LoudnessEstimate(typical_db)
        self._pending: Samples = np.zeros(0, np.float32)
        self._gain: float | None = None  # None until the estimation window is full
        self._ahead = 0  # blocks of the window that are observed but not returned

    def feed(self, samples: Samples) -> Samples:
        """Return levelled samples.

        Until the gain is fixed, up to one block (at first `estimation_window_s`) is held back.
        """
        self._pending = np.concatenate([self._pending, samples]) if len(self._pending) else samples
        if self._level.locked:
            return self._release(len(self._pending))
        whole = len(self._pending) // self._block * self._block
        if self._gain is None and whole < self._window:
            return np.zeros(0, np.float32)
        return self._release(whole)

    def finish(self) -> Samples:
        """Return the samples held back."""
        return self._release(len(self._pending))

    def _release(self, count: int) -> Samples:
        ready, self._pending = self._pending[:count], self._pending[count:]
        if self._gain is not None and self._level.locked:
            return soft_limit(ready * np.float32(self._gain))
        whole = count // self._block * self._block
        blocks, rest = ready[:whole].reshape(-1, self._block), ready[whole:][None]
        levelled = [
            (rows * self._envelope(rows)).reshape(-1) for rows in (blocks, rest) if rows.size
        ]
        return soft_limit(np.concatenate(levelled or [ready]))

    def _envelope(self, blocks: Samples) -> Samples:
        """Return the gain of each sample (blocks, samples).

        Within a block it is a line from the estimate before the block to the one after it.
        """
        energies = np.square(blocks, dtype=np.float64).mean(axis=1).tolist()
        if self._gain is None:
            self._ahead = self._window // self._block
            for energy in energies[: self._ahead]:
                self._level.observe(energy)
            self._gain = self._gain_now()
        gains = [self._gain, *(self._gain_after(energy) for energy in energies)]
        self._gain = gains[-1]
        before, after = np.array(gains[:-1])[:, None], np.array(gains[1:])[:, None]
        return (before + (after - before) * np.linspace(0, 1, blocks.shape[1])).astype(np.float32)

    def _gain_after(self, energy: float) -> float:
        if self._ahead:
            self._ahead -= 1
        else:
            self._level.observe(energy)
        return self._gain_now()

    def _gain_now(self) -> float:
        gain_db = min(MAX_GAIN_DB, max(-MAX_GAIN_DB, self._target_db - self._level.db))
        return 10 ** (gain_db / 20)
