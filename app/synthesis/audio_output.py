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
from app.errors import AudioTooLong
from app.synthesis.request import LoudnessTarget, OutputOptions
from app.synthesis.stats import SynthesisStats

FIRST_WINDOW_TARGET_S = 0.1  # deadline of a run's first window, in seconds from its request
BACKGROUND_S = 5.0  # deadline of a window of a whole response, in seconds from now
STALLED_S = 0.5  # seconds of a blocked write after which the client counts as not reading


class ClientGone(Exception):
    """The client has disconnected or stopped reading."""


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


@dataclass(slots=True)
class PlaybackRun:
    """Audio that plays without a gap; a new run starts after a wait for late text."""

    waiting_since_s: float  # start of the client's wait, on the clock of time.monotonic()
    unsent: int = 0  # samples passed to the encoder and not yet in the bytes sent
    started: bool = False  # True if a byte of it has been sent
    playback: PlaybackClock = field(default_factory=PlaybackClock)


class AudioOutput:
    """Process, encode and send audio; track how much of it the client has not played yet."""

    def __init__(
        self,
        encoder: Encoder,
        sink: Sink,
        options: OutputOptions,
        loudness: LoudnessTarget,
        *,
        voice_rate_hz: int,
        stats: SynthesisStats,
        on_audio: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_audio` is called with the seconds of audio so far, whenever some has been sent."""
        self._clock = clock
        self._encoder = encoder
        self._sink = sink
        self._stats = stats
        self._on_audio = on_audio
        self.whole = options.whole
        self.body = WholeBody() if options.whole else None  # the bytes of a whole response
        self._rate_hz = options.rate_hz
        self.speed = options.speed
        self._max_audio_s = options.max_audio_s
        self._tempo = TimeStretcher(voice_rate_hz, options.speed)
        self._resampler = Resampler(voice_rate_hz, options.rate_hz)
        self._fades = SegmentFades(voice_rate_hz)
        self._normaliser: LoudnessNormaliser | None = None
        if loudness.target_db is not None:
            self._normaliser = LoudnessNormaliser(
                voice_rate_hz,
                target_db=loudness.target_db,
                typical_db=loudness.typical_db,
                estimation_window_s=loudness.estimation_window_s,
            )
        self._samples = 0  # passed to the encoder
        self._run = PlaybackRun(self._clock())
        self._sending_s = math.inf  # start of the running write; infinite while none runs

    @property
    def started(self) -> bool:
        """True if a byte has been sent, or stored for a response that is sent whole."""
        return self._stats.first_write_s is not None

    @property
    def stalled(self) -> bool:
        """True if a write has been blocked for STALLED_S, because the client does not read."""
        return self._clock() > self._sending_s + STALLED_S

    @property
    def lead_s(self) -> float:
        """Seconds of audio that a real-time player still has to play; negative while it waits."""
        return self._run.playback.lead_s(self._clock())

    @property
    def underrunning(self) -> bool:
        """True if a real-time player has played everything and waits; an underrun."""
        return not self.whole and self._run.playback.underrunning(self._clock())

    def deadline_s(self) -> float:
        """Return when the next window must be decoded, on the clock of time.monotonic()."""
        if self.whole:
            return self._clock() + BACKGROUND_S
        if not self._run.started:
            return self._run.waiting_since_s + FIRST_WINDOW_TARGET_S
        return self._clock() + self.lead_s

    def restart(self) -> None:
        """Reset the playback clock after an idle gap, which is not an underrun."""
        self._run = PlaybackRun(self._clock())

    async def write(self, samples: Samples) -> None:
        """Fade, level, change tempo and sample rate, encode and send.

        Raises:
            AudioTooLong: the response would be longer than `max_audio_s`.
        """
        await self._send(self._process(self._fades.feed(samples)))

    async def end_segment(self) -> None:
        """Fade out here and in at the next segment, because a step at the join would click."""
        await self._send(self._process(self._fades.finish()))

    async def finish(self) -> None:
        """Flush every processing step and the encoder."""
        await self.end_segment()
        if self._normaliser:
            await self._send(self._resampler.feed(self._tempo.feed(self._normaliser.finish())))
        await self._send(self._resampler.feed(self._tempo.finish()))
        await self._send(self._resampler.finish(), last=True)
        if self.body is not None:  # its header is final after the end of the encoder
            self.body.prepend(self._encoder.header())

    def _process(self, samples: Samples) -> Samples:
        levelled = self._normaliser.feed(samples) if self._normaliser else soft_limit(samples)
        return self._resampler.feed(self._tempo.feed(levelled))

    async def _send(self, samples: Samples, *, last: bool = False) -> None:
        """Encode samples and send or store the bytes; with `last`, end the encoder."""
        if not len(samples) and not last:
            return
        if self._samples + len(samples) > self._max_audio_s * self._rate_hz:
            raise AudioTooLong(f"the response is longer than {self._max_audio_s:g} s of audio")
        if self.underrunning and len(samples):
            metrics.UNDERRUNS.inc()
        begun_s = self._clock()
        data = self._encoder.feed(samples)
        if last:
            data += self._encoder.finish()
        if data:
            if self.body is not None:
                self.body.append(data)
            else:
                self._sending_s = begun_s
                await self._sink.write(data if self.started else self._encoder.header() + data)
                self._sending_s = math.inf
            self._run.started = True
            if not self.started:
                self._stats.first_write_s = self._clock()
                tracing.event("first_byte")
        self._samples += len(samples)
        self._stats.audio_s = self._samples / self._rate_hz
        self._run.unsent += len(samples)
        metrics.AUDIO.inc(len(samples) / self._rate_hz)
        self._count_sent(begun_s)
        self._on_audio(self._stats.audio_s)

    def _count_sent(self, begun_s: float) -> None:
        """Report to the playback clock the samples sent since `begun_s`."""
        sent = self._run.unsent - self._encoder.delay_samples
        if self._run.started and sent > 0:
            self._run.unsent -= sent
            self._run.playback.feed(begun_s, self._clock(), sent / self._rate_hz)
