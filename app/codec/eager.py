# pyright: reportUnknownMemberType=false
"""A codec that runs eagerly: on a CPU, and for batches that fit no captured graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.codec.device_errors import map_device_errors
from app.codec.spec import CodecSpec

# Arguments: codes (batch, frames, codes_per_frame), int32; position of each row in its stream
# (batch,), int64; length of each row in frames (batch,), int64, or None if no row is padded.
# Result: float32 samples (batch, frames x samples_per_frame).
Network = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, slots=True)
class PaddedBatch:
    """Rows of codes, padded with zeros."""

    codes: NDArray[np.int32]  # (rows, frames, codes_per_frame)
    first_frames: NDArray[np.int64]  # (rows,): position of each row in its stream
    frames: NDArray[np.int64]  # (rows,): length of each row without padding

    @classmethod
    def of(cls, windows: Sequence[CodeWindow]) -> PaddedBatch:
        """Build a batch with one row per window, each as long as the longest window."""
        lengths = np.array([len(window.codes) for window in windows])
        codes = np.zeros((len(windows), int(lengths.max()), windows[0].codes.shape[1]), np.int32)
        for row, window in zip(codes, windows, strict=True):
            row[: len(window.codes)] = window.codes
        return cls(codes, np.array([window.first_frame for window in windows]), lengths)


class EagerCodec:
    """A `Codec` around a network in which the rows of a batch do not affect each other."""

    def __init__(
        self, spec: CodecSpec, network: Network, device: str, *, one_by_one: bool = False
    ) -> None:
        """`one_by_one`: decode a batch row by row, for devices on which that is faster."""
        self.spec = spec
        self.network = network
        self.device = torch.device(device)
        self._one_by_one = one_by_one

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode windows of any lengths (each >= 1 frame); see `Codec.decode`."""
        if self._one_by_one:
            return [self.decode_batch([window])[0] for window in windows]
        return self.decode_batch(windows)

    @map_device_errors
    @torch.inference_mode()
    def decode_batch(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode windows in one padded call."""
        batch = PaddedBatch.of(windows)
        codes, first_frames, frames = (
            torch.from_numpy(array).to(self.device)
            for array in (batch.codes, batch.first_frames, batch.frames)
        )
        no_padding = batch.frames.min() == batch.codes.shape[1]
        samples = self.network(codes, first_frames, None if no_padding else frames)
        return _trim_context(samples.cpu().numpy(), windows, self.spec.samples_per_frame)


def _trim_context(
    rows: NDArray[np.float32], windows: Sequence[CodeWindow], samples_per_frame: int
) -> list[Samples]:
    """Cut context and padding off decoded rows (windows, samples); return each window's samples."""
    return [
        row[window.context_frames * samples_per_frame : len(window.codes) * samples_per_frame]
        for row, window in zip(rows, windows, strict=True)
    ]
