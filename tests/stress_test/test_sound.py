"""Samples from the bytes of an answer, and their arrival times."""

from __future__ import annotations

import io
import struct

import av
import numpy as np
import pytest

from stress_test.sound import decode
from stress_test.wav import NotAudio, read_layout
from tests.stress_test.server import RATE_HZ, pcm, streamed_wav, tone, wav


def seconds(body: bytes) -> float:
    layout = read_layout(body)
    return len(layout.samples(body)) / layout.rate_hz


@pytest.mark.parametrize(
    ("body", "expected_s"),
    [
        (wav(tone(1.5)), 1.5),
        (wav(tone(0.25, rate_hz=8_000), 8_000), 0.25),
        (wav(tone(1.0))[:-24_000], 0.5),
        (streamed_wav(tone(0.5)), 0.5),
        (wav(tone(0.5)) + b"LIST\x04\x00\x00\x00abcd", 0.5),
        (wav(tone(0.5))[:36] + b"LIST\x03\x00\x00\x00abc\0" + wav(tone(0.5))[36:], 0.5),
        (wav(tone(0.5))[:40] + bytes(4) + wav(tone(0.5))[44:], 0.5),
        (wav(tone(0.0)), 0.0),
    ],
)
def test_duration_is_of_the_bytes_that_came(body: bytes, expected_s: float) -> None:
    assert seconds(body) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    "body", [b"", b"RIFF", b"<html>", wav(tone(0.1))[:30], wav(tone(0.1))[:36], b'{"error": 1}']
)
def test_what_is_no_wav_file_is_no_audio(body: bytes) -> None:
    with pytest.raises(NotAudio):
        read_layout(body)


def test_a_rate_that_cannot_be_is_no_audio() -> None:
    with pytest.raises(NotAudio):
        decode("wav", [wav(tone(0.1), 10)], {})


def test_other_sample_types_and_channels_are_read() -> None:
    both = np.stack([tone(0.1), np.zeros(2_400, np.float32)], axis=1)
    form = struct.pack("<HHIIHH", 3, 2, RATE_HZ, RATE_HZ * 8, 8, 32)
    body = (
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"
        + form
        + b"data"
        + struct.pack("<I", both.nbytes)
        + both.tobytes()
    )
    np.testing.assert_allclose(decode("wav", [body], {}).samples, tone(0.1) / 2, atol=1e-6)


def test_a_header_is_no_sound() -> None:
    body = streamed_wav(tone(0.1))
    sound = decode("wav", [body[:20], body[20:44], body[44:45], body[45:1044], body[1044:]], {})
    assert sound.playable.tolist() == [0, 0, 0, 500, 2_400]


def test_the_rate_of_pcm_is_what_the_answer_says() -> None:
    assert decode("pcm", [pcm(tone(0.1))], {}).rate_hz == 24_000
    assert decode("pcm", [pcm(tone(0.1))], {"x-audio-sample-rate": "16000"}).rate_hz == 16_000


FORMATS = {
    "mp3": ("mp3", "mp3"),
    "opus": ("ogg", "libopus"),
    "flac": ("flac", "flac"),
    "aac": ("adts", "aac"),
}


def packed(container: str, codec: str, seconds: float) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48_000)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        samples = (tone(seconds, rate_hz=48_000) * 32767).astype("<i2")
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.rate = 48_000
        resampler = av.AudioResampler(stream.format, "mono", 48_000, stream.frame_size or 4_096)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("name", FORMATS)
def test_compressed_sound_is_heard_as_it_comes(name: str) -> None:
    body = packed(*FORMATS[name], 4.0)
    middle = len(body) // 2
    sound = decode(name, [body[:10], body[10:middle], body[middle:]], {})
    assert len(sound.samples) / sound.rate_hz == pytest.approx(4.0, abs=0.15)
    assert not sound.exact
    assert sound.playable[0] == 0
    assert 1.0 < sound.playable[1] / sound.rate_hz < 3.0
    assert sound.playable[2] == len(sound.samples)
    assert np.sqrt(np.mean(sound.samples**2)) == pytest.approx(0.25 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("body", [b"", b"<html>" * 20])
def test_what_cannot_be_decoded_is_no_audio(body: bytes) -> None:
    with pytest.raises(NotAudio):
        decode("mp3", [body], {})
