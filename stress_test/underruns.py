"""Playback underruns computed from the arrival times of audio."""

from __future__ import annotations

from collections.abc import Sequence


def underruns(pieces: Sequence[tuple[float, float]], per_s: float) -> tuple[int, float]:
    """Return the number of gaps and their total seconds in real-time playback.

    Playback starts with the first piece and waits whenever its buffer is empty.
    `pieces`: arrival time in seconds and size; `per_s`: size of one second of audio.
    """
    gaps, silent_s = 0, 0.0
    dry_s = pieces[0][0] if pieces else 0.0
    for at_s, size in pieces:
        if at_s > dry_s:
            gaps += 1
            silent_s += at_s - dry_s
            dry_s = at_s
        dry_s += size / per_s
    return gaps, silent_s
