"""Loads the codec that a profile names."""

from __future__ import annotations

import logging
from typing import Literal

import torch

from app.codec import Codec
from app.codec.weights import pick_dtype
from app.errors import LoadError

log = logging.getLogger(__name__)
CodecName = Literal["neucodec", "snac", "builtin"]
CPU_LEFT_CONTEXT_S, GPU_LEFT_CONTEXT_S = 1.0, 3.0  # context is paid for in full on a CPU, hardly on a GPU
NEUCODEC_FRAMES_PER_S = 50


def pick_device(setting: str) -> str:
    """The torch device of DEVICE; auto is cuda where there is one.

    Raises:
        LoadError: there is no such device.
    """
    if setting.startswith("cuda") and not torch.cuda.is_available():
        raise LoadError(f"DEVICE={setting}: torch finds no CUDA device")
    if setting != "auto":
        return setting
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_codec(
    name: CodecName,
    weights: str,
    *,
    device: str,
    dtype: Literal["auto", "float32", "bfloat16"],
    left_context_s: float | None,
) -> Codec:
    """Load a codec's decoder from a hub id, a local folder, or "random".

    Raises:
        LoadError: the weights cannot be had, or are not this codec's.
    """
    if device == "cpu":
        torch.set_num_threads(1)  # a decode worker is a core; two threads were slower on a busy machine
    if name == "builtin":
        from app.codec.builtin import load_builtin_codec  # noqa: PLC0415

        return load_builtin_codec(device=device)
    chosen = pick_dtype(dtype, device)
    log.info("%s codec on %s in %s", name, device, chosen)
    if name == "snac":
        from app.codec.snac import load_snac  # noqa: PLC0415

        return load_snac(weights, device=device, dtype=chosen)
    from app.codec.neucodec import load_neucodec  # noqa: PLC0415

    seconds = (
        left_context_s
        if left_context_s is not None
        else (CPU_LEFT_CONTEXT_S if device == "cpu" else GPU_LEFT_CONTEXT_S)
    )
    return load_neucodec(
        weights, device=device, dtype=chosen, left_context_frames=round(seconds * NEUCODEC_FRAMES_PER_S)
    )
