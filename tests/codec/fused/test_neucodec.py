"""NeuCodec's fused kernels, run on a CPU thread by thread, against the network they replace."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.codec.batch_decoder import INT16_STEPS, network_decoder
from app.codec.fused.kernels import KernelError, type_options
from app.codec.fused.neucodec import FusedVocosDecoder
from app.codec.neucodec.decoder import Size, VocosDecoder
from app.codec.neucodec.load import load_neucodec
from tests.codec.fused import rows
from tests.codec.fused.emulated_kernels import EmulatedKernels, needs_compiler
from tests.codec.fused.rows import Decoded, least_db

pytestmark = [pytest.mark.process, needs_compiler]

HOP = 480
LENGTHS = (11, 4, 1)
SIZE = Size(width=1024, depth=1)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> EmulatedKernels:
    folder = tmp_path_factory.mktemp("kernels")
    return EmulatedKernels("neucodec.cu", type_options(torch.float32, None), folder)


def network(dtype: torch.dtype = torch.float32) -> VocosDecoder:
    """NeuCodec's decoder, one layer deep, with random norms and biases too."""
    decoder = copy.deepcopy(float32_network())
    for name, layer in decoder.named_modules():
        if isinstance(layer, nn.Linear) and name not in ("code", "head"):
            layer.to(dtype)
    return decoder


@functools.cache
def float32_network() -> VocosDecoder:
    codec = load_neucodec(
        "random", device="cpu", dtype=torch.float32, left_context_frames=50, size=SIZE
    )
    decoder = codec.network
    assert isinstance(decoder, VocosDecoder)
    generator = torch.Generator().manual_seed(1)
    for parameter in decoder.parameters():
        if parameter.ndim == 1:
            parameter.data.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return decoder


def random_codes(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(65_536, (*shape, 1), dtype=torch.int32, generator=generator)


CODES = random_codes(len(LENGTHS), max(LENGTHS))


def decode(
    decoder: VocosDecoder,
    kernels: EmulatedKernels | None,
    codes: Tensor = CODES,
    lengths: Sequence[int] = LENGTHS,
    dtype: torch.dtype = torch.float32,
) -> Decoded:
    """Decode with the kernels, or by torch's operations; `dtype` is that of the samples."""
    by = network_decoder(decoder) if kernels is None else FusedVocosDecoder(decoder, kernels)
    return rows.decode(by, codes, lengths, HOP, dtype=dtype)


def test_rows_of_mixed_lengths_are_the_network_s(kernels: EmulatedKernels) -> None:
    decoder = network()
    expected, actual = decode(decoder, None), decode(decoder, kernels)
    assert least_db(expected.rows, actual.rows) >= 100
    largest = torch.stack([row.abs().max() for row in actual.rows])
    assert torch.equal(actual.peaks, largest)


def test_no_thread_depends_on_the_order_of_the_threads(kernels: EmulatedKernels) -> None:
    decoder = network()
    forwards = decode(decoder, kernels)
    kernels.backwards = True
    backwards = decode(decoder, kernels)
    kernels.backwards = False
    assert all(map(torch.equal, forwards.rows, backwards.rows))
    assert torch.equal(forwards.peaks, backwards.peaks)


def test_padding_and_other_rows_leave_no_trace(kernels: EmulatedKernels) -> None:
    decoder = network()
    together = decode(decoder, kernels)
    other_padding = CODES.clone()
    for row, frames in zip(other_padding, LENGTHS, strict=True):
        row[frames:] = 65_535 - row[frames:]
    assert all(map(torch.equal, together.rows, decode(decoder, kernels, other_padding).rows))
    reversed_rows = decode(decoder, kernels, CODES.flip(0).contiguous(), LENGTHS[::-1])
    assert least_db(together.rows, reversed_rows.rows[::-1]) >= 100
    for codes, frames, row in zip(CODES, LENGTHS, together.rows, strict=True):
        alone = decode(decoder, kernels, codes[None, :frames].contiguous(), (frames,))
        assert least_db(alone.rows, [row]) >= 100


def test_int16_samples_are_the_rounded_ones_and_do_not_wrap_round(
    kernels: EmulatedKernels, tmp_path: Path
) -> None:
    int16 = EmulatedKernels("neucodec.cu", type_options(torch.float32, INT16_STEPS), tmp_path)
    decoder = network()
    for gain in (1, 30):
        decoder.window /= gain  # the sum of windowed samples is divided by that of the squares
        expected = decode(decoder, kernels)
        actual = decode(decoder, int16, dtype=torch.int16)
        assert (float(expected.peaks.max()) > 2) == (gain > 1)
        for floats, ints in zip(expected.rows, actual.rows, strict=True):
            rounded = (floats * INT16_STEPS).round().clamp(-32_768, 32_767)
            assert (rounded - ints).abs().max() <= 1
        assert torch.equal(expected.peaks, actual.peaks)


@pytest.mark.parametrize(("dtype", "db"), [(torch.float16, 50), (torch.bfloat16, 33)], ids=str)
def test_half_precision_is_as_near_to_float32_as_the_network(
    dtype: torch.dtype, db: float, tmp_path: Path
) -> None:
    kernels = EmulatedKernels("neucodec.cu", type_options(dtype, None), tmp_path)
    exact = decode(network(), None).rows
    narrow = network(dtype)
    fused = least_db(exact, decode(narrow, kernels).rows)
    assert fused >= db
    assert fused >= least_db(exact, decode(narrow, None).rows) - 2


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("code.bias", torch.nan),
        ("embed.bias", torch.inf),
        ("prior_net.0.norm1.weight", torch.nan),
        ("prior_net.0.conv1.bias", torch.inf),
        ("transformers.0.qkv.weight", torch.inf),
        ("post_net.1.norm2.bias", torch.nan),
        ("post_net.1.conv2.bias", torch.inf),
        ("head.bias", torch.nan),
    ],
)
def test_weights_that_are_not_finite_reach_the_peaks(
    parameter: str, value: float, kernels: EmulatedKernels
) -> None:
    """The scheduler finds samples that are not finite by the peaks."""
    decoder = network()
    decoder.get_parameter(parameter).data.flatten()[0] = value
    decoded = decode(decoder, kernels, CODES[:1, :2].contiguous(), (2,))
    assert not decoded.peaks.isfinite().any()


def test_a_row_that_is_not_finite_does_not_affect_the_others(kernels: EmulatedKernels) -> None:
    decoder = network()
    decoder.code.weight.data[:, 0] = 3e38
    codes = CODES.clone()
    codes[0] &= ~0b01
    codes[0] |= 0b10  # the lowest digit is 2, whose value is 0
    peaks = decode(decoder, kernels, codes).peaks
    assert peaks.isfinite().tolist() == [True, False, False]


def test_another_width_is_rejected(kernels: EmulatedKernels) -> None:
    with pytest.raises(KernelError, match="1024"):
        FusedVocosDecoder(VocosDecoder(Size(width=128, depth=1)), kernels)
