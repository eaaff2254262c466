"""Compressed formats: readable by a decoder, of the right length and rate, and streamed."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from app.audio.encoders import COMPRESSED, CONTENT_TYPES, carries, make_encoder
from app.audio.ffmpeg import WholeFile
from app.config.types import Format

NAMES: tuple[Format, ...] = ("mp3", "opus", "aac", "flac")
PAIRS = [
    (name, rate_hz)
    for name in NAMES
    for rate_hz in (COMPRESSED[name].rates_hz or (8_000, 24_000, 44_100))
]
PADDING_S = {
    "mp3": 0.17,
    "opus": 0.0,
    "aac": 0.18,
    "flac": 0.0,
}  # a stream cannot say what its ends hold too much


def tone(rate_hz: int, seconds: float = 1.0) -> NDArray[np.float32]:
    time_s = np.arange(round(rate_hz * seconds)) / rate_hz
    return (0.4 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)


def encoded(
    name: Format, samples: NDArray[np.float32], rate_hz: int, *, whole: bool, chunk: int = 997
) -> bytes:
    encoder = make_encoder(name, rate_hz, whole=whole)
    body = (
        b"".join(encoder.feed(samples[at : at + chunk]) for at in range(0, len(samples), chunk))
        + encoder.finish()
    )
    return encoder.header() + body


def decoded(data: bytes) -> tuple[NDArray[np.float64], int]:
    """Samples and their rate, as ffmpeg reads them."""
    with av.open(io.BytesIO(data)) as file:
        frames = list(file.decode(audio=0))
    sound = [frame.to_ndarray() for frame in frames]
    scale = 1 / 32768 if sound[0].dtype == np.int16 else 1.0
    return np.concatenate([part.mean(0) for part in sound]) * scale, frames[0].sample_rate


def pitch_hz(samples: NDArray[np.float64], rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * len(samples)))
    return float(spectrum.argmax()) * rate_hz / (8 * len(samples))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("name", "rate_hz"), PAIRS)
def test_a_decoder_hears_the_tone(name: Format, rate_hz: int, whole: bool) -> None:
    samples, read_hz = decoded(encoded(name, tone(rate_hz), rate_hz, whole=whole))
    assert read_hz == (48_000 if name == "opus" else rate_hz)  # Opus always decodes to 48 kHz
    longest_s = 1.0 + (0.0 if whole and name == "mp3" else PADDING_S[name])
    assert 0.999 <= len(samples) / read_hz <= longest_s + 0.001
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    assert pitch_hz(middle, read_hz) == pytest.approx(440, rel=0.01)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.4 / np.sqrt(2), rel=0.1)


def test_flac_loses_nothing() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 30_000).astype(np.float32)
    read, _ = decoded(encoded("flac", samples, 24_000, whole=False))
    assert np.array_equal(np.rint(read * 32768).astype(int), np.rint(samples * 32767).astype(int))


@pytest.mark.parametrize(
    "name", ["mp3", "aac", "flac"]
)  # an Ogg stream's serial number is drawn anew each time
def test_a_whole_body_is_what_ffmpeg_writes_into_a_file(name: Format) -> None:
    chosen, samples, file = COMPRESSED[name], tone(24_000, 2.5), io.BytesIO()
    with av.open(
        file, "w", format=chosen.container, container_options={"id3v2_version": "0"}
    ) as container:
        stream = container.add_stream(chosen.encoder, rate=24_000, layout="mono")
        stream.bit_rate = chosen.bit_rate(24_000) or 0
        steps = np.rint(samples * np.float32(32767)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(steps[None], format="s16", layout="mono")
        frame.sample_rate = 24_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert encoded(name, samples, 24_000, whole=True) == file.getvalue()


def test_an_outlet_keeps_what_was_written_behind_its_head() -> None:
    outlet = WholeFile()
    outlet.write(b"head")
    outlet.keep_head()
    outlet.write(b"body")
    outlet.seek(2)
    outlet.write(b"AD")
    assert (outlet.head, outlet.take(), outlet.tell()) == (b"heAD", b"body", 4)
    outlet.seek(0, io.SEEK_END)
    outlet.write(b"end")
    assert (outlet.take(), outlet.tell()) == (b"end", 11)
    outlet.seek(3)
    with pytest.raises(OSError, match="between its head and its end"):
        outlet.write(b"xx")


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_body_says_how_long_it_is(name: Format) -> None:
    with av.open(io.BytesIO(encoded(name, tone(24_000, 2.5), 24_000, whole=True))) as file:
        seconds = (file.duration or 0) / 1e6
    assert seconds == pytest.approx(2.5, abs=0.09)


@pytest.mark.parametrize(
    ("name", "rate_hz"), [(name, rate_hz) for name, rate_hz in PAIRS if rate_hz >= 22_050]
)
def test_bytes_leave_while_sound_comes_in(name: Format, rate_hz: int) -> None:
    """No more than 150 ms of sound are held: what has left, cut anywhere, decodes to almost all
    that went in.
    """
    encoder, fed = make_encoder(name, rate_hz), 0
    data, step = encoder.header(), rate_hz // 50
    for at in range(0, rate_hz * 2, step):
        data += encoder.feed(tone(rate_hz, 2.0)[at : at + step])
        fed += step
        if fed % (rate_hz // 2) == 0:
            heard, read_hz = decoded(data)
            assert len(heard) / read_hz >= fed / rate_hz - 0.15


@pytest.mark.parametrize("name", NAMES)
def test_chunks_do_not_change_the_bytes(name: Format) -> None:
    samples = tone(24_000, 0.7)
    one, many = (encoded(name, samples, 24_000, whole=False, chunk=chunk) for chunk in (10**6, 313))
    if name == "opus":  # an Ogg stream's serial number is drawn anew each time
        assert np.array_equal(decoded(one)[0], decoded(many)[0])
    else:
        assert one == many


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("whole", [False, True])
def test_no_sound_at_all_is_no_error(name: Format, whole: bool) -> None:
    encoder = make_encoder(name, 24_000, whole=whole)
    assert encoder.feed(np.zeros(0, np.float32)) == b""
    encoder.finish()


def test_each_format_names_its_type_and_its_rates() -> None:
    assert set(CONTENT_TYPES) == {*NAMES, "wav", "pcm"}
    assert carries("wav", 44_321)
    assert not carries("opus", 44_100)
    assert not carries("mp3", 9_000)
