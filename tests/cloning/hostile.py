"""Recordings made to crash a decoder."""

from __future__ import annotations

import io
import struct

import av
import numpy as np

from tests.cloning.recordings import recording, tone


def surround(
    codec: str, layout: str, samples: int, container: str = "wav", rate_hz: int = 16_000
) -> bytes:
    """A tone that falls from channel to channel, by 1/n of its level."""
    channels = av.AudioLayout(layout).nb_channels
    falling = np.linspace(1, 1 / channels, channels, dtype=np.float32)
    sound = np.outer(tone(samples / rate_hz, rate_hz)[0], falling)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout=layout)
        assert isinstance(stream, av.AudioStream)
        for start in range(0, samples, 960):
            block = np.ascontiguousarray(sound[start : start + 960].reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
            frame.sample_rate, frame.pts = rate_hz, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def eight_planes() -> bytes:
    """A WAV of 100 samples in eight channels."""
    return surround("pcm_s16le", "7.1", 100)


def of_samples(count: int) -> bytes:
    """An mp4 of 8 KB that states so many samples of one byte each: FFmpeg keeps 24 bytes for every
    one.
    """
    data = bytearray(recording("m4a", 1.2))
    at = data.index(b"stsz")
    data[at + 8 : at + 16] = struct.pack(">II", 1, count)
    at = data.index(b"stts")
    data[at + 12 : at + 16] = struct.pack(">I", count)
    at = data.index(b"stsc")
    for entry in range(int.from_bytes(data[at + 8 : at + 12])):
        data[at + 16 + 12 * entry : at + 20 + 12 * entry] = struct.pack(">I", count)
    return bytes(data)


def changing() -> dict[str, bytes]:
    """Files whose rate or channels change in the middle."""
    return {
        "mp3, rate": recording("mp3", 1.5, 44_100) + recording("mp3", 1.5, 32_000),
        "mp3, channels": recording("mp3", 1.5, 44_100) + recording("mp3", 1.5, 44_100, 2),
        "aac, channels": recording("aac", 1.5, 44_100) + recording("aac", 1.5, 44_100, 2),
        "ogg, channels": recording("opus", 1.5, 48_000) + recording("opus", 1.5, 48_000, 2),
        "flac, channels": recording("flac", 1.5, 44_100) + recording("flac", 1.5, 44_100, 2),
    }
