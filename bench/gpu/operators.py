"""Part `operators`: operators of torch that differ between devices, checked alone.

Masked attention has several implementations, and the choice depends on the device. The inverse FFT
must ignore the imaginary part of the first and the last bin, as it does on a CPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from app.codec.neucodec.decoder import HEAD_WIDTH, WINDOW_SAMPLES, Rows
from bench.gpu.codecs import db
from bench.gpu.machine import name_of
from bench.gpu.setup import Setup
from bench.gpu.steps import Row, Steps
from bench.gpu.timing import device_ms, wall_ms

HEADS = 16
LEAST_DB = {torch.float32: 90.0, torch.float16: 50.0, torch.bfloat16: 35.0}
SHAPES = ((1, 32), (2, 64), (3, 96), (32, 128), (32, 384), (2, 100))  # rows, frames
BACKENDS = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
FFT_ROWS = (1, 32, 4096, 12_288)
BINS = WINDOW_SAMPLES // 2 + 1


def run(steps: Steps, setup: Setup) -> None:
    """Print the steps of this part."""
    torch.backends.cuda.enable_cudnn_sdp(False)  # as `app.codec.torch_load` does
    for dtype in (torch.float32,) if setup.host else tuple(LEAST_DB):
        steps.run(f"attention_{name_of(dtype)}", partial(attention, setup, dtype))
    steps.run("irfft", lambda: inverse_fft(setup))


def attention(setup: Setup, dtype: torch.dtype) -> Row:
    """Compare masked attention with float64, for each implementation; `served` is the service's."""
    rows: Row = {}
    is_near = True
    for batch, frames in SHAPES[1:2] if setup.host else SHAPES:
        qkv = torch.randn(batch, frames, 3, HEADS, HEAD_WIDTH, device=setup.device).to(dtype)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        lengths = torch.randint(1, frames + 1, (batch,), device=setup.device)
        lengths[0] = frames
        bias = Rows.of(lengths, frames, dtype).bias
        exact = scaled_dot_product_attention(
            query.double(), key.double(), value.double(), attn_mask=bias.double()
        )
        call = partial(scaled_dot_product_attention, query, key, value, attn_mask=bias)
        row: dict[str, Row] = {"served": implementation(setup, call, exact)}
        for name, backend in {} if setup.host else BACKENDS.items():
            with sdpa_kernel(backend):
                row[name] = implementation(setup, call, exact)
        is_near = is_near and float(str(row["served"].get("db", -999))) >= LEAST_DB[dtype]
        rows[f"{batch}x{frames}"] = row
    return {"ok": is_near, **rows}


def implementation(setup: Setup, call: Callable[[], Tensor], exact: Tensor) -> Row:
    """Return deviation and times of one implementation, or the error if it refuses the call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one for each reason of a refusal
        try:
            first_ms = wall_ms(setup, call)
            return {
                "db": db(exact.cpu(), call().double().cpu()),
                "ms": round(device_ms(setup, call), 4),
                "first_ms": round(first_ms, 1),
            }
        except RuntimeError as exc:
            return {"error": str(exc)[:80]}


def inverse_fft(setup: Setup) -> Row:
    """Compare the inverse FFT with the CPU's; `first_ms` includes the creation of its plan."""
    rows: Row = {}
    is_near = True
    for batch in FFT_ROWS[:2] if setup.host else FFT_ROWS:
        spectrum = torch.randn(batch, BINS, dtype=torch.complex64)
        on_device = spectrum.to(setup.device)
        call = partial(torch.fft.irfft, on_device, WINDOW_SAMPLES)
        first_ms = wall_ms(setup, call)
        near_db = db(torch.fft.irfft(spectrum, WINDOW_SAMPLES), call().cpu())
        is_near = is_near and near_db >= LEAST_DB[torch.float32]
        rows[str(batch)] = {
            "db": near_db,
            "ms": round(device_ms(setup, call), 4),
            "first_ms": round(first_ms, 1),
        }
    return {"ok": is_near, **rows}
