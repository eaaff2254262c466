"""Playback underruns computed from the arrival times of audio."""

from __future__ import annotations

from collections.abc import Sequence


def underruns(chunks: Sequence[tuple[float, float]], per_s: float) -> tuple[int, float]:
    """Return the number of gaps and their total seconds in real-time playback.

    Playback starts with the first chunk and waits whenever its buffer is empty.
    `chunks`: arrival time in seconds and size; `per_s`: size of one second of audio.
    """
    gaps = 0
    silent_s = 0.0
    buffer_end_s = chunks[0][0] if chunks else 0.0
    for at_s, size in chunks:
        if at_s > buffer_end_s:
            gaps += 1
            silent_s += at_s - buffer_end_s
            buffer_end_s = at_s
        buffer_end_s += size / per_s
    return gaps, silent_s
