"""mu-law and A-law: other software decodes the 16-bit audio within the loss of G.711."""

from __future__ import annotations

import io
import struct

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from app.audio.encoders import Encoder, content_type, make_encoder
from app.config.types import Encoding
from tests.audio_checks import snr_db

LAWS: tuple[Encoding, ...] = ("pcm_mulaw", "pcm_alaw")
TAGS = {"pcm_mulaw": 7, "pcm_alaw": 6}  # WAVE_FORMAT_MULAW and _ALAW
SILENCE = {"pcm_mulaw": 0xFF, "pcm_alaw": 0xD5}
LEAST_DB = 36


def speechlike(count: int) -> NDArray[np.float32]:
    """A tone that swells and fades, so that steps of every size are used."""
    time_s = np.arange(count) / 8_000
    return (0.7 * np.sin(2 * np.pi * 440 * time_s) * np.sin(2 * np.pi * 1.5 * time_s)).astype(
        np.float32
    )


def body(encoder: Encoder, samples: NDArray[np.float32], chunk: int = 10**6) -> bytes:
    return (
        b"".join(encoder.feed(samples[at : at + chunk]) for at in range(0, len(samples), chunk))
        + encoder.finish()
    )


def wav(law: Encoding, samples: NDArray[np.float32], *, whole: bool, rate_hz: int = 8_000) -> bytes:
    encoder = make_encoder("wav", rate_hz, encoding=law, whole=whole)
    data = body(encoder, samples)
    return encoder.header() + data


@pytest.mark.parametrize("law", LAWS)
def test_every_step_is_encoded_as_g711_says(law: Encoding) -> None:
    """One byte a sample, none held back; each of the 65,536 steps comes back as the nearest, or
    next to it.
    """
    steps = np.arange(-32767, 32768)
    encoder = make_encoder("pcm", 8_000, encoding=law)
    data = encoder.feed((steps / 32767).astype(np.float32))
    assert (len(data), encoder.finish(), encoder.delay_samples, encoder.header()) == (
        len(steps),
        b"",
        0,
        b"",
    )
    with av.open(io.BytesIO(data), format=law.removeprefix("pcm_")) as file:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)]).astype(
            int
        )
    levels = np.unique(heard)
    assert len(levels) == {"pcm_mulaw": 255, "pcm_alaw": 256}[law]
    nearest = np.abs(levels[None, :] - steps[::7, None]).min(1)
    assert (
        np.abs(heard[::7] - steps[::7]) - nearest
    ).max() <= 8  # at the thresholds between two levels


@pytest.mark.parametrize("law", LAWS)
def test_silence_is_the_laws_own(law: Encoding) -> None:
    assert set(make_encoder("pcm", 8_000, encoding=law).feed(np.zeros(160, np.float32))) == {
        SILENCE[law]
    }


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("count", [8_000, 8_001])
@pytest.mark.parametrize("law", LAWS)
def test_soundfile_and_ffmpeg_read_the_wav(law: Encoding, count: int, whole: bool) -> None:
    samples = speechlike(count)
    file = wav(law, samples, whole=whole)
    with av.open(io.BytesIO(file)) as opened:
        assert (opened.streams.audio[0].codec_context.name, opened.streams.audio[0].rate) == (
            law,
            8_000,
        )
        heard = np.concatenate([frame.to_ndarray()[0] for frame in opened.decode(audio=0)])
    assert len(heard) == count
    assert snr_db(samples, heard / 32767) >= LEAST_DB
    soundfile = pytest.importorskip("soundfile")
    with soundfile.SoundFile(io.BytesIO(file)) as opened:
        assert opened.subtype == {"pcm_mulaw": "ULAW", "pcm_alaw": "ALAW"}[law]
        assert np.array_equal(opened.read(count + 10, dtype="int16"), heard)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("count", "padding"), [(1_000, 0), (1_001, 1)])
def test_a_whole_header_tells_the_samples_and_an_odd_length_is_padded(
    count: int, padding: int, law: Encoding
) -> None:
    file = wav(law, speechlike(count), whole=True, rate_hz=16_000)
    assert len(file) == 58 + count + padding
    riff, riff_bytes, form, fmt, fmt_bytes, tag, channels, rate, rate_bytes, align, bits, extra = (
        struct.unpack_from("<4sI4s4sIHHIIHHH", file)
    )
    assert (riff, riff_bytes, form, fmt, fmt_bytes) == (
        b"RIFF",
        len(file) - 8,
        b"WAVE",
        b"fmt ",
        18,
    )
    assert (tag, channels, rate, rate_bytes, align, bits, extra) == (
        TAGS[law],
        1,
        16_000,
        16_000,
        1,
        8,
        0,
    )
    assert struct.unpack_from("<4sII4sI", file, 38) == (b"fact", 4, count, b"data", count)


@pytest.mark.parametrize("law", LAWS)
def test_chunks_do_not_change_the_bytes(law: Encoding) -> None:
    samples = speechlike(4_001)
    for name in ("wav", "pcm"):
        one, many = (
            body(make_encoder(name, 8_000, encoding=law), samples, chunk) for chunk in (10**6, 313)
        )
        assert one == many
        assert len(one) == 4_001  # of a stream, which is never padded


def test_audio_basic_is_mu_law_at_8_khz_and_nothing_else() -> None:
    assert content_type("pcm", "pcm_mulaw", 8_000) == "audio/basic"
    assert content_type("pcm", "pcm_mulaw", 16_000) == "audio/PCMU;rate=16000"
    assert content_type("pcm", "pcm_alaw", 8_000) == "audio/PCMA;rate=8000"
    assert content_type("wav", "pcm_mulaw", 8_000) == "audio/wav"
    assert content_type("pcm", "pcm_s16le", 8_000) == "audio/pcm"
