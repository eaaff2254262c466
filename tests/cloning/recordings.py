"""Recordings for tests: a voice-like tone in any format, and files that are no recordings."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

CODECS = {
    "wav": ("wav", "pcm_s16le"),
    "float": ("wav", "pcm_f32le"),
    "mp3": ("mp3", "libmp3lame"),
    "opus": ("ogg", "libopus"),
    "flac": ("flac", "flac"),
    "m4a": ("ipod", "aac"),
    "webm": ("webm", "libopus"),
    "aac": ("adts", "aac"),
    "aiff": ("aiff", "pcm_s16be"),
}


def tone(length_s: float, rate_hz: int = 16_000, channels: int = 1) -> NDArray[np.float32]:
    """(channels, samples): 300 Hz at -14 dBFS, gliding a little."""
    time_s = np.arange(round(length_s * rate_hz)) / rate_hz
    wave = 0.3 * np.sin(2 * np.pi * (300 * time_s + 2 * np.sin(3 * time_s)))
    return np.tile(wave.astype(np.float32), (channels, 1))


def recording(
    kind: str = "wav",
    length_s: float = 3.0,
    rate_hz: int = 16_000,
    channels: int = 1,
    sound: NDArray[np.float32] | None = None,
) -> bytes:
    """A file of that kind."""
    container_name, codec = CODECS[kind]
    samples = tone(length_s, rate_hz, channels) if sound is None else np.atleast_2d(sound)
    file = io.BytesIO()
    with av.open(file, "w", format=container_name) as container:
        stream = container.add_stream(
            codec, rate=rate_hz, layout="stereo" if channels == 2 else "mono"
        )
        assert isinstance(stream, av.AudioStream)
        for start in range(0, samples.shape[1], 960):
            block = np.ascontiguousarray(samples[:, start : start + 960])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=stream.layout.name)
            frame.sample_rate = rate_hz
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def film(length_s: float = 2.0) -> bytes:
    """An mp4 with pictures and sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        pictures = container.add_stream("mpeg4", rate=5)
        assert isinstance(pictures, av.VideoStream)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        for index in range(round(5 * length_s)):
            grey = np.full((64, 64, 3), index, np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        frame = av.AudioFrame.from_ndarray(tone(length_s), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux(sound.encode(frame))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    return file.getvalue()


def with_cover() -> bytes:
    """An mp3 with the picture of its record in front."""
    picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width = encoder.height = 16
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1, 25)
    png = b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
    content = b"\0image/png\0\3\0" + png
    frame = b"APIC" + len(content).to_bytes(4, "big") + b"\0\0" + content
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame + recording("mp3", 2.0)
