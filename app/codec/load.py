"""Loads the codec that a profile names, on each device that DEVICE names."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from app.codec import Codec, CodeWindow, OutOfMemory
from app.codec.eager import EagerCodec
from app.codec.faults import translated
from app.codec.grid import Grid
from app.codec.hub import Report
from app.codec.weights import DtypeSetting, pick_dtype
from app.errors import LoadError

log = logging.getLogger(__name__)
CodecName = Literal["neucodec", "snac", "builtin"]
CPU_LEFT_CONTEXT_S, GPU_LEFT_CONTEXT_S = (
    1.0,
    3.0,
)  # context is paid for in full on a CPU, hardly on a GPU
NEUCODEC_FRAMES_PER_S = 50
WARM_FRAMES = 32
GRAPH_FRAMES = {"neucodec": (32, 64, 96, 128, 192, 256, 384), "snac": (8, 12, 16, 24, 32, 64)}


@dataclass(frozen=True, slots=True)
class CodecChoice:
    """What is to be loaded, and how it is to run.

    `graph_s`: lengths of captured decode calls in seconds (None: GRAPH_FRAMES; empty: no graphs); `compiled`:
    through torch.compile; `max_batch`: most windows in one call.
    """

    name: CodecName
    weights: str
    dtype: DtypeSetting = "auto"
    left_context_s: float | None = None
    graph_s: tuple[float, ...] | None = None
    compiled: bool = False
    max_batch: int = 32


def pick_devices(setting: str) -> tuple[str, ...]:
    """The torch devices of DEVICE, which may name several; auto is cuda where there is one.

    Raises:
        LoadError: there is no such device, or one is named twice.
    """
    if setting == "auto":
        return ("cuda" if torch.cuda.is_available() else "cpu",)
    devices = tuple(setting.split(","))
    if "cpu" not in devices and not torch.cuda.is_available():
        raise LoadError(f"DEVICE={setting}: torch finds no CUDA device")
    if len(set(devices)) < len(devices):
        raise LoadError(f"DEVICE={setting}: a device is named twice")
    return devices


def load_codec(choice: CodecChoice, device: str, report: Report = log.info) -> Codec:
    """Load a codec's decoder from a hub id, a local folder, or "random", and make it warm.

    `report` is told how far a long start has come.

    Raises:
        LoadError: the weights cannot be had, or are not this codec's; or the device has no room for it now.
    """
    try:
        return _load_and_capture(choice, device, report)
    except OutOfMemory as exc:
        raise LoadError(
            f"DEVICE={device} has no room for the codec ({exc}); a smaller MAX_BATCH_SIZE or fewer, shorter "
            "CUDA_GRAPH_BATCH need less, and so does a lower --gpu-memory-utilization of a vLLM beside it"
        ) from None


@translated
def _load_and_capture(choice: CodecChoice, device: str, report: Report) -> Codec:
    on_cpu = device == "cpu"
    if on_cpu:
        torch.set_num_threads(
            1
        )  # a decode worker is a core; two threads were slower on a busy machine
    else:
        # Float32 means float32: products in TF32, cuDNN's default, would be 64 dB from it.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    dtype = pick_dtype(choice.dtype, device)
    codec = _load(choice, device, dtype, report)
    if dtype == torch.float16 and choice.dtype == "auto" and not _finite(codec):
        log.warning("%s overflows in float16: using bfloat16", choice.name)
        dtype = torch.bfloat16
        codec = _load(choice, device, dtype, report)
    log.info(
        "%s codec on %s in %s",
        choice.name,
        device,
        "float32" if choice.name == "builtin" else dtype,
    )
    grid = None if on_cpu else graph_grid(choice, codec)
    if grid is None:
        _finite(codec)  # the first call of a shape pays for plans and memory
        return codec
    from app.codec.accelerator import Cuda  # noqa: PLC0415  (CUDA only)
    from app.codec.graphs import GraphedCodec  # noqa: PLC0415

    narrow = dtype != torch.float32
    graphed = GraphedCodec(codec, Cuda(device), grid, narrow=narrow, compiled=choice.compiled)
    graphed.capture(report)
    return graphed


def graph_grid(choice: CodecChoice, codec: Codec) -> Grid | None:
    """The shapes to capture, or None for none."""
    if choice.name not in GRAPH_FRAMES or choice.graph_s == ():
        return None
    frames = GRAPH_FRAMES[choice.name]
    if choice.graph_s is not None:
        frames = tuple(
            max(1, round(seconds * codec.spec.frames_per_s)) for seconds in choice.graph_s
        )
    return Grid.up_to(choice.max_batch, frames)


def _load(choice: CodecChoice, device: str, dtype: torch.dtype, report: Report) -> EagerCodec:
    if choice.name == "builtin":
        from app.codec.builtin import load_builtin_codec  # noqa: PLC0415

        return load_builtin_codec(device=device)
    if choice.name == "snac":
        from app.codec.snac import load_snac  # noqa: PLC0415

        return load_snac(choice.weights, device=device, dtype=dtype, report=report)
    from app.codec.neucodec import load_neucodec  # noqa: PLC0415

    usual_s = CPU_LEFT_CONTEXT_S if device == "cpu" else GPU_LEFT_CONTEXT_S
    seconds = usual_s if choice.left_context_s is None else choice.left_context_s
    frames = round(seconds * NEUCODEC_FRAMES_PER_S)
    return load_neucodec(
        choice.weights, device=device, dtype=dtype, left_context_frames=frames, report=report
    )


def _finite(codec: EagerCodec) -> bool:
    """Whether any codes become sound."""
    shape = WARM_FRAMES, codec.spec.codes_per_frame
    codes = np.random.default_rng(0).integers(0, codec.spec.vocabulary, shape, np.int32)
    return bool(np.isfinite(codec.decode([CodeWindow(codes)])[0]).all())
