"""The choice between the decoder of fused kernels and the network of a codec."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from app.codec import CodeWindow
from app.codec import torch_load as loading
from app.codec.batch_decoder import BatchDecoder, network_decoder
from app.codec.eager import EagerCodec, Network
from app.codec.fused.kernels import KernelError
from app.codec.load import CodecOptions, load_codec
from app.codec.registry import CODECS, CodecInfo
from app.errors import LoadError
from tests.codec.host import Host
from tests.codec.toy import SPEC

ROW = CodecInfo(
    loader="tests.codec.toy:load",
    vocabulary=256,
    cpu_batch_frames=64,
    cpu_overhead_frames=4,
    graph_frames=(32,),
    fused_loader=f"{__name__}:load_fused",
)
UNFUSED = "toy decodes without fused kernels: "
calls: list[str] = []
failures: list[Exception] = []
faults: list[str] = []


def tone(codes: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
    values = codes[..., 0] / 256 + 0.1 * first_frames[:, None] % 0.3
    return values.repeat_interleave(SPEC.samples_per_frame, 1)


def load_fused(network: Network, options: Sequence[str], device: torch.device) -> BatchDecoder:
    """A `FusedLoader` whose decoder notes its calls, and has the faults in `faults`."""
    for failure in failures:
        raise failure
    exact = network_decoder(network)

    def decode(
        codes: Tensor, first_frames: Tensor, lengths: Tensor, samples: Tensor, peaks: Tensor
    ) -> None:
        calls.append("fused")
        exact(codes, first_frames, lengths, samples, peaks)
        used = torch.arange(samples.shape[1]) < lengths[:, None] * SPEC.samples_per_frame
        peaks.copy_((samples.abs() * used).amax(1))
        if "one row" in faults:
            samples[1:, : SPEC.samples_per_frame] += 0.3
        if "not finite" in faults:
            samples[0, 0] = torch.nan
        if "padding" in faults:
            samples[2:, SPEC.samples_per_frame :].fill_(5)
        if "peak" in faults:
            peaks[2:] = 0

    return decode


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    for notes in (calls, failures, faults):
        notes.clear()
    monkeypatch.setitem(CODECS, "toy", ROW)
    monkeypatch.setattr(loading, "_load", lambda *_: EagerCodec(SPEC, tone, "cpu"))
    monkeypatch.setattr(loading, "Cuda", lambda _: Host())


def fused_calls(**options: bool) -> list[str]:
    """Load the codec and decode a window; return the calls of the fused decoder in it."""
    codec = load_codec(
        CodecOptions("toy", "random", dtype="float32", max_batch=1, **options),  # type: ignore[arg-type]
        "cuda",
    )
    calls.clear()
    codes = np.full((3, 1), 64, np.int32)
    (samples,) = codec.decode([CodeWindow(codes)])
    assert np.allclose(samples, 0.25)
    return calls


def test_a_decoder_that_decodes_as_the_network_is_used(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert fused_calls() == ["fused"]
    assert "toy decodes with fused kernels" in caplog.messages


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("one row", "samples differ from PyTorch's by"),
        ("not finite", "samples differ from PyTorch's by nan"),
        ("peak", "a peak is 0 instead of"),
    ],
)
def test_a_decoder_that_decodes_otherwise_is_not_used(
    fault: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    faults.append(fault)
    assert fused_calls() == []
    (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert warning.getMessage().startswith(UNFUSED)
    assert reason in warning.getMessage()


def test_the_padding_of_a_row_is_not_compared() -> None:
    faults.append("padding")
    assert fused_calls() == ["fused"]


@pytest.mark.parametrize(
    "failure",
    [
        KernelError("libnvrtc.so.13: cannot open shared object file"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED\nat a line"),
        AttributeError("'_OpNamespace' 'aten' object has no attribute 'x'"),
    ],
)
def test_a_decoder_that_cannot_be_loaded_is_not_used(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    failures.append(failure)
    assert fused_calls() == []
    assert UNFUSED + str(failure).partition("\n")[0] in caplog.messages


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    ],
)
def test_too_little_memory_is_an_error_of_the_load(failure: Exception) -> None:
    failures.append(failure)
    with pytest.raises(LoadError, match="too little memory"):
        fused_calls()


def test_a_setting_turns_it_off() -> None:
    failures.append(AssertionError("loaded"))
    assert fused_calls(fused=False) == []
