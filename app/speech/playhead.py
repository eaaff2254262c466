"""Where a listener in real time is: it begins at the first sound, and waits where nothing is left."""

from __future__ import annotations


class Playhead:
    """Knows when a listener runs dry, on the clock of whoever feeds it.

    Unlike the lead over the time since the first byte it starts anew after a gap, as players do; and a client
    that takes its sound late is not one that had to wait for it.
    """

    def __init__(self) -> None:
        self._dry_s: float | None = None  # when all that was sent has been heard; None: not to be told

    def dry(self, now_s: float) -> bool:
        """Whether there is nothing left to hear."""
        return self._dry_s is not None and now_s > self._dry_s

    def feed(self, begun_s: float, ended_s: float, audio_s: float) -> None:
        """Sound of such a length was sent, from one time to the other."""
        dry_s = max(begun_s, self._dry_s or begun_s) + audio_s
        self._dry_s = dry_s if ended_s <= dry_s else None

    def forget(self) -> None:
        """What comes next is waited for for another reason."""
        self._dry_s = None
