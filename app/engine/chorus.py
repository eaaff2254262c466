"""Several requests spoken together by the language model, a code each per step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from app.engine.draw import NOISES, draw, noise_of
from app.engine.lm import FIRST_CODE, LanguageModel, prompt_of
from app.engine.stepper import Floats, Stepper
from app.engine.voices import VOICES


@dataclass(slots=True)
class _Singer:
    """A request in progress: the token to be read next, and its position."""

    token: int
    position: int
    noise: Iterator[Floats]


class Chorus:
    """Several requests generated together; one may join or leave between steps.

    A request's codes depend on its phonemes, its voice, its temperature and its seed alone: its noise is its
    own, and `Stepper` computes its numbers as if nobody else were there.
    """

    def __init__(self, model: LanguageModel, rows: int) -> None:
        self._stepper = Stepper(model, rows)
        self._singers: list[_Singer | None] = [None] * rows
        self._temperatures = np.zeros(rows, np.float32)
        self._noise = np.zeros((rows, NOISES), np.float32)

    @property
    def is_full(self) -> bool:
        """No row is free."""
        return None not in self._singers

    def join(
        self,
        phonemes: Sequence[int],
        temperature: float,
        seed: int | Sequence[int],
        voice: str = VOICES[0],
    ) -> int:
        """Begin a request of padded phoneme ids: its prompt is read, 4 to 14 ms. Returns its row.

        Rows are given from the first on, since a step computes all up to the last that is taken.

        Raises:
            ValueError: no row is free, or no such voice.
        """
        row = self._singers.index(None)
        *prompt, last = prompt_of(phonemes, voice)
        self._stepper.begin(row, prompt)
        self._temperatures[row] = temperature
        self._singers[row] = _Singer(last, len(prompt), noise_of(seed))
        return row

    def leave(self, row: int) -> None:
        """Give a row back."""
        self._singers[row] = None

    def step(self) -> dict[int, int | None]:
        """The next code of every request; None where it ended, and its row is free again.

        Raises:
            IndexError: a request is longer than 1,024 tokens; whoever joins it must let it leave before.
        """
        taken = {row: singer for row, singer in enumerate(self._singers) if singer is not None}
        if not taken:
            return {}
        count = max(taken) + 1
        tokens, positions = [0] * count, [0] * count
        for row, singer in taken.items():
            tokens[row], positions[row] = singer.token, singer.position
            self._noise[row] = next(singer.noise)
        drawn = draw(
            self._stepper.step(tokens, positions), self._temperatures[:count], self._noise[:count]
        )
        for row, singer in taken.items():
            if (code := drawn[row]) is None:
                self.leave(row)
            else:
                singer.token, singer.position = FIRST_CODE + code, singer.position + 1
        return {row: drawn[row] for row in taken}
