"""The end of the line: fades, level, tempo, rate, encode, send, and know how much sound the client has in hand."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Protocol

from app import metrics, tracing
from app.engine import FinishReason
from app.errors import AudioTooLong
from app.samples import Samples
from app.speech.encoders import Encoder
from app.speech.fade import Edges
from app.speech.level import Leveller, limit
from app.speech.playhead import Playhead
from app.speech.resample import Resampler
from app.speech.tempo import Tempo

FIRST_WINDOW_TARGET_S = 0.1  # a first window is as urgent as a stream that runs dry this soon
BACKGROUND_S = 5.0  # a whole-body window becomes urgent only when it has waited this long


class ClientGone(Exception):
    """The client has disconnected: nobody to answer."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a request came to."""

    audio_s: float
    codec_tokens: int
    prompt_tokens: int
    first_audio_s: float  # from the call to the first write
    first_window_s: (
        float  # from the codes of the first window, or the engine's end, to the first write
    )
    total_s: float  # from the call to the last
    finish_reason: FinishReason  # length: the caller's own token limit has cut it
    retries: int = 0


class Sink(Protocol):
    """Where the audio goes."""

    @property
    def started(self) -> bool:
        """Whether a byte has left, so that nothing can be taken back any more."""
        ...

    def begin(self, encoder: Encoder) -> None:
        """An attempt begins, whose bytes come from `encoder`: forget what was written by the one before."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes that hold samples; raises ClientGone when the client does not read."""
        ...

    async def finish(self, spoken: Spoken) -> None:
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


@dataclass(frozen=True, slots=True)
class Playback:
    """How the answer is to be played: `speed` times its pace, at a rate, as a stream or in one piece.

    `longest_s` is the most that may be heard, after `speed`.
    """

    rate_hz: int
    speed: float = 1.0
    whole: bool = False
    longest_s: float = math.inf


@dataclass(slots=True)
class Run:
    """Sound that is heard without a break; it breaks only where the text does."""

    asked_s: float  # when somebody began to wait for it
    unsent: int = 0  # samples that the encoder was given and keeps back
    begun: bool = False  # whether a byte of it has left
    playhead: Playhead = field(default_factory=Playhead)


class Listener:
    """Encodes and sends, and knows how much sound the client has in hand."""

    def __init__(
        self, encoder: Encoder, sink: Sink, levels: Levels, voice_rate_hz: int, playback: Playback
    ) -> None:
        self._encoder, self._sink, self._whole = encoder, sink, playback.whole
        self._rate_hz, self.speed, self._longest_s = (
            playback.rate_hz,
            playback.speed,
            playback.longest_s,
        )
        self.begun_s = time.monotonic()
        self._tempo = Tempo(voice_rate_hz, playback.speed)
        self._resampler = Resampler(voice_rate_hz, playback.rate_hz)
        self._edges = Edges(voice_rate_hz)
        self._leveller: Leveller | None = None
        if levels.target_db is not None:
            self._leveller = Leveller(
                voice_rate_hz,
                target_db=levels.target_db,
                typical_db=levels.typical_db,
                horizon_s=levels.horizon_s,
            )
        self._samples = 0
        self.first_write_s: float | None = None
        self._run = Run(self.begun_s)

    @property
    def audio_s(self) -> float:
        """Seconds of sound given to the encoder."""
        return self._samples / self._rate_hz

    @property
    def whole(self) -> bool:
        """Whether the answer leaves in one piece: nobody listens before its end."""
        return self._whole

    @property
    def started(self) -> bool:
        """Whether anything has been sent."""
        return self.first_write_s is not None

    @property
    def lead_s(self) -> float:
        """Sound sent but not heard yet by a listener in real time, in seconds; below zero where it waits for more."""
        return self._run.playhead.lead_s(time.monotonic())

    @property
    def dry(self) -> bool:
        """Whether a listener in real time has nothing left to hear, and waits."""
        return not self._whole and self._run.playhead.dry(time.monotonic())

    def deadline_s(self) -> float:
        """When the next window has to be there, on the clock of time.monotonic()."""
        if self._whole:
            return time.monotonic() + BACKGROUND_S
        if not self._run.begun:
            return self._run.asked_s + FIRST_WINDOW_TARGET_S
        return time.monotonic() + self.lead_s

    def begin_again(self) -> None:
        """All has been heard, and nothing was late: what comes now is waited for from now on."""
        self._run = Run(time.monotonic())

    async def hear(self, samples: Samples) -> None:
        """Fade, level, play at the speed and the rate, encode and send.

        Raises:
            AudioTooLong: the answer would be longer than `longest_s`.
        """
        await self._play(self._edges.feed(samples))

    async def end_part(self) -> None:
        """What comes next was spoken by itself: both ends fade, or the step between them would click."""
        await self._play(self._edges.finish())

    async def finish(self) -> None:
        """Send what every step keeps back."""
        await self.end_part()
        if self._leveller:
            await self._encode(self._resampler.feed(self._tempo.feed(self._leveller.finish())))
        await self._encode(self._resampler.feed(self._tempo.finish()))
        await self._encode(self._resampler.finish())
        await self._write(self._encoder.finish())

    async def _play(self, samples: Samples) -> None:
        levelled = self._leveller.feed(samples) if self._leveller else limit(samples)
        await self._encode(self._resampler.feed(self._tempo.feed(levelled)))

    async def _encode(self, samples: Samples) -> None:
        if not len(samples):
            return
        if self._samples + len(samples) > self._longest_s * self._rate_hz:
            raise AudioTooLong(f"the answer is longer than {self._longest_s:g} s of audio")
        if self.dry:
            metrics.UNDERRUNS.inc()
        begun_s = time.monotonic()
        await self._write(self._encoder.feed(samples))
        self._samples += len(samples)
        self._run.unsent += len(samples)
        metrics.AUDIO.inc(len(samples) / self._rate_hz)
        self._count_sent(begun_s)

    async def _write(self, data: bytes) -> None:
        if not data:
            return
        await self._sink.write(data)
        self._run.begun = True
        if self.first_write_s is None:
            self.first_write_s = time.monotonic()
            tracing.event("first_byte")

    def _count_sent(self, begun_s: float) -> None:
        """Tell the playhead what the client has got since `begun_s`."""
        sent = self._run.unsent - self._encoder.delay_samples
        if self._run.begun and sent > 0:
            self._run.unsent -= sent
            self._run.playhead.feed(begun_s, time.monotonic(), sent / self._rate_hz)
