"""Where a listener in real time is: it begins at the first sound, and waits where nothing is left."""

from __future__ import annotations


class Playhead:
    """Knows when a listener runs dry, on the clock of whoever feeds it.

    Unlike the sound sent less the time since the first byte it starts anew after a gap, as players do; and a client
    that takes its sound late is not one that had to wait for it.
    """

    def __init__(self) -> None:
        self._dry_s: float | None = None  # when all that was sent has been heard; None: nothing was
        self._waits = (
            True  # whether that is when it begins to wait: not while it takes its sound late
        )

    def dry(self, now_s: float) -> bool:
        """Whether there is nothing left to hear."""
        return self._dry_s is not None and self._waits and now_s > self._dry_s

    def lead_s(self, now_s: float) -> float:
        """Seconds of sound that are left to hear; below zero how long it has been waiting, 0 before the first."""
        return 0.0 if self._dry_s is None else self._dry_s - now_s

    def feed(self, begun_s: float, ended_s: float, audio_s: float) -> None:
        """Sound of such a length was sent, from one time to the other."""
        dry_s = max(begun_s, self._dry_s or begun_s) + audio_s
        self._waits = ended_s <= dry_s
        self._dry_s = (
            dry_s if self._waits else ended_s + audio_s
        )  # the last of it, at least, is still to be heard
