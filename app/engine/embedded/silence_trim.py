"""Trimming of the silence around the language model's speech while it streams."""

from __future__ import annotations

from collections.abc import Sequence

# Leading frames that are dropped (200 ms). The leading silence lasts 260 to 340 ms in the teacher's
# speech (400 held-out sentences) and 280 to 390 ms in the model's (300 sentences, both voices,
# temperatures 0 to 0.7). After the cut speech begins after about 100 ms, and after 60 ms at least.
LEAD_FRAMES = 10
# Trailing frames that are dropped (200 ms) if a chunk ends inside a sentence. Its trailing silence
# lasts 420 to 550 ms.
TAIL_FRAMES = 10


class SilenceTrim:
    """Drops the excess silence of one streamed chunk.

    If the chunk ends inside a sentence, the last frames are held back until more frames follow.
    """

    def __init__(self, *, ends_sentence: bool) -> None:
        self._lead_frames = LEAD_FRAMES
        self._held_back_frames = 0 if ends_sentence else TAIL_FRAMES
        self._held_back: list[int] = []

    def feed(self, codes: Sequence[int]) -> list[int]:
        """Return the codes to pass on. Codes that are still held back at the end are silence."""
        pending = [*self._held_back, *codes[self._lead_frames :]]
        self._lead_frames = max(0, self._lead_frames - len(codes))
        ready = max(0, len(pending) - self._held_back_frames)
        self._held_back = pending[ready:]
        return pending[:ready]
