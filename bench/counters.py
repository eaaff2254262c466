"""Counters of the service's process between two times: CPU, decode calls, machine load."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import REGISTRY

from app import metrics
from stress_test.percentile import percentile


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts since the start of the process, or between two times."""

    clock_s: float
    cpu_s: float
    calls: float
    windows: float
    call_s: float  # total duration of the calls
    underruns: float
    tokens: float
    busy_ticks: float  # of all cores of the machine, in clock ticks
    idle_ticks: float

    @classmethod
    def now(cls) -> Counters:
        """Read the counters of this process."""
        busy, idle = _machine_ticks()
        return cls(
            clock_s=time.monotonic(),
            cpu_s=time.process_time(),
            calls=_sample("tts_decode_batch_size_count"),
            windows=_sample("tts_decode_batch_size_sum"),
            call_s=_sample("tts_decode_seconds_sum"),
            underruns=_sample("tts_underruns_total"),
            tokens=_sample("tts_engine_tokens_total"),
            busy_ticks=busy,
            idle_ticks=idle,
        )

    def since(self, before: Counters) -> Counters:
        """Return the difference from `before`."""
        return Counters(
            *(getattr(self, name) - getattr(before, name) for name in self.__dataclass_fields__)
        )

    def row(self) -> dict[str, float]:
        """Return the fields of a result."""
        return {
            "calls_per_s": round(self.calls / self.clock_s, 1),
            "mean_batch": round(self.windows / max(self.calls, 1), 2),
            "mean_call_ms": round(self.call_s / max(self.calls, 1) * 1000, 2),
            "service_cpu_share": round(self.cpu_s / self.clock_s, 3),
            "service_underruns": self.underruns,
            "machine_busy_share": round(
                self.busy_ticks / max(self.busy_ticks + self.idle_ticks, 1), 3
            ),
        }


class FirstWindows:
    """Records each observation of tts_first_window_seconds; the histogram keeps only buckets."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the observations during the block."""
        observe = metrics.FIRST_WINDOW.observe

        def record(amount: float) -> None:
            self._seen.append((time.monotonic(), amount))
            observe(amount)

        metrics.FIRST_WINDOW.observe = record
        try:
            yield
        finally:
            metrics.FIRST_WINDOW.observe = observe

    def row(self, begin_s: float, end_s: float) -> dict[str, float]:
        """Return percentiles of the observations within [begin, end)."""
        seen_ms = [amount * 1000 for at_s, amount in self._seen if begin_s <= at_s < end_s]
        return {
            f"first_window_ms_p{percent}": round(percentile(seen_ms, percent), 1)
            for percent in (50, 99)
        }


def _sample(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def _machine_ticks() -> tuple[float, float]:
    """Return busy and idle ticks from the first line of /proc/stat."""
    first_line = Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system, idle, iowait, *others = map(int, first_line.split()[1:9])
    return user + nice + system + sum(others), idle + iowait
