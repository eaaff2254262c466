# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Loading of a decoder of fused kernels, and its comparison with the network that it replaces."""

from __future__ import annotations

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Protocol, cast

import torch
from torch import Tensor

from app.codec import OutOfMemory
from app.codec.batch_decoder import INT16_STEPS, BatchDecoder
from app.codec.device_errors import device_error_for
from app.codec.eager import EagerCodec, Network
from app.codec.fused.kernels import KernelError, type_options

# A batch that is compared: position and length in frames of each row.
FIRST_FRAMES = (0, 7, 1000)
LENGTHS = (32, 13, 1)
# float16 and bfloat16 are 30 to 60 dB from float32. A wrong kernel is less than 5 dB from it.
LEAST_DB = 20.0


class FusedLoader(Protocol):
    """Function that compiles the kernels of a codec with these options; raises KernelError."""

    def __call__(
        self, network: Network, options: Sequence[str], device: torch.device
    ) -> BatchDecoder: ...


def load_fused(
    loader: str, codec: EagerCodec, dtype: torch.dtype, sample_dtype: torch.dtype
) -> BatchDecoder:
    """Load the fused decoder of a codec on a CUDA device.

    Args:
        loader: `module:function` of a `FusedLoader`.
        codec: the codec, with its weights.
        dtype: type of the matrix products.
        sample_dtype: type of the samples, int16 or float32.

    Raises:
        KernelError: it cannot be loaded, or its audio differs from that of the network.
        RuntimeError: the device has too little memory (`device_error_for`).
    """
    load = cast("FusedLoader", resolve_name(loader))
    options = type_options(dtype, INT16_STEPS if sample_dtype == torch.int16 else None)
    try:
        decoder = load(codec.network, options, codec.device)
        compare(decoder, codec, sample_dtype)
    except (RuntimeError, AttributeError, TypeError, ValueError) as exc:
        if isinstance(device_error_for(exc), OutOfMemory):
            raise
        # torch lacks or rejects an operator
        raise KernelError(str(exc).partition("\n")[0]) from exc
    return decoder


@torch.inference_mode()
def compare(decoder: BatchDecoder, codec: EagerCodec, sample_dtype: torch.dtype) -> None:
    """Raise KernelError unless random codes decode as by the network of the codec."""
    spec = codec.spec
    shape = len(LENGTHS), max(LENGTHS), spec.codes_per_frame
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(spec.vocabulary, shape, dtype=torch.int32, generator=generator)
    batch = codes, torch.tensor(FIRST_FRAMES), torch.tensor(LENGTHS)
    codes, first_frames, lengths = (tensor.to(codec.device) for tensor in batch)
    expected = codec.network(codes, first_frames, lengths)
    samples = torch.zeros(expected.shape, dtype=sample_dtype, device=codec.device)
    peaks = torch.zeros(len(LENGTHS), device=codec.device)
    decoder(codes, first_frames, lengths, samples, peaks)
    actual = samples / INT16_STEPS if sample_dtype == torch.int16 else samples
    for row, frames in enumerate(LENGTHS):
        used = frames * spec.samples_per_frame
        compare_row(expected[row, :used], actual[row, :used], peaks[row])


def compare_row(expected: Tensor, actual: Tensor, peak: Tensor) -> None:
    """Raise KernelError unless the samples and their peak are within `LEAST_DB`."""
    tolerance = 10 ** (-LEAST_DB / 20)  # of an amplitude
    error = float((expected - actual).norm())
    if not error <= tolerance * float(expected.norm()):  # a NaN too
        raise KernelError(f"{len(expected)} samples differ from PyTorch's by {error:.3g}")
    largest = float(expected.abs().max())
    if not abs(float(peak) - largest) <= tolerance * largest:
        raise KernelError(f"a peak is {float(peak):.3g} instead of {largest:.3g}")
