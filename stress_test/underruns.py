"""What a listener in real time hears of the moments at which sound comes."""

from __future__ import annotations

from collections.abc import Sequence


def underruns(pieces: Sequence[tuple[float, float]], per_s: float) -> tuple[int, float]:
    """Gaps and their seconds for a listener who begins at the first piece and waits when nothing is left.

    `pieces`: when each came, in seconds, and how much it was, of which a second of sound has `per_s`.
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
