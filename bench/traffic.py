"""Seeded loads of the service: requests with unique texts, as long as sentences are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stress_test.load import Load
from stress_test.outcome import Completed, Failed, Outcome
from stress_test.processes import run

SENTENCES = Path(__file__).parent / "sentences.txt"
TOKENS_PER_S = 50
MIN_ANSWER_S, MAX_ANSWER_S = 2.0, 12.0
MEDIAN_S, SPREAD = 4.5, 0.45  # of a log-normal distribution: sentences of about 70 characters
RAMP_SHARE = 2 / 3  # share of the warm-up in which the streams of a closed loop start
MAX_REQUESTS_PER_S = 160  # more than the fake engine can answer
OVERTIME_S = 20.0  # after the end of the load, until a request times out
LETTERS = "bcdfghjklm"  # one for each digit of a word that the service does not normalise


@dataclass(frozen=True, slots=True)
class Traffic:
    """A closed loop of `streams` that never pause, or an open loop of `rate` requests a second.

    Requests of the first `warm_s` are not counted. No request is sent after `length_s`.
    """

    warm_s: float
    counted_s: float
    streams: int = 0
    rate: float = 0.0
    seed: int = 1

    @property
    def length_s(self) -> float:
        """Time during which requests are sent."""
        return self.warm_s + self.counted_s

    def load(self, url: str) -> Load:
        """Return the load; its requests are the same for every service."""
        count = math.ceil(MAX_REQUESTS_PER_S * self.length_s)
        sentences = SENTENCES.read_text(encoding="utf-8").splitlines()
        requests = [draw_request(sentences, self.seed, number) for number in range(count)]
        return Load(
            url,
            texts=tuple(text for text, _ in requests),
            response_format="pcm",
            concurrency=self.streams,
            rate=self.rate or None,
            duration_s=self.length_s,
            ramp_s=RAMP_SHARE * self.warm_s,
            timeout_s=self.length_s + OVERTIME_S,
            seed=self.seed,
            request_fields=tuple({"max_tokens": tokens} for _, tokens in requests),
            find_defects=False,
        )


def draw_request(sentences: Sequence[str], seed: int, number: int) -> tuple[str, int]:
    """Draw a sentence and the tokens of its answer; a unique word is added to the sentence."""
    rng = np.random.default_rng((seed, number))
    sentence = sentences[int(rng.integers(len(sentences)))]
    return f"{sentence} {word(number)}", round(answer_s(rng) * TOKENS_PER_S)


def answer_s(rng: np.random.Generator) -> float:
    """Draw the length of an answer: 2 to 12 s, about 4.9 s on average."""
    while True:
        length_s = MEDIAN_S * float(np.exp(SPREAD * rng.standard_normal()))
        if MIN_ANSWER_S <= length_s <= MAX_ANSWER_S:
            return length_s


def word(number: int) -> str:
    """Return a unique word for a number, by which the fake engine's log knows the request."""
    return "q" + "".join(LETTERS[int(digit)] for digit in str(number))


def complete(load: Load, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield the outcomes; an answer that does not have its `max_tokens` has failed."""
    for outcome in outcomes:
        tokens = load.request(outcome.number).fields.get("max_tokens")
        is_failed = isinstance(outcome, Failed)
        if is_failed or tokens in (None, round(outcome.audio_s * TOKENS_PER_S)):
            yield outcome
        else:
            times_s = (outcome.due_s, outcome.late_s, outcome.latency_s)
            yield Failed(outcome.number, *times_s, "too short")


async def answers(load: Load, *, separate: bool = False) -> list[Completed]:
    """Run a load and return its answers; see `stress_test.processes.run`.

    Raises:
        RuntimeError: a request failed, or an answer was too short.
    """
    done = await run(load, separate=separate)
    completed: list[Completed] = []
    for outcome in complete(load, done.outcomes):
        if isinstance(outcome, Failed):
            raise RuntimeError(f"request {outcome.number} failed: {outcome.error}")
        completed.append(outcome)
    return completed
