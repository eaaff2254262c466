"""A load: what is asked, of whom, when, and by how many at once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from stress_test.arrivals import poisson_arrivals

PATH = "/v1/audio/speech"
# What the published figures were measured with; about 5.6 s of speech.
TEXT = "Hello! How can I help you? Apa yang saya boleh bantu encik? Encik nak makan ayam gepuk ke?"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; `due_s` after the load's beginning, None: as soon as a place is free."""

    number: int
    text: str
    due_s: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """A closed loop of `concurrency` places, or with `rate` an open one: Poisson arrivals, whatever the server does.

    A closed loop ends after `requests`, or asks nothing more after `duration_s`; an open one has `duration_s`. Its
    places ask again as soon as they have an answer, or with `listening` when it would have been heard.
    """

    url: str
    texts: tuple[str, ...] = (TEXT,)
    voice: str | None = None
    response_format: str = "wav"
    speed: float = 1.0
    stream: bool = True
    concurrency: int = 50
    listening: bool = False
    requests: int | None = None
    rate: float | None = None  # requests a second
    duration_s: float | None = None
    ramp_s: float = 0.0  # in which the places of a closed loop begin, one after the other
    warmup_count: int = 0
    timeout_s: float = 300.0
    seed: int = 1
    process: int = 0
    processes: int = 1
    api_key: str | None = field(default=None, repr=False)

    @property
    def base_url(self) -> str:
        """The server, also where `url` names the speech route or what OpenAI's clients call the base URL."""
        return self.url.rstrip("/").removesuffix(PATH).removesuffix("/v1").rstrip("/")

    @property
    def body(self) -> dict[str, object]:
        """What all requests have in common."""
        body: dict[str, object] = {"response_format": self.response_format, "stream": self.stream}
        if self.voice:
            body["voice"] = self.voice
        if self.speed != 1.0:
            body["speed"] = self.speed
        return body

    @property
    def places(self) -> list[float]:
        """When each of this process's places of a closed loop begins, in seconds."""
        return [
            place * self.ramp_s / self.concurrency for place in self._own(range(self.concurrency))
        ]

    @property
    def expected(self) -> int | None:
        """How many requests all processes send together; None where time decides."""
        return len(self._arrivals()) if self.rate else self.requests

    def asks(self) -> Iterator[Ask]:
        """This process's requests in their order; without end where only time ends them."""
        if self.rate:
            for number in self._own(range(len(arrivals := self._arrivals()))):
                yield Ask(number, self._text(number), arrivals[number])
            return
        numbers = itertools.count() if self.requests is None else range(self.requests)
        for number in itertools.islice(numbers, self.process, None, self.processes):
            yield Ask(number, self._text(number))

    def shares(self) -> list[Load]:
        """The load's parts, one for each process; together they are this load."""
        return [replace(self, process=process) for process in range(self.processes)]

    def parameters(self) -> dict[str, object]:
        """Everything that a result names, which is all but the key, the texts and a process's number."""
        hidden = ("api_key", "texts", "process")
        shown: dict[str, object] = {
            name: value for name, value in asdict(self).items() if name not in hidden
        }
        return shown | {"texts": len(self.texts)}

    def dump(self) -> str:
        """As one line of JSON, with the key; see `parse`."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, line: str) -> Load:
        """What `dump` wrote."""
        values = json.loads(line)
        return cls(**values | {"texts": tuple(values["texts"])})

    def _text(self, number: int) -> str:
        return self.texts[number % len(self.texts)]

    def _own(self, numbers: range) -> range:
        return numbers[self.process :: self.processes]

    def _arrivals(self) -> list[float]:
        """Those of all processes, which each can tell from the seed alone."""
        return poisson_arrivals(
            np.random.default_rng(self.seed), self.rate or 0.0, self.duration_s or 0.0
        )
