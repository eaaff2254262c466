"""Playback position of a client that plays audio in real time."""

from __future__ import annotations


class PlaybackClock:
    """Estimate of when the client has played all audio sent, by the caller's clock.

    Playback starts with the first audio and restarts after a gap, as in players. Slow reading by
    the client does not count as an underrun.
    """

    def __init__(self) -> None:
        self._ends_s: float | None = None  # time when all audio has been played; None: none sent
        self._client_waits = True  # False if the client was late to read the last audio

    def underrunning(self, now_s: float) -> bool:
        """True if the client has played all audio and waits for more."""
        return self._ends_s is not None and self._client_waits and now_s > self._ends_s

    def lead_s(self, now_s: float) -> float:
        """Seconds of audio not yet played. Negative while the client waits, 0 before the first."""
        return 0.0 if self._ends_s is None else self._ends_s - now_s

    def feed(self, started_s: float, ended_s: float, audio_s: float) -> None:
        """Add `audio_s` seconds of audio, sent between `started_s` and `ended_s`."""
        ends_s = max(started_s, self._ends_s or started_s) + audio_s
        self._client_waits = ended_s <= ends_s
        # A client that reads late still has to play at least this audio.
        self._ends_s = ends_s if self._client_waits else ended_s + audio_s
