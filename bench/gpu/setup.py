"""Device and extent of a run."""

from __future__ import annotations

from dataclasses import dataclass

from app.codec.registry import Dtype


@dataclass(frozen=True, slots=True)
class Setup:
    """The CPU in place of a GPU with `host`, for a test of this benchmark; fewer graphs if `quick`.

    On the CPU NeuCodec is small, and calls are short.
    """

    host: bool = False
    quick: bool = False

    @property
    def device(self) -> str:
        """Device of the measured codecs."""
        return "cpu" if self.host else "cuda"

    @property
    def dtype(self) -> Dtype:
        """Type of the matrices of the measured codecs."""
        return "float32" if self.host else "float16"

    @property
    def lengths(self) -> list[int]:
        """Frames of the windows of a mixed batch of NeuCodec."""
        return [1, 7, 31] if self.host else [1, 7, 31, 64, 100, 384]
