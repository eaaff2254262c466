"""Audio output: the bytes sent, and the audio that the client has not played yet."""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from app.audio.encoders import Encoder, FormatSpec, make_encoder
from app.audio.fade import FADE_OUT_S
from app.audio.samples import Samples
from app.audio.whole_body import WholeBody
from app.synthesis.audio_output import (
    BACKGROUND_S,
    FIRST_WINDOW_TARGET_S,
    STALLED_S,
    AudioOutput,
    ClientGone,
)
from app.synthesis.request import LoudnessTarget, OutputOptions
from app.synthesis.stats import SynthesisStats
from tests.fakes import Clock
from tests.metric_values import counted

RATE_HZ = 24_000
AS_IT_IS = LoudnessTarget(target_db=None, typical_db=-20, estimation_window_s=0.2)
LEVELLED = LoudnessTarget(target_db=-16, typical_db=-20, estimation_window_s=0.2)


class RecordingSink:
    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.started = self.is_gone = False

    async def write(self, data: bytes) -> None:
        if self.is_gone:
            raise ClientGone
        self.started = True
        self.writes.append(data)

    async def finish(self, spoken: SynthesisStats, body: WholeBody | None) -> None:
        raise AssertionError("the pipeline finishes the sink, not the output")

    async def gone(self) -> None:
        raise AssertionError("the pipeline watches the sink, not the output")

    @property
    def samples(self) -> NDArray[np.int16]:
        return np.frombuffer(b"".join(self.writes), "<i2")


class PausingSink(RecordingSink):
    """Takes the next write only after a while."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock, self.pause_s = clock, 0.0

    async def write(self, data: bytes) -> None:
        await super().write(data)
        self._clock.now_s += self.pause_s
        self.pause_s = 0.0


class LateEncoder(Encoder):
    """Keeps everything back until the end, as a format with long blocks does."""

    def __init__(self) -> None:
        super().__init__(FormatSpec("s16le", "pcm_s16le"), RATE_HZ, whole=False)
        self._kept = b""

    def feed(self, samples: Samples) -> bytes:
        self._kept += super().feed(samples)
        return b""

    def finish(self) -> bytes:
        return self._kept + super().finish()


class DelayingEncoder(Encoder):
    """Reports that it has not sent the latest `delay_s` yet, as an encoder of frames does."""

    delay_s = 0.1

    def __init__(self) -> None:
        super().__init__(FormatSpec("s16le", "pcm_s16le"), RATE_HZ, whole=False)

    @property
    def delay_samples(self) -> int:
        return round(self.delay_s * RATE_HZ)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


def output_to(
    sink: RecordingSink,
    levels: LoudnessTarget = AS_IT_IS,
    *,
    whole: bool = False,
    encoder: Encoder | None = None,
    stats: SynthesisStats | None = None,
    on_audio: Callable[[float], object] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> AudioOutput:
    return AudioOutput(
        encoder or make_encoder("pcm", RATE_HZ),
        sink,
        OutputOptions(RATE_HZ, delivery="whole" if whole else "stream"),
        levels,
        voice_rate_hz=RATE_HZ,
        stats=stats or SynthesisStats(),
        on_audio=on_audio,
        clock=clock,
    )


def tone(seconds: float, peak: float = 0.1) -> Samples:
    at_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (peak * np.sin(2 * np.pi * 300 * at_s)).astype(np.float32)


async def test_without_levelling_the_sound_is_as_it_was_after_the_fade(sink: RecordingSink) -> None:
    output = output_to(sink)
    await output.write(tone(0.3))
    await output.finish()
    expected = np.rint(tone(0.3) * 32767)
    assert np.array_equal(sink.samples[240:-240], expected[240:-240])
    assert np.abs(sink.samples[-24:]).max() < np.abs(expected[-48:]).max() / 10
    assert np.abs(sink.samples[:24]).max() < np.abs(expected[:24]).max() / 10


@pytest.mark.parametrize("levels", [AS_IT_IS, LEVELLED])
@pytest.mark.parametrize("seconds", [[], [0.01], [0.1, 0.1], [0.4, 0.013, 0.4, 1.0, 0.007]])
async def test_every_sample_is_sent_once(
    levels: LoudnessTarget, seconds: list[float], sink: RecordingSink
) -> None:
    before_s = counted("tts_audio_seconds_total")
    stats, total = SynthesisStats(), sum(round(part * RATE_HZ) for part in seconds)
    output = output_to(sink, levels, stats=stats)
    for part in seconds:
        await output.write(tone(part))
    await output.finish()
    assert len(sink.samples) == total
    assert all(sink.writes)  # nothing is written without samples
    assert stats.audio_s == pytest.approx(total / RATE_HZ)
    assert counted("tts_audio_seconds_total") - before_s == pytest.approx(total / RATE_HZ)


@pytest.mark.parametrize("levels", [AS_IT_IS, LEVELLED])
async def test_loud_sound_stays_below_full_scale(
    levels: LoudnessTarget, sink: RecordingSink
) -> None:
    output = output_to(sink, levels)
    await output.write(tone(1, peak=9))
    await output.finish()
    assert 28_000 < np.abs(sink.samples.astype(int)).max() <= 32_767


async def test_levelling_moves_the_sound_towards_the_target(sink: RecordingSink) -> None:
    output = output_to(sink, LEVELLED)
    await output.write(tone(3, peak=0.05))
    await output.finish()
    rms = np.sqrt(np.mean(np.square(sink.samples[RATE_HZ:] / 32767)))
    assert 20 * np.log10(rms) == pytest.approx(-16, abs=0.5)


async def test_what_the_encoder_keeps_back_is_sent_at_the_end(sink: RecordingSink) -> None:
    stats = SynthesisStats()
    output = output_to(sink, encoder=LateEncoder(), stats=stats)
    await output.write(tone(0.5))
    assert sink.writes == []
    assert stats.first_write_s is None
    await output.finish()
    assert len(sink.samples) == RATE_HZ / 2


async def test_the_header_is_sent_once_with_the_first_bytes(sink: RecordingSink) -> None:
    encoder = make_encoder("wav", RATE_HZ)
    header = encoder.header()
    output = output_to(sink, encoder=encoder)
    await output.write(tone(0.2))
    await output.write(tone(0.2))
    await output.finish()
    sent = b"".join(sink.writes)
    assert sink.writes[0].startswith(header)
    assert len(sink.writes[0]) > len(header)
    assert len(sent) == len(header) + 2 * round(0.4 * RATE_HZ)


async def test_a_whole_body_is_not_sent_and_has_its_length_in_its_header(
    sink: RecordingSink,
) -> None:
    output = output_to(sink, whole=True, encoder=make_encoder("wav", RATE_HZ, whole=True))
    await output.write(tone(0.5))
    await output.finish()
    assert sink.writes == []
    assert output.body is not None
    size = output.body.size
    body = b"".join(output.body.blocks())
    assert len(body) == size
    with wave.open(io.BytesIO(body)) as file:
        assert file.getnframes() == RATE_HZ / 2


async def test_the_lead_is_what_was_sent_less_the_time_since_the_first_byte(
    clock: Clock, sink: RecordingSink
) -> None:
    stats = SynthesisStats()
    output = output_to(sink, stats=stats, clock=clock)
    assert output.lead_s == 0
    clock.now_s += 0.3  # nobody hears anything yet
    await output.write(tone(0.5))
    assert stats.first_write_s == 1_000.3
    assert output.lead_s == pytest.approx(0.5 - FADE_OUT_S)
    clock.now_s += 0.2
    assert output.lead_s == pytest.approx(0.3 - FADE_OUT_S)
    await output.write(tone(1))
    assert output.lead_s == pytest.approx(1.3 - FADE_OUT_S)


async def test_what_the_encoder_delays_is_not_in_the_lead(
    clock: Clock, sink: RecordingSink
) -> None:
    encoder = DelayingEncoder()
    output = output_to(sink, encoder=encoder, clock=clock)
    await output.write(tone(0.5))
    assert output.lead_s == pytest.approx(0.5 - FADE_OUT_S - 0.1)
    encoder.delay_s = 0.0
    await output.write(tone(1))
    assert output.lead_s == pytest.approx(1.5 - FADE_OUT_S)


async def test_a_write_that_blocks_for_long_is_a_stalled_client(clock: Clock) -> None:
    reached: list[float] = []
    stalled: list[bool] = []

    class BlockingSink(RecordingSink):
        async def write(self, data: bytes) -> None:
            await super().write(data)
            stalled.append(output.stalled)
            clock.now_s += STALLED_S + 0.1
            stalled.append(output.stalled)

    sink = BlockingSink()
    output = output_to(sink, on_audio=reached.append, clock=clock)
    await output.write(tone(0.5))
    assert (stalled, output.stalled) == ([False, True], False)
    assert reached == [0.5 - FADE_OUT_S]  # told once the audio has been sent


async def test_a_window_is_due_when_the_listener_runs_dry(
    clock: Clock, sink: RecordingSink
) -> None:
    output = output_to(sink, clock=clock)
    clock.now_s += 0.02
    assert output.deadline_s() == pytest.approx(1_000 + FIRST_WINDOW_TARGET_S)
    await output.write(tone(0.5))
    clock.now_s += 0.2
    assert output.deadline_s() == pytest.approx(1_000.02 + 0.5 - FADE_OUT_S)


async def test_a_whole_body_is_due_long_after_any_stream(clock: Clock, sink: RecordingSink) -> None:
    output = output_to(sink, whole=True, clock=clock)
    assert output.deadline_s() == 1_000 + BACKGROUND_S
    await output.write(tone(0.5))
    clock.now_s += 2
    assert output.deadline_s() == 1_002 + BACKGROUND_S


@pytest.mark.parametrize(
    ("whole", "late_s", "underruns"), [(False, 0.1, 1), (False, -0.1, 0), (True, 0.1, 0)]
)
async def test_an_underrun_is_counted_where_somebody_listens(
    whole: bool, late_s: float, underruns: int, clock: Clock, sink: RecordingSink
) -> None:
    before = counted("tts_underruns_total")
    output = output_to(sink, whole=whole, clock=clock)
    clock.now_s += 5
    await output.write(tone(0.5))
    clock.now_s += 0.5 + late_s
    await output.write(tone(0.5))
    assert counted("tts_underruns_total") - before == underruns


async def test_a_gap_is_counted_once(clock: Clock, sink: RecordingSink) -> None:
    before = counted("tts_underruns_total")
    output = output_to(sink, clock=clock)
    await output.write(tone(1.0))
    clock.now_s += 3.0
    for _ in range(20):
        await output.write(tone(0.4))
        clock.now_s += 0.35
    assert counted("tts_underruns_total") - before == 1
    assert output.deadline_s() > clock.now_s


async def test_a_client_that_pauses_has_no_gaps_and_no_claim_to_be_first(clock: Clock) -> None:
    before = counted("tts_underruns_total")
    sink = PausingSink(clock)
    output = output_to(sink, clock=clock)
    await output.write(tone(5.0))
    sink.pause_s = 20.0
    await output.write(tone(1.0))
    assert output.deadline_s() == pytest.approx(clock.now_s + 1.0)
    for _ in range(5):
        clock.now_s += 0.9
        await output.write(tone(1.0))
    assert counted("tts_underruns_total") == before


async def test_a_client_who_is_gone_has_heard_nothing(sink: RecordingSink) -> None:
    stats, sink.is_gone = SynthesisStats(), True
    output = output_to(sink, stats=stats)
    with pytest.raises(ClientGone):
        await output.write(tone(0.5))
    assert stats.first_write_s is None
    assert stats.audio_s == 0


async def test_sound_after_a_rest_is_waited_for_from_its_text_on(
    clock: Clock, sink: RecordingSink
) -> None:
    before, stats = counted("tts_underruns_total"), SynthesisStats()
    output = output_to(sink, stats=stats, clock=clock)
    await output.write(tone(0.5))
    clock.now_s += 9
    output.restart()
    assert output.lead_s == 0
    assert output.deadline_s() == pytest.approx(1_009 + FIRST_WINDOW_TARGET_S)
    clock.now_s += 0.1
    await output.write(tone(0.5))
    assert output.lead_s == pytest.approx(0.5)
    assert stats.audio_s == pytest.approx(1 - FADE_OUT_S)
    assert stats.first_write_s == 1_000
    assert counted("tts_underruns_total") == before
