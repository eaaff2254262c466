"""A run as JSON: machine, parameters, figures and every request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from stress_test.figures import Figures
from stress_test.generator import Timing
from stress_test.load import Load
from stress_test.machine import describe
from stress_test.outcome import from_json, to_json
from stress_test.processes import Run

TOOL = "speech-server stress_test"
FORMAT = 1
PACKAGES = ("speech-server", "aiohttp", "numpy", "av")


class NotAResult(ValueError):
    """A file is not a result of the stress test; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class Result:
    """Content of a result file; `machine` is that of the load generator, not of the server."""

    machine: Mapping[str, object]
    parameters: Mapping[str, object]
    run: Run

    @classmethod
    def of(cls, load: Load, run: Run) -> Self:
        """Build the result of a run that has just ended on this machine."""
        return cls(describe(PACKAGES), load.parameters(), run)

    def dump(self) -> str:
        """Serialise to JSON with one line per request.

        `figures` is for readers; it can be computed again from `requests` and `processes`.
        """
        values: dict[str, object] = {
            "tool": TOOL,
            "format": FORMAT,
            "machine": self.machine,
            "parameters": self.parameters,
            "percentiles": "linear interpolation between the two nearest values",
            "figures": asdict(Figures.of(self.run)),
            "interrupted": self.run.interrupted,
            "processes": [asdict(timing) for timing in self.run.timings],
        }
        head = json.dumps(values, indent=2, ensure_ascii=False).removesuffix("\n}")
        requests = ",\n    ".join(json.dumps(to_json(outcome)) for outcome in self.run.outcomes)
        return f'{head},\n  "requests": [\n    {requests}\n  ]\n}}\n'

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the output of `dump`; raises NotAResult."""
        try:
            values = json.loads(text)
            if (values["tool"], values["format"]) != (TOOL, FORMAT):
                raise NotAResult("not a result of this stress test, or one of another version")
            outcomes = tuple(from_json(outcome) for outcome in values["requests"])
            timings = tuple(Timing(**timing) for timing in values["processes"])
            run = Run(outcomes, timings, values["figures"]["took_s"], values["interrupted"])
            return cls(values["machine"], values["parameters"], run)
        except (json.JSONDecodeError, KeyError, TypeError) as exc:
            raise NotAResult("not a result of this stress test") from exc


def read(path: Path) -> Result:
    """Read a result file; raises NotAResult, whose message names the file."""
    try:
        return Result.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise NotAResult(f"{path}: {getattr(exc, 'strerror', None) or 'not text'}") from exc
    except NotAResult as exc:
        raise NotAResult(f"{path}: {exc}") from exc
