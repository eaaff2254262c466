"""SNAC's fused kernels, run on a CPU thread by thread, against the network they replace."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.codec.batch_decoder import network_decoder
from app.codec.fused.kernels import type_options
from app.codec.fused.snac import FusedSnacDecoder
from app.codec.snac import SnacDecoder, load_snac
from tests.codec.fused.emulated_kernels import EmulatedKernels, needs_compiler
from tests.codec.fused.rows import Decoded, decode, least_db

pytestmark = [pytest.mark.process, needs_compiler]

LENGTHS = (2, 1)
FIRST_FRAMES = (3, 700)
CODES = torch.randint(
    4096, (2, 2, 7), dtype=torch.int32, generator=torch.Generator().manual_seed(2)
)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> EmulatedKernels:
    folder = tmp_path_factory.mktemp("kernels")
    return EmulatedKernels("snac.cu", type_options(torch.float32, None), folder)


@functools.cache
def network(dtype: torch.dtype = torch.float32) -> SnacDecoder:
    decoder = load_snac("random", device="cpu", dtype=dtype).network
    assert isinstance(decoder, SnacDecoder)
    return decoder


def fused(
    kernels: EmulatedKernels, decoder: SnacDecoder | None = None, codes: Tensor = CODES
) -> Decoded:
    return decode(
        FusedSnacDecoder(decoder or network(), kernels), codes, LENGTHS, 2048, FIRST_FRAMES
    )


def plain(dtype: torch.dtype = torch.float32) -> Decoded:
    return decode(network_decoder(network(dtype)), CODES, LENGTHS, 2048, FIRST_FRAMES)


def test_rows_of_mixed_lengths_are_the_network_s(kernels: EmulatedKernels) -> None:
    forwards = fused(kernels)
    assert least_db(plain().rows, forwards.rows) >= 100
    assert torch.equal(forwards.peaks, torch.stack([row.abs().max() for row in forwards.rows]))
    kernels.backwards = True
    backwards = fused(kernels)
    kernels.backwards = False
    assert all(map(torch.equal, forwards.rows, backwards.rows))


def test_padding_and_other_rows_leave_no_trace(kernels: EmulatedKernels) -> None:
    together = fused(kernels)
    codes = CODES.clone()
    codes[1, 1] = 4095 - codes[1, 1]
    assert all(map(torch.equal, together.rows, fused(kernels, codes=codes).rows))
    decoder = FusedSnacDecoder(network(), kernels)
    alone = decode(decoder, CODES[1:, :1].contiguous(), (1,), 2048, FIRST_FRAMES[1:])
    assert least_db(alone.rows, together.rows[1:]) >= 100


@pytest.mark.parametrize(("dtype", "db"), [(torch.float16, 50), (torch.bfloat16, 33)], ids=str)
def test_half_precision_is_as_near_to_float32_as_the_network(
    dtype: torch.dtype, db: float, tmp_path: Path
) -> None:
    kernels = EmulatedKernels("snac.cu", type_options(dtype, None), tmp_path)
    exact = plain().rows
    narrow = least_db(exact, fused(kernels, network(dtype)).rows)
    assert narrow >= db
    assert narrow >= least_db(exact, plain(dtype).rows) - 1


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("tables", torch.inf),
        ("depthwise", torch.inf),
        ("gain", torch.nan),
        ("last", torch.nan),  # infinity becomes 1, by tanh
    ],
)
def test_weights_that_are_not_finite_reach_the_peaks(
    part: str, value: float, kernels: EmulatedKernels
) -> None:
    """The scheduler finds samples that are not finite by the peaks."""
    decoder = copy.deepcopy(network())
    depthwise = decoder.get_submodule("stages.1.units.0.block.1")
    last = decoder.exit[1]
    assert isinstance(depthwise, nn.Conv1d)
    assert isinstance(last, nn.Conv1d)
    weights = {
        "tables": decoder.tables[0, int(CODES[0, 0, 0])],
        "depthwise": depthwise.weight.data,
        "gain": decoder.get_parameter("stages.3.gain.weight").data,
        "last": last.weight.data,
    }
    weights[part].flatten()[0] = value
    decoded = decode(
        FusedSnacDecoder(decoder, kernels), CODES[:1, :1].contiguous(), (1,), 2048, (0,)
    )
    assert not decoded.peaks.isfinite().any()
