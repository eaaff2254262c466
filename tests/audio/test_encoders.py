"""The bytes of each format, as other software reads them."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.audio.encoders import Encoder, make_encoder
from app.config.types import Format

FORMATS: tuple[Format, ...] = ("wav", "pcm")


def noise(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).uniform(-1, 1, count).astype(np.float32)


def body(encoder: Encoder, *chunks: NDArray[np.float32]) -> bytes:
    return b"".join(map(encoder.feed, chunks)) + encoder.finish()


def wav(samples: NDArray[np.float32], rate_hz: int, *, streamed: bool) -> bytes:
    encoder = make_encoder("wav", rate_hz, whole=not streamed)
    data = body(encoder, samples)
    return encoder.header() + data


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
def test_wave_reads_the_file(rate_hz: int, streamed: bool) -> None:
    samples = noise(1_001)
    with wave.open(io.BytesIO(wav(samples, rate_hz, streamed=streamed))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate_hz)
        read = np.frombuffer(file.readframes(10**9), "<i2")
        assert streamed or file.getnframes() == 1_001
    assert np.abs(read / 32767 - samples).max() <= 0.51 / 32767


@pytest.mark.parametrize("streamed", [True, False])
def test_soundfile_reads_the_file(streamed: bool) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples = noise(1_001)
    read, rate_hz = soundfile.read(
        io.BytesIO(wav(samples, 24_000, streamed=streamed)), dtype="int16"
    )
    assert rate_hz == 24_000
    assert np.array_equal(read, np.rint(samples * 32767).astype(np.int16))


@given(rate_hz=st.integers(8_000, 48_000), count=st.one_of(st.none(), st.integers(0, 3_000)))
def test_every_header_holds_the_rate_and_the_sizes(rate_hz: int, count: int | None) -> None:
    encoder = make_encoder("wav", rate_hz, whole=count is not None)
    body(encoder, noise(count or 0))
    header = encoder.header()
    (
        riff,
        riff_bytes,
        form,
        fmt,
        fmt_bytes,
        tag,
        channels,
        rate,
        rate_bytes,
        align,
        bits,
        data,
        data_bytes,
    ) = struct.unpack("<4sI4s4sIHHIIHH4sI", header)
    assert len(header) == 44
    assert (riff, form, fmt, data) == (b"RIFF", b"WAVE", b"fmt ", b"data")
    assert (fmt_bytes, tag, channels, rate, rate_bytes, align, bits) == (
        16,
        1,
        1,
        rate_hz,
        rate_hz * 2,
        2,
        16,
    )
    unknown = count is None
    assert data_bytes == (0xFFFFFFFF if unknown else count * 2)
    assert riff_bytes == (0xFFFFFFFF if unknown else count * 2 + 36)


@given(rate_hz=st.integers(8_000, 48_000), count=st.integers(0, 3_000), streamed=st.booleans())
def test_every_wav_is_read_whatever_its_rate_and_length(
    rate_hz: int, count: int, streamed: bool
) -> None:
    with wave.open(io.BytesIO(wav(noise(count), rate_hz, streamed=streamed))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate_hz)
        assert len(file.readframes(10**9)) == 2 * count
        assert streamed or file.getnframes() == count


@pytest.mark.parametrize("whole", [False, True])
def test_pcm_has_no_header(whole: bool) -> None:
    encoder = make_encoder("pcm", 24_000, whole=whole)
    assert encoder.header() == b""
    assert len(body(encoder, noise(11))) == 22
    assert encoder.header() == b""


@pytest.mark.parametrize("name", FORMATS)
def test_samples_are_rounded_to_the_nearest_step_and_clipped(name: Format) -> None:
    steps = [0, 0.4, 0.6, -0.4, -0.6, 1.4, 100.6, 32767, -32767, 40_000, -40_000, 1e9]
    data = body(make_encoder(name, 24_000), (np.array(steps) / 32767).astype(np.float32))
    expected = [0, 0, 1, 0, -1, 1, 101, 32767, -32767, 32767, -32768, 32767]
    assert np.frombuffer(data, "<i2").tolist() == expected


@given(name=st.sampled_from(FORMATS), sizes=st.lists(st.integers(0, 200), max_size=10))
def test_chunks_do_not_change_the_bytes(name: Format, sizes: list[int]) -> None:
    samples = noise(sum(sizes))
    chunks = np.split(samples, np.cumsum(sizes))
    assert body(make_encoder(name, 24_000), *chunks) == body(make_encoder(name, 24_000), samples)
