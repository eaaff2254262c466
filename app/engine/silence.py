"""The silence around what the language model speaks, made shorter while it is spoken."""

from __future__ import annotations

from collections.abc import Sequence

# Before the first sound the teacher is silent for 260 to 340 ms (400 held-out sentences), and the model for 280
# to 390 ms (300 sentences, both voices, temperatures 0 to 0.7): without 10 frames the sound begins 60 ms in at
# the least, and about 100 ms in.
LEAD_FRAMES = 10
# Inside a sentence a piece ends with 420 to 550 ms of silence, of which about 200 are too much.
TAIL_FRAMES = 10


class SilenceTrim:
    """Takes the frames of one piece as they come, and gives those that are to be heard.

    The end of a piece is known late: inside a sentence the last frames are held back until others follow.
    """

    def __init__(self, *, ends_sentence: bool) -> None:
        self._lead_frames = LEAD_FRAMES
        self._held_frames = 0 if ends_sentence else TAIL_FRAMES
        self._held: list[int] = []

    def feed(self, codes: Sequence[int]) -> list[int]:
        """Codes of frames in, codes out; what is held when the piece ends is silence."""
        heard = [*self._held, *codes[self._lead_frames :]]
        self._lead_frames = max(0, self._lead_frames - len(codes))
        known = max(0, len(heard) - self._held_frames)
        self._held = heard[known:]
        return heard[:known]
