"""Decoded audio of an answer, with the playable samples after each chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stress_test import compressed
from stress_test.wav import Layout, NotAudio, read_layout

EXACT_FORMATS = ("wav", "pcm")
FORMATS = (*EXACT_FORMATS, "mp3", "opus", "aac", "flac")
PCM_RATE_HZ = 24_000
MIN_RATE_HZ = 4_000


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples in -1 ... 1; `playable`: playable samples after each chunk."""

    samples: NDArray[np.float32]
    rate_hz: int
    playable: NDArray[np.int64]
    exact: bool  # the format keeps the samples exactly, so that jumps can be found


def decode(response_format: str, chunks: Sequence[bytes], headers: Mapping[str, str]) -> Sound:
    """Decode the chunks of an answer.

    The sample rate of pcm is read from the header `X-Audio-Sample-Rate`; the default is 24 kHz.

    Raises:
        NotAudio: the body is not audio of that format.
    """
    body = b"".join(chunks)
    ends = np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64)
    if response_format == "wav":
        return _plain(read_layout(body), body, ends)
    if response_format == "pcm":
        rate_hz = headers.get("x-audio-sample-rate", "")
        return _plain(Layout(int(rate_hz) if rate_hz.isdecimal() else PCM_RATE_HZ), body, ends)
    return Sound(*compressed.decode(body, ends), exact=False)


def _plain(layout: Layout, body: bytes, ends: NDArray[np.int64]) -> Sound:
    if layout.rate_hz < MIN_RATE_HZ:
        raise NotAudio(f"a sample rate of {layout.rate_hz} Hz")
    samples = layout.samples(body)
    playable = np.clip((ends - layout.offset) // layout.frame_bytes, 0, len(samples))
    return Sound(samples, layout.rate_hz, playable, exact=True)
