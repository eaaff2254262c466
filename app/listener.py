"""The end of the line: level, fade, encode, send, and know how much sound the client has in hand."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from app import metrics
from app.codec import Samples
from app.speech.encoders import Encoder
from app.speech.fade import FadeIn, FadeOut
from app.speech.level import Leveller, limit

FIRST_WINDOW_TARGET_S = 0.1  # a first window is as urgent as a stream that runs dry this soon
BACKGROUND_S = 5.0  # a whole-body window becomes urgent only when it has waited this long


class ClientGone(Exception):
    """The client has disconnected: nobody to answer."""


class Sink(Protocol):
    """Where the audio goes."""

    async def write(self, data: bytes) -> None:
        """Send bytes that hold samples; raises ClientGone when the client does not read."""
        ...

    async def finish(self) -> None:
        """The answer is complete."""
        ...

    async def gone(self) -> None:
        """Return when the client has disconnected."""
        ...


@dataclass(frozen=True, slots=True)
class Levels:
    """Towards which level (None: as it is), from which, in dBFS of the voiced parts."""

    target_db: float | None
    typical_db: float
    horizon_s: float


class Listener:
    """Encodes and sends, and knows how much sound the client has in hand."""

    def __init__(self, encoder: Encoder, sink: Sink, levels: Levels, rate_hz: int, *, whole: bool) -> None:
        self._encoder, self._sink, self._rate_hz, self._whole = encoder, sink, rate_hz, whole
        self.begun_s = time.monotonic()
        self._fade_in, self._fade_out = FadeIn(rate_hz), FadeOut(rate_hz)
        self._leveller: Leveller | None = None
        if levels.target_db is not None:
            self._leveller = Leveller(
                rate_hz, target_db=levels.target_db, typical_db=levels.typical_db, horizon_s=levels.horizon_s
            )
        self._samples = 0
        self.first_write_s: float | None = None

    @property
    def audio_s(self) -> float:
        """Seconds of sound sent."""
        return self._samples / self._rate_hz

    @property
    def lead_s(self) -> float:
        """Sound sent but not heard yet by a listener that began at the first byte."""
        return 0.0 if self.first_write_s is None else self.audio_s - (time.monotonic() - self.first_write_s)

    def deadline_s(self) -> float:
        """When the next window has to be there, on the clock of time.monotonic()."""
        if self._whole:
            return time.monotonic() + BACKGROUND_S
        if self.first_write_s is None:
            return self.begun_s + FIRST_WINDOW_TARGET_S
        return time.monotonic() + self.lead_s

    async def hear(self, samples: Samples) -> None:
        """Level, fade, encode and send."""
        levelled = self._leveller.feed(samples) if self._leveller else limit(samples)
        await self._send(self._fade_out.feed(levelled))

    async def finish(self) -> None:
        """Send what the level, the fade-out and the encoder keep back."""
        if self._leveller:
            await self._send(self._fade_out.feed(self._leveller.finish()))
        await self._send(self._fade_out.finish())
        if rest := self._encoder.finish():
            await self._sink.write(rest)

    async def _send(self, samples: Samples) -> None:
        data = self._encoder.feed(self._fade_in.feed(samples))
        if not data:
            return
        if self.first_write_s is not None and not self._whole and self.lead_s < 0:
            metrics.UNDERRUNS.inc()
        await self._sink.write(data)
        self.first_write_s = self.first_write_s or time.monotonic()
        self._samples += len(samples)
        metrics.AUDIO.inc(len(samples) / self._rate_hz)
