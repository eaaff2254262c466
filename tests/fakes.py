"""Fakes at the seams: an engine, a codec whose audio tells the codes, a window, a clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.codec.spec import CodecSpec
from app.engine import FinishReason, Generation, OnTokens, Sampling

UNREACHABLE = "http://127.0.0.1:9"  # every connection is refused: no server uses port 9

SPEC = CodecSpec(
    name="tone",
    sample_rate_hz=24_000,
    samples_per_frame=480,
    codes_per_frame=1,
    vocabulary=65_536,
    left_context_frames=2,
    right_context_frames=1,
    seamless=True,
    max_window_frames=128,
)


def tone_codes(count: int) -> list[int]:
    """Return codes for the tone codec; the loudness changes at every frame.

    All are below 900, so that tests can mark frames with the codes from 900 on.
    """
    return [(index * 37) % 900 for index in range(count)]


class ToneCodec:
    """Each code is 20 ms of a tone of its own loudness; stateless, so windows agree exactly.

    A batch with the code `culprit` fails, `noise` decodes to NaN, `mute` to silence. `free` blocks
    the device.
    """

    def __init__(
        self, spec: CodecSpec = SPEC, *, culprit: int = -1, noise: int = -1, mute: int = -1
    ) -> None:
        self.spec = spec
        self.culprit, self.noise, self.mutes = culprit, noise, frozenset({mute})
        self.batches: list[
            list[tuple[int, int]]
        ] = []  # (first frame, frames) of each window of each call
        self.free = threading.Event()
        self.free.set()
        self.busy = threading.Event()

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode; raises ValueError for a batch that holds the culprit."""
        self.busy.set()
        assert self.free.wait(30)
        self.busy.clear()
        if any((window.codes == self.culprit).any() for window in windows):
            raise ValueError("culprit")
        self.batches.append([(window.first_frame, len(window.codes)) for window in windows])
        return [self._tone(window) for window in windows]

    def _tone(self, window: CodeWindow) -> Samples:
        time_s = np.arange(self.spec.samples_per_frame) / self.spec.sample_rate_hz
        wave = np.sin(2 * np.pi * 200 * time_s)
        loudness = 0.05 + 0.2 * (window.codes[:, :1] % 997) / 997
        loudness[np.isin(window.codes[:, :1], list(self.mutes))] = 0
        samples = (loudness * wave).astype(np.float32)
        samples[window.codes[:, 0] == self.noise] = np.nan
        return samples[window.context_frames :].reshape(-1)


@dataclass(eq=False)
class Asked:
    """A window that waits in a queue; `opened` once its length was read, and so may not change."""

    frames: int
    deadline_s: float = 0.0
    cancelled: bool = False
    opened: bool = False

    def measure_frames(self) -> int:
        """Its frames."""
        self.opened = True
        return self.frames


@dataclass
class FixedEngine:
    """Answers every prompt with the same numbers, `burst` at a time, `gap_s` apart.

    After `stall_after` bursts it waits for `go_on`.
    """

    numbers: Sequence[int]
    burst: int = 10
    gap_s: float = 0.0
    finish_reason: FinishReason = "stop"
    stall_after: int | None = None
    error: Exception | None = None
    prompts: list[str] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)
    active: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def check(self) -> None:
        """Always ready."""

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Send the numbers; raises `error`, if given, at the end."""
        self.prompts.append(prompt)
        self.samplings.append(sampling)
        self.active += 1
        numbers = self.numbers
        try:
            for index, start in enumerate(range(0, len(numbers), self.burst)):
                if index == self.stall_after:
                    self.stalled.set()
                    await self.go_on.wait()
                on_tokens(numbers[start : start + self.burst])
                await asyncio.sleep(self.gap_s)
            if self.error is not None:
                raise self.error
            return Generation(
                self.finish_reason, prompt_tokens=len(prompt), completion_tokens=len(numbers)
            )
        finally:
            self.active -= 1


def tone_spec(**changes: int | bool | str) -> CodecSpec:
    """The tone codec's spec with some fields changed."""
    return replace(SPEC, **changes)  # type: ignore[arg-type]


def window_spec(
    frames_per_s: float, left: int, right: int, max_window: int, *, exact: bool
) -> CodecSpec:
    """Return the tone codec's spec with windows of other lengths and contexts, in frames."""
    return tone_spec(
        samples_per_frame=round(SPEC.sample_rate_hz / frames_per_s),
        left_context_frames=left,
        right_context_frames=right,
        max_window_frames=max_window,
        seamless=exact,
    )


@dataclass
class Clock:
    """A clock that moves only when a test moves it."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now_s
