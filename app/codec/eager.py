# pyright: reportUnknownMemberType=false
"""A codec that runs eagerly: on a CPU, and for batches that fit no captured graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.codec.device_errors import map_device_errors
from app.codec.padded_batch import PaddedBatch, trim_context
from app.codec.spec import CodecSpec

# Arguments: codes (batch, frames, codes_per_frame), int32; position of each row in its stream
# (batch,), int64; length of each row in frames (batch,), int64, or None if no row is padded.
# Result: float32 samples (batch, frames x samples_per_frame).
Network = Callable[[Tensor, Tensor, Tensor | None], Tensor]


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
        return trim_context(samples.cpu().numpy(), windows, self.spec.samples_per_frame)
