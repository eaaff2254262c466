# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""A codec on an accelerator that replays a graph, captured at startup, for each batch shape."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from app import metrics
from app.audio.samples import Samples
from app.codec import BlockingDecoding, CodeWindow, Decoding, OutOfMemory
from app.codec.batch_decoder import INT16_STEPS, BatchDecoder, network_decoder
from app.codec.cuda import Accelerator, Event, Replay
from app.codec.device_errors import map_device_errors
from app.codec.eager import EagerCodec
from app.codec.graph_grid import Grid

log = logging.getLogger(__name__)

MAX_SUBMITTED = 3  # two in flight, and one whose samples are read


@dataclass(frozen=True, slots=True)
class Buffers:
    """Flat arrays of one batch, on the device or in pinned host memory."""

    codes: Tensor  # int32, rows x frames x codes_per_frame
    offsets_and_lengths: Tensor  # int64: the first frame of each row, then the length of each row
    samples: Tensor  # int16 or float32, rows x samples
    peaks: Tensor  # float32: largest magnitude of each row; NaN or infinite if a sample is

    @classmethod
    def of(
        cls, shape: tuple[int, int], codes_per_frame: int, samples_per_frame: int, new: NewTensor
    ) -> Buffers:
        """Allocate buffers for a largest batch of `shape` (rows, frames)."""
        rows, frames = shape
        return cls(
            new(rows * frames * codes_per_frame, torch.int32),
            new(2 * rows, torch.int64),
            new(rows * frames * samples_per_frame, None),
            new(rows, torch.float32),
        )


# Arguments: number of elements and their type; None: the type of the samples.
NewTensor = Callable[[int, torch.dtype | None], Tensor]


@dataclass(frozen=True, slots=True)
class PinnedSlot:
    """Pinned memory of one batch, and the event after which its samples may be read."""

    pinned: Buffers
    done: Event


@dataclass(frozen=True, slots=True)
class GraphDecoding:
    """A batch in a slot, which returns to `free_slots` once the samples have been read."""

    slot: PinnedSlot
    windows: Sequence[CodeWindow]
    frames: int  # of a row, padding included
    samples_per_frame: int
    free_slots: deque[PinnedSlot]

    @map_device_errors
    def wait(self) -> None:
        try:
            self.slot.done.synchronize()
        except BaseException:
            self.free_slots.append(self.slot)
            raise

    def samples(self) -> list[Samples]:
        """Copy the samples of each window from pinned memory, as float32."""
        pinned, per_frame = self.slot.pinned, self.samples_per_frame
        try:
            used = pinned.samples[: len(self.windows) * self.frames * per_frame]
            rows = used.view(len(self.windows), -1).numpy()
            return [
                _to_float32(
                    row[window.context_frames * per_frame : len(window.codes) * per_frame], peak
                )
                for row, window, peak in zip(
                    rows, self.windows, pinned.peaks.tolist(), strict=False
                )
            ]
        finally:
            self.free_slots.append(self.slot)


class GraphedCodec:
    """An `OverlappingCodec` that replays captured graphs.

    Batches that fit no shape of the grid are decoded eagerly and counted in a metric.
    """

    def __init__(
        self,
        eager: EagerCodec,
        accelerator: Accelerator,
        grid: Grid,
        *,
        int16_samples: bool,
        decoder: BatchDecoder | None = None,
    ) -> None:
        """Allocate the buffers of the largest shape.

        `int16_samples`: copy samples from the device as int16, half the bytes. `decoder`: the work
        of the graphs; None: the network of `eager`.
        """
        self.spec = replace(eager.spec, frame_steps=grid.frames)
        self.grid = grid
        self._eager = eager
        self._accelerator = accelerator
        self._decoder = decoder or network_decoder(eager.network)
        self._rows, frames = grid.rows[-1], grid.frames[-1]
        sample_type = torch.int16 if int16_samples else torch.float32

        def on_device(size: int, dtype: torch.dtype | None) -> Tensor:
            return torch.zeros(size, dtype=dtype or sample_type, device=accelerator.device)

        def on_host(size: int, dtype: torch.dtype | None) -> Tensor:
            return accelerator.pinned(size, dtype or sample_type)

        shape = (self._rows, frames), self.spec.codes_per_frame, self.spec.samples_per_frame
        self._buffers = Buffers.of(*shape, on_device)
        slots = [
            PinnedSlot(Buffers.of(*shape, on_host), accelerator.event())
            for _ in range(MAX_SUBMITTED)
        ]
        # No row may be empty: softmax and norms would give NaN, and an index would be -1.
        for buffers in (self._buffers, *(slot.pinned for slot in slots)):
            buffers.offsets_and_lengths[self._rows :] = 1
        self._free = deque(slots)
        self._graphs: dict[tuple[int, int], Replay] = {}

    @torch.inference_mode()
    def capture(self, report: Callable[[str], None] = log.info) -> None:
        """Capture every shape, the largest first (blocks for seconds to minutes).

        `report` is called with the progress.
        """
        started_s = time.perf_counter()
        shapes = list(self.grid.largest_first())
        self._accelerator.synchronize()  # the buffers were filled on another stream, so wait for it
        for number, shape in enumerate(shapes, 1):
            run = partial(self._run, shape)
            self._accelerator.warm_up(run)
            self._accelerator.synchronize()
            self._graphs[shape] = self._accelerator.capture(run)
            report(f"captured {number} of {len(shapes)} decode graphs")
        self._accelerator.synchronize()
        log.info("%d decode graphs in %.1f s", len(shapes), time.perf_counter() - started_s)

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        decoding = self.submit(windows)
        decoding.wait()
        return decoding.samples()

    @map_device_errors
    @torch.inference_mode()
    def submit(self, windows: Sequence[CodeWindow]) -> Decoding:
        shape = self.grid.fit(len(windows), max(len(window.codes) for window in windows))
        if shape not in self._graphs:
            metrics.GRAPH_MISSES.inc()
            return BlockingDecoding(partial(self._decode_eagerly, windows))
        slot = self._free.popleft()
        try:
            self._submit_to(slot, windows, shape)
        except BaseException:
            self._free.append(slot)
            raise
        return GraphDecoding(slot, windows, shape[1], self.spec.samples_per_frame, self._free)

    def _decode_eagerly(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        try:
            with self._accelerator.stream():
                return self._eager.decode(windows)
        except OutOfMemory:
            self._accelerator.synchronize()
            raise

    def _run(self, shape: tuple[int, int]) -> None:
        """Decode the first rows and frames of the device buffers, as a graph does."""
        rows, frames = shape
        buffers = self._buffers
        samples = frames * self.spec.samples_per_frame
        self._decoder(
            buffers.codes[: rows * frames * self.spec.codes_per_frame].view(rows, frames, -1),
            buffers.offsets_and_lengths[:rows],
            buffers.offsets_and_lengths[self._rows : self._rows + rows],
            buffers.samples[: rows * samples].view(rows, samples),
            buffers.peaks[:rows],
        )

    def _submit_to(
        self, slot: PinnedSlot, windows: Sequence[CodeWindow], shape: tuple[int, int]
    ) -> None:
        """Write the codes, then submit to the device: copy the codes, replay, copy the samples.

        The padding of a row keeps codes of earlier batches, which the network masks. An unused row
        keeps the offset and length of an earlier batch; its samples are not read.
        """
        rows, frames = shape
        used_codes = rows * frames * self.spec.codes_per_frame
        used_samples = rows * frames * self.spec.samples_per_frame
        pinned, buffers = slot.pinned, self._buffers
        codes = pinned.codes[:used_codes].view(rows, frames, -1).numpy()
        offsets_and_lengths = pinned.offsets_and_lengths.view(2, -1).numpy()
        for row, window in enumerate(windows):
            codes[row, : len(window.codes)] = window.codes
            offsets_and_lengths[:, row] = window.first_frame, len(window.codes)
        with self._accelerator.stream():
            buffers.codes[:used_codes].copy_(pinned.codes[:used_codes], non_blocking=True)
            buffers.offsets_and_lengths.copy_(pinned.offsets_and_lengths, non_blocking=True)
            self._graphs[shape]()
            pinned.samples[:used_samples].copy_(buffers.samples[:used_samples], non_blocking=True)
            pinned.peaks.copy_(buffers.peaks, non_blocking=True)
            slot.done.record()


def _to_float32(
    samples: np.ndarray[tuple[int], np.dtype[np.int16 | np.float32]], peak: float
) -> Samples:
    if not np.isfinite(peak):
        return np.full(len(samples), np.nan, np.float32)
    if samples.dtype == np.float32:
        return samples.astype(np.float32)
    return np.multiply(samples, np.float32(1 / INT16_STEPS), dtype=np.float32)
