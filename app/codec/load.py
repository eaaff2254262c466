"""Loading of the codec of a profile. The built-in codec loads without torch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from pkgutil import resolve_name
from types import ModuleType
from typing import Protocol, cast

from app.codec import Codec, Report, VoiceEncoder
from app.codec.registry import CODECS, CodecName, Dtype
from app.errors import LoadError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CodecOptions:
    """The codec to load, and how to run it.

    Args:
        left_context_s: context of codecs whose windows are not exact. None: the codec's default.
        graph_s: lengths of captured decode calls in seconds, beside the longest window. None: those
            of the registry; empty: no graphs.
        compiled: use torch.compile.
        fused: use fused CUDA kernels where the codec has them.
        max_batch: maximum number of windows in one call.
    """

    name: CodecName
    weights: str
    dtype: Dtype = "auto"
    left_context_s: float | None = None
    graph_s: tuple[float, ...] | None = None
    compiled: bool = False
    fused: bool = True
    max_batch: int = 32


class BundledLoader(Protocol):
    """Function that loads a codec whose weights ship with the service."""

    def __call__(self) -> Codec: ...


def pick_devices(name: CodecName, setting: str) -> tuple[str, ...]:
    """Return the devices of DEVICE for a codec; `auto` is cuda if there is one, else cpu.

    A codec that ships with the service runs on the CPU.

    Raises:
        LoadError: there is no CUDA device, or a device is named twice; or torch is missing.
    """
    if CODECS[name].bundled:
        return ("cpu",)
    return cast("tuple[str, ...]", _torch_load(name).pick_devices(setting))


def gpu_problem(name: CodecName) -> str | None:
    """Return the reason why torch cannot use the GPU of this machine for a codec.

    None: it can, there is no GPU, or the codec runs on the CPU.
    """
    if CODECS[name].bundled:
        return None
    return cast("str | None", _torch_load(name).gpu_problem())


def load_codec(options: CodecOptions, device: str, report: Report = log.info) -> Codec:
    """Load the decoder of a codec: the bundled one, or from a hub id, a local folder, or "random".

    `report` is called with the progress.

    Raises:
        LoadError: the weights cannot be loaded, the device has too little memory, or torch is
            missing.
    """
    info = CODECS[options.name]
    if info.bundled:
        loader = cast("BundledLoader", resolve_name(info.loader))
        return loader()
    return cast("Codec", _torch_load(options.name).load_codec(options, device, report))


def load_encoder(name: CodecName, weights: str, device: str) -> VoiceEncoder:
    """Load the encoder of a codec from a hub id, a local folder, or "random".

    Raises:
        LoadError: the codec has no encoder, its weights cannot be loaded, or torch is missing.
    """
    if CODECS[name].encoder is None:
        raise LoadError(f"the codec {name} has no encoder")
    return cast("VoiceEncoder", _torch_load(name).load_encoder(name, weights, device))


def _torch_load(name: CodecName) -> ModuleType:
    try:
        return import_module("app.codec.torch_load")
    except ModuleNotFoundError as exc:
        raise LoadError(
            f"the codec {name} needs the package {exc.name}, which is not installed"
        ) from None
