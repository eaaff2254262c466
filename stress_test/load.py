"""Parameters of a load: server, texts, format, concurrency and arrival times."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from stress_test.arrivals import poisson_arrivals

PATH = "/v1/audio/speech"
# The text of the published figures; about 5.6 s of speech.
TEXT = "Hello! How can I help you? Apa yang saya boleh bantu encik? Encik nak makan ayam gepuk ke?"


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """One request; `due_s`: seconds after the start, None: as soon as a client is free."""

    number: int
    text: str
    due_s: float | None = None
    fields: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Load:
    """A closed loop of `concurrency` clients, or with `rate` an open loop of Poisson arrivals.

    A closed loop sends `requests` requests, or sends requests for `duration_s`. Each client sends
    its next request when it has received its answer, with `listening` when the answer has been
    played in real time. An open loop sends requests for `duration_s`, whether or not the server
    keeps up.
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
    rate: float | None = None  # requests per second
    duration_s: float | None = None
    ramp_s: float = 0.0  # the clients of a closed loop start evenly within it
    warmup_count: int = 0
    timeout_s: float = 300.0
    seed: int = 1
    process: int = 0
    processes: int = 1
    api_key: str | None = field(default=None, repr=False)
    request_fields: tuple[Mapping[str, object], ...] = ()  # further JSON fields, in turn
    find_defects: bool = True  # search the samples for steps and silences, 0.4 ms per audio-second

    @property
    def base_url(self) -> str:
        """URL of the server; `url` may end with the speech route or the `/v1` of OpenAI clients."""
        return self.url.rstrip("/").removesuffix(PATH).removesuffix("/v1").rstrip("/")

    @property
    def body(self) -> dict[str, object]:
        """JSON fields that all requests share."""
        body: dict[str, object] = {"response_format": self.response_format, "stream": self.stream}
        if self.voice:
            body["voice"] = self.voice
        if self.speed != 1.0:
            body["speed"] = self.speed
        return body

    @property
    def client_starts_s(self) -> list[float]:
        """Start times of the closed-loop clients of this process, in seconds."""
        return [
            client * self.ramp_s / self.concurrency for client in self._own(range(self.concurrency))
        ]

    @property
    def request_count(self) -> int | None:
        """Number of requests of all processes; None if the duration decides."""
        return len(self._arrivals()) if self.rate else self.requests

    def request_specs(self) -> Iterator[RequestSpec]:
        """Yield the requests of this process in order, endlessly if the duration ends the load."""
        if self.rate:
            arrivals = self._arrivals()
            for number in self._own(range(len(arrivals))):
                yield self.request(number, arrivals[number])
            return
        numbers = itertools.count() if self.requests is None else range(self.requests)
        for number in itertools.islice(numbers, self.process, None, self.processes):
            yield self.request(number)

    def request(self, number: int, due_s: float | None = None) -> RequestSpec:
        """Return a request by its number."""
        text = self.texts[number % len(self.texts)]
        if not self.request_fields:
            return RequestSpec(number, text, due_s)
        return RequestSpec(
            number, text, due_s, self.request_fields[number % len(self.request_fields)]
        )

    def shares(self) -> list[Load]:
        """Split the load into one part per process."""
        return [replace(self, process=process) for process in range(self.processes)]

    def parameters(self) -> dict[str, object]:
        """Return the parameters for a result.

        It omits the API key, the process number, the texts and all that no option sets.
        """
        hidden = ("api_key", "texts", "process", "request_fields", "find_defects")
        shown: dict[str, object] = {
            name: value for name, value in asdict(self).items() if name not in hidden
        }
        return shown | {"texts": len(self.texts)}

    def dump(self) -> str:
        """Serialise to one line of JSON, including the API key; see `parse`."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, line: str) -> Load:
        """Read the output of `dump`."""
        values = json.loads(line)
        values |= {name: tuple(values[name]) for name in ("texts", "request_fields")}
        return cls(**values)

    def _own(self, numbers: range) -> range:
        return numbers[self.process :: self.processes]

    def _arrivals(self) -> list[float]:
        """Return the arrival times of all processes; they depend only on the parameters."""
        return poisson_arrivals(
            np.random.default_rng(self.seed), self.rate or 0.0, self.duration_s or 0.0
        )
