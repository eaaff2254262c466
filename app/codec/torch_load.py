"""Loading of a codec that needs torch, on the devices of DEVICE."""

from __future__ import annotations

import contextlib
import logging
import math
from pkgutil import resolve_name
from typing import Protocol, cast

import numpy as np
import torch

from app import metrics
from app.codec import Codec, CodeWindow, OutOfMemory, Report, VoiceEncoder
from app.codec.batch_decoder import BatchDecoder, network_decoder
from app.codec.cuda import Accelerator, Cuda, cuda_error, machine_has_gpu
from app.codec.device_errors import map_device_errors
from app.codec.eager import EagerCodec
from app.codec.fused.kernels import KernelError
from app.codec.fused.load import load_fused
from app.codec.graph_grid import Grid
from app.codec.graphs import GraphedCodec
from app.codec.load import CodecOptions
from app.codec.registry import CODECS, CodecName
from app.codec.weights import pick_dtype
from app.errors import LoadError

log = logging.getLogger(__name__)
WARM_UP_FRAMES = 32


class Loader(Protocol):
    """Function that loads the decoder of a codec; raises LoadError."""

    def __call__(
        self, options: CodecOptions, device: str, dtype: torch.dtype, report: Report
    ) -> EagerCodec: ...


class EncoderLoader(Protocol):
    """Function that loads the encoder of a codec; raises LoadError."""

    def __call__(self, weights: str, device: str) -> VoiceEncoder: ...


def pick_devices(setting: str) -> tuple[str, ...]:
    """Return the torch devices of DEVICE; `auto` is cuda if torch can use it, else cpu.

    Raises:
        LoadError: torch cannot use a CUDA device, or a device is named twice or does not exist.
    """
    if setting == "auto":
        return ("cuda" if torch.cuda.is_available() else "cpu",)
    devices = tuple(setting.split(","))
    if "cpu" not in devices and not torch.cuda.is_available():
        raise LoadError(f"DEVICE={setting}: torch cannot use CUDA ({cuda_error()})")
    if len(set(devices)) < len(devices):
        raise LoadError(f"DEVICE={setting}: a device is named twice")
    for name in devices:
        if name != "cpu" and (torch.device(name).index or 0) >= torch.cuda.device_count():
            numbers = ", ".join(f"cuda:{index}" for index in range(torch.cuda.device_count()))
            raise LoadError(f"DEVICE={setting}: there is no {name}, only {numbers}")
    return devices


def gpu_problem() -> str | None:
    """Return the reason why torch cannot use the GPU of this machine; None: it can, or none."""
    return cuda_error() if machine_has_gpu() and not torch.cuda.is_available() else None


def load_codec(options: CodecOptions, device: str, report: Report = log.info) -> Codec:
    """Load the decoder of a codec from a hub id, a local folder, or "random", and warm it up.

    `report` is called with the progress.

    Raises:
        LoadError: the weights cannot be loaded, or the device has too little memory.
    """
    try:
        return _load_and_capture(options, device, report)
    except OutOfMemory as exc:
        raise LoadError(
            f"DEVICE={device} has too little memory for the codec ({exc}); lower MAX_BATCH_SIZE "
            "or the --gpu-memory-utilization of a vLLM on the same device, or set "
            "CUDA_GRAPH_LENGTHS_S=[]"
        ) from None


@map_device_errors
def _load_and_capture(options: CodecOptions, device: str, report: Report) -> Codec:
    accelerator = None if device == "cpu" else Cuda(device)
    if accelerator is None:
        # A decode worker uses one core; two threads were slower on a busy machine.
        torch.set_num_threads(1)
    else:
        # TF32 products, cuDNN's default, differ from float32 by 64 dB (signal to noise).
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        # On H100 and later torch prefers cuDNN's attention. It builds a plan for each shape and
        # thread (about 30 ms), and has none for some masks ("No valid execution plans built").
        torch.backends.cuda.enable_cudnn_sdp(False)
    dtype = pick_dtype(options.dtype, device)
    codec = _load(options, device, dtype, report)
    if dtype == torch.float16 and options.dtype == "auto" and not _decodes_finite(codec):
        log.warning("%s overflows in float16: using bfloat16", options.name)
        dtype = torch.bfloat16
        codec = _load(options, device, dtype, report)
    log.info("%s codec on %s in %s", options.name, device, dtype)
    grid = None if accelerator is None else graph_grid(options, codec)
    if accelerator is None or grid is None:
        _decodes_finite(codec)  # warm-up: the first call creates plans and allocates memory
        if accelerator is not None:
            _report_memory(accelerator)
        return codec
    sample_dtype = torch.float32 if dtype == torch.float32 else torch.int16
    graphed = GraphedCodec(
        codec,
        accelerator,
        grid,
        int16_samples=sample_dtype == torch.int16,
        decoder=_pick_decoder(options, codec, dtype, sample_dtype),
    )
    graphed.capture(report)
    _report_memory(accelerator)
    return graphed


def _report_memory(accelerator: Accelerator) -> None:
    taken_bytes = accelerator.memory_bytes()
    metrics.DECODE_MEMORY.labels(str(accelerator.device)).set(taken_bytes)
    log.info("the codec takes %.0f MB of %s", taken_bytes / 1e6, accelerator.device)


def _pick_decoder(
    options: CodecOptions, codec: EagerCodec, dtype: torch.dtype, sample_dtype: torch.dtype
) -> BatchDecoder:
    """Return the decoder of fused kernels if there is one and it works, else the network's."""
    loader = CODECS[options.name].fused_loader
    if options.compiled or not options.fused or loader is None:
        return network_decoder(codec.network, compiled=options.compiled)
    try:
        decoder = load_fused(loader, codec, dtype, sample_dtype)
    except KernelError as exc:
        log.warning("%s decodes without fused kernels: %s", options.name, exc)
        return network_decoder(codec.network)
    log.info("%s decodes with fused kernels", options.name)
    return decoder


def load_encoder(name: CodecName, weights: str, device: str) -> VoiceEncoder:
    """Load the encoder of a codec from a hub id, a local folder, or "random".

    It runs on the CPU if the device has too little memory for it beside the codec.

    Raises:
        LoadError: the codec has no encoder, or its weights cannot be loaded.
    """
    encoder = CODECS[name].encoder
    if encoder is None:
        raise LoadError(f"the codec {name} has no encoder")
    loader = map_device_errors(cast("EncoderLoader", resolve_name(encoder.loader)))
    if device != "cpu":
        with contextlib.suppress(OutOfMemory):  # another process may take the memory meanwhile
            if torch.cuda.mem_get_info(device)[0] >= encoder.free_bytes:
                return loader(weights, device)
        log.warning(
            "the voice encoder runs on the CPU: %s has less than %.1f GB of free memory",
            device,
            encoder.free_bytes / 1e9,
        )
    try:
        return loader(weights, "cpu")
    except OutOfMemory as exc:
        raise LoadError(f"too little memory for the voice encoder ({exc})") from None


def graph_grid(options: CodecOptions, codec: Codec) -> Grid | None:
    """Return the shapes to capture as graphs, or None if there are none.

    The longest window is always among the lengths, because most windows of a long stream have it.
    """
    info, spec = CODECS[options.name], codec.spec
    if not info.graph_frames or options.graph_s == ():
        return None
    if options.graph_s is None:
        return Grid.up_to(options.max_batch, info.graph_frames)
    step = info.graph_frame_step
    lengths = [
        math.ceil(round(seconds * spec.frames_per_s) / step) * step for seconds in options.graph_s
    ]
    shorter = (frames for frames in lengths if 0 < frames < spec.max_window_frames)
    return Grid.up_to(options.max_batch, (*shorter, spec.max_window_frames))


def _load(options: CodecOptions, device: str, dtype: torch.dtype, report: Report) -> EagerCodec:
    loader = cast("Loader", resolve_name(CODECS[options.name].loader))
    return loader(options, device, dtype, report)


def _decodes_finite(codec: EagerCodec) -> bool:
    """True if decoding random codes gives finite samples."""
    shape = WARM_UP_FRAMES, codec.spec.codes_per_frame
    codes = np.random.default_rng(0).integers(0, codec.spec.vocabulary, shape, np.int32)
    return bool(np.isfinite(codec.decode([CodeWindow(codes)])[0]).all())
