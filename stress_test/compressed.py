"""Decoding of compressed audio with PyAV, if it is installed."""

from __future__ import annotations

import io
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from stress_test.wav import NotAudio

Counts = NDArray[np.int64]


def available() -> bool:
    """Return True if PyAV is installed."""
    return find_spec("av") is not None


def decode(body: bytes, chunk_ends: Counts) -> tuple[NDArray[np.float32], int, Counts]:
    """Return mono samples, their rate in Hz, and the playable samples after each chunk.

    A packet is playable once the next one begins, with Ogg once its whole page has arrived.

    Raises:
        NotAudio: PyAV cannot decode the body.
    """
    import av  # noqa: PLC0415  (optional, and slow to import)
    from av.error import FFmpegError  # noqa: PLC0415

    pieces: list[NDArray[np.float32]] = []
    begins, made = [0], [0]
    try:
        with av.open(io.BytesIO(body), "r") as container:
            stream = container.streams.audio[0]
            mono = av.AudioResampler(format="flt", layout="mono")
            for packet in container.demux(stream):
                begins.append(packet.pos if packet.pos is not None else begins[-1])
                new = [
                    piece.to_ndarray()[0]
                    for frame in packet.decode()
                    for piece in mono.resample(frame)
                ]
                pieces += new
                made.append(made[-1] + sum(map(len, new)))
            rate_hz = stream.rate
    except (FFmpegError, IndexError) as exc:
        raise NotAudio("PyAV cannot decode the body") from exc
    samples = np.concatenate([*pieces, np.zeros(0, np.float32)])
    return samples, rate_hz, _heard(np.array(begins[1:]), np.array(made[1:]), chunk_ends, len(body))


def _heard(begins: Counts, made: Counts, chunk_ends: Counts, size: int) -> Counts:
    """Map chunk ends to playable samples.

    `begins`: byte offset of each packet; `made`: samples after each packet.
    """
    after = np.searchsorted(begins, begins, side="right")  # the first packet with a greater offset
    ends = np.append(begins, size)[after]
    return np.append(0, made)[np.searchsorted(ends, chunk_ends, side="right")]
