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

    blocks: list[NDArray[np.float32]] = []
    packet_offsets = [0]  # bytes
    samples_after = [0]  # after each packet
    try:
        with av.open(io.BytesIO(body), "r") as container:
            stream = container.streams.audio[0]
            mono = av.AudioResampler(format="flt", layout="mono")
            for packet in container.demux(stream):
                offset = packet.pos if packet.pos is not None else packet_offsets[-1]
                packet_offsets.append(offset)
                new = [
                    block.to_ndarray()[0]
                    for frame in packet.decode()
                    for block in mono.resample(frame)
                ]
                blocks += new
                samples_after.append(samples_after[-1] + sum(map(len, new)))
            rate_hz = stream.rate
    except (FFmpegError, IndexError) as exc:
        raise NotAudio("PyAV cannot decode the body") from exc
    samples = np.concatenate([*blocks, np.zeros(0, np.float32)])
    playable = _playable_samples(
        np.array(packet_offsets[1:]), np.array(samples_after[1:]), chunk_ends, len(body)
    )
    return samples, rate_hz, playable


def _playable_samples(
    packet_offsets: Counts, samples_after: Counts, chunk_ends: Counts, body_bytes: int
) -> Counts:
    """Map chunk ends to playable samples.

    `packet_offsets`: byte offset of each packet; `samples_after`: samples after each packet.
    """
    # The first packet with a greater offset.
    after = np.searchsorted(packet_offsets, packet_offsets, side="right")
    ends = np.append(packet_offsets, body_bytes)[after]
    return np.append(0, samples_after)[np.searchsorted(ends, chunk_ends, side="right")]
