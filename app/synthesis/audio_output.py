"""Audio processing after decoding (fades, level, tempo, sample rate), encoding and sending."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from app import metrics, tracing
from app.audio.encoders import Encoder
from app.audio.fade import SegmentFades
from app.audio.loudness import LoudnessNormaliser, soft_limit
from app.audio.playback_clock import PlaybackClock
from app.audio.resample import Resampler
from app.audio.samples import Samples
from app.audio.tempo import TimeStretcher
from app.audio.whole_body import WholeBody
from app.engine import FinishReason
from app.errors import AudioTooLong

FIRST_WINDOW_TARGET_S = 0.1  # deadline of a run's first window, in seconds from its request
BACKGROUND_S = 5.0  # deadline of a window of a whole response, in seconds from now


class ClientGone(Exception):
    """The client has disconnected or stopped reading."""


@dataclass(frozen=True, slots=True)
class SynthesisStats:
    """The statistics of a request, as of now or at its end."""

    audio_s: float
    codec_tokens: int
    prompt_tokens: int
    first_audio_s: float  # from the request to the first write
    # From the arrival of the first window's codes, or the engine's end, to the first write.
    first_window_s: float
    total_s: float  # from the request to now
    finish_reason: FinishReason  # "length" if the caller's token limit ended the response
    retries: int = 0


class Sink(Protocol):
    """The receiver of the encoded audio."""

    @property
    def started(self) -> bool:
        """True if a byte has been sent, so that the response cannot start again."""
        ...

    async def write(self, data: bytes) -> None:
        """Send encoded audio; raises ClientGone if the client does not read it."""
        ...

    async def finish(self, stats: SynthesisStats, body: WholeBody | None) -> None:
        """Complete the response; `body` holds its bytes if it is sent whole."""
        ...

    async def gone(self) -> None:
        """Return when the client has disconnected."""
        ...


@dataclass(frozen=True, slots=True)
class LoudnessTarget:
    """Target level (None: unchanged) and typical input level, in dBFS RMS of voiced speech."""

    target_db: float | None
    typical_db: float
    estimation_window_s: float  # seconds of audio from which the first gain is estimated


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The sample rate, tempo, delivery and maximum duration of a response."""

    rate_hz: int
    speed: float = 1.0  # factor on the tempo
    whole: bool = False  # True: sent as one body; False: streamed
    max_audio_s: float = math.inf  # maximum duration, measured after `speed` is applied


@dataclass(slots=True)
class PlaybackRun:
    """Audio that plays without a gap; a new run starts after a wait for late text."""

    asked_s: float  # start of the client's wait, on the clock of time.monotonic()
    unsent: int = 0  # samples passed to the encoder and not yet in the bytes sent
    begun: bool = False  # True if a byte of it has been sent
    playhead: PlaybackClock = field(default_factory=PlaybackClock)


class AudioOutput:
    """Process, encode and send audio; track how much of it the client has not played yet."""

    def __init__(
        self,
        encoder: Encoder,
        sink: Sink,
        levels: LoudnessTarget,
        voice_rate_hz: int,
        playback: OutputOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._encoder, self._sink = encoder, sink
        self._whole = playback.whole
        self.body = WholeBody() if playback.whole else None  # the bytes of a response sent whole
        self._rate_hz = playback.rate_hz
        self.speed = playback.speed
        self._longest_s = playback.max_audio_s
        self.begun_s = self._clock()
        self._tempo = TimeStretcher(voice_rate_hz, playback.speed)
        self._resampler = Resampler(voice_rate_hz, playback.rate_hz)
        self._edges = SegmentFades(voice_rate_hz)
        self._normaliser: LoudnessNormaliser | None = None
        if levels.target_db is not None:
            self._normaliser = LoudnessNormaliser(
                voice_rate_hz,
                target_db=levels.target_db,
                typical_db=levels.typical_db,
                estimation_window_s=levels.estimation_window_s,
            )
        self._samples = 0
        self.first_write_s: float | None = None
        self._run = PlaybackRun(self.begun_s)

    @property
    def audio_s(self) -> float:
        """Seconds of audio passed to the encoder."""
        return self._samples / self._rate_hz

    @property
    def unstreamed(self) -> bool:
        """True if the response is sent as one body, so that no client plays it before its end."""
        return self._whole

    @property
    def started(self) -> bool:
        """True if a byte has been sent, or stored for a response that is sent whole."""
        return self.first_write_s is not None

    @property
    def lead_s(self) -> float:
        """Seconds of audio that a real-time player still has to play; negative while it waits."""
        return self._run.playhead.lead_s(self._clock())

    @property
    def underrunning(self) -> bool:
        """True if a real-time player has played everything and waits; an underrun."""
        return not self._whole and self._run.playhead.underrunning(self._clock())

    def deadline_s(self) -> float:
        """Return when the next window must be decoded, on the clock of time.monotonic()."""
        if self._whole:
            return self._clock() + BACKGROUND_S
        if not self._run.begun:
            return self._run.asked_s + FIRST_WINDOW_TARGET_S
        return self._clock() + self.lead_s

    def restart(self) -> None:
        """Reset the playback clock after an idle gap, which is not an underrun."""
        self._run = PlaybackRun(self._clock())

    async def write(self, samples: Samples) -> None:
        """Fade, level, change tempo and sample rate, encode and send.

        Raises:
            AudioTooLong: the response would be longer than `longest_s`.
        """
        await self._process(self._edges.feed(samples))

    async def end_segment(self) -> None:
        """End a part: fade out here and in at the next, because a step at the join would click."""
        await self._process(self._edges.finish())

    async def finish(self) -> None:
        """Flush every processing step and the encoder."""
        await self.end_segment()
        if self._normaliser:
            await self._encode(self._resampler.feed(self._tempo.feed(self._normaliser.finish())))
        await self._encode(self._resampler.feed(self._tempo.finish()))
        await self._encode(self._resampler.finish())
        await self._write(self._encoder.finish())
        if self.body is not None:  # its header is final after the end of the encoder
            self.body.prepend(self._encoder.header())

    async def _process(self, samples: Samples) -> None:
        levelled = self._normaliser.feed(samples) if self._normaliser else soft_limit(samples)
        await self._encode(self._resampler.feed(self._tempo.feed(levelled)))

    async def _encode(self, samples: Samples) -> None:
        if not len(samples):
            return
        if self._samples + len(samples) > self._longest_s * self._rate_hz:
            raise AudioTooLong(f"the response is longer than {self._longest_s:g} s of audio")
        if self.underrunning:
            metrics.UNDERRUNS.inc()
        begun_s = self._clock()
        await self._write(self._encoder.feed(samples))
        self._samples += len(samples)
        self._run.unsent += len(samples)
        metrics.AUDIO.inc(len(samples) / self._rate_hz)
        self._count_sent(begun_s)

    async def _write(self, data: bytes) -> None:
        if not data:
            return
        if self.body is not None:
            self.body.append(data)
        else:
            await self._sink.write(data if self.started else self._encoder.header() + data)
        self._run.begun = True
        if self.first_write_s is None:
            self.first_write_s = self._clock()
            tracing.event("first_byte")

    def _count_sent(self, begun_s: float) -> None:
        """Report to the playhead the samples sent since `begun_s`."""
        sent = self._run.unsent - self._encoder.delay_samples
        if self._run.begun and sent > 0:
            self._run.unsent -= sent
            self._run.playhead.feed(begun_s, self._clock(), sent / self._rate_hz)
