"""A language model that advances all its streams in one step, as vLLM does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bench.simulation.clock import Clock


@dataclass(frozen=True, slots=True)
class Pace:
    """A step takes `step_s + streams x stream_s`. The defaults fit public figures of a 1.7B model on an H100/H200."""

    first_token_s: float = 0.025
    step_s: float = 0.0022
    stream_s: float = 0.000026
    interval_tokens: int = 5  # collected per event after the first


class Reader(Protocol):
    """Who is told of tokens."""

    def feed(self, tokens: int, *, ended: bool) -> None:
        """So many more have arrived."""
        ...


class Engine:
    """Generates any number of answers at once."""

    def __init__(self, clock: Clock, pace: Pace) -> None:
        self._clock, self._pace = clock, pace
        self._running = 0
        self._steps = 0
        self._due: defaultdict[int, list[tuple[Reader, int]]] = defaultdict(
            list
        )  # by step; tokens still to come

    def generate(self, reader: Reader, tokens: int) -> None:
        """Tell `reader` of so many tokens, as they come."""
        self._clock.at(
            self._clock() + self._pace.first_token_s, partial(self._begin, reader, tokens)
        )

    def _begin(self, reader: Reader, tokens: int) -> None:
        reader.feed(1, ended=tokens == 1)
        if tokens > 1:
            self._collect(reader, tokens - 1)
            self._running += 1
            if self._running == 1:
                self._plan_step()

    def _step(self) -> None:
        self._steps += 1
        for reader, left in self._due.pop(self._steps, ()):
            tokens = min(left, self._pace.interval_tokens)
            reader.feed(tokens, ended=tokens == left)
            if tokens == left:
                self._running -= 1
            else:
                self._collect(reader, left - tokens)
        if self._running:
            self._plan_step()

    def _collect(self, reader: Reader, left: int) -> None:
        self._due[self._steps + min(left, self._pace.interval_tokens)].append((reader, left))

    def _plan_step(self) -> None:
        self._clock.at(
            self._clock() + self._pace.step_s + self._running * self._pace.stream_s, self._step
        )
