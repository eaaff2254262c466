# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Codec weights: read from a file without those of the encoder, or drawn at random."""

from __future__ import annotations

import logging
import pickle
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from app.codec.hub import CodecWeightsError
from app.codec.registry import Dtype

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Tensors = dict[str, Tensor]

log = logging.getLogger(__name__)


def pick_dtype(setting: Dtype, device: str) -> torch.dtype:
    """Return the type of the matrices of a decoder.

    `auto`: float16 on a GPU (17 dB nearer to float32 than bfloat16, at the same speed), bfloat16 on
    a CPU that has bfloat16 products, else float32.
    """
    if setting != "auto":
        return DTYPES[setting]
    if torch.device(device).type == "cuda":
        return torch.float16
    capabilities = torch.cpu.get_capabilities()
    native = any(capabilities.get(flag) for flag in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if native else torch.float32


def read_tensors(path: Path, prefixes: tuple[str, ...]) -> Tensors:
    """Return, by name, the tensors whose names start with one of `prefixes`.

    They are memory-mapped from the file.

    Raises:
        CodecWeightsError: not a safetensors file or a pickle of tensors, or no such tensor in it.
    """
    read = _read_safetensors if path.suffix == ".safetensors" else _read_pickle
    try:
        tensors = read(path, prefixes)
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as exc:
        raise CodecWeightsError(
            f"{path}: not a readable file of weights ({type(exc).__name__})"
        ) from exc
    if not tensors:
        patterns = " or ".join(f"{prefix}*" for prefix in prefixes)
        raise CodecWeightsError(f"{path}: has no tensor named {patterns}")
    return tensors


def _read_safetensors(path: Path, prefixes: tuple[str, ...]) -> Tensors:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefixes)}  # noqa: SIM118


def _read_pickle(path: Path, prefixes: tuple[str, ...]) -> Tensors:
    # Files written before torch 1.6 are not archives and cannot be mapped.
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    if not isinstance(content, dict):
        raise ValueError("not a mapping of names to tensors")
    return {str(name): value for name, value in content.items() if str(name).startswith(prefixes)}


def draw_tensors(module: nn.Module, seed: int) -> Tensors:
    """Draw parameters of `module` from a seed, and log a warning.

    Matrices keep the variance of a signal; norms are one and biases zero.
    """
    log.warning("RANDOM CODEC WEIGHTS: the audio of %s will be noise", type(module).__name__)
    generator = torch.Generator().manual_seed(seed)
    tensors: Tensors = {}
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            tensors[name] = torch.zeros(parameter.shape)
        elif parameter.ndim < 2 or name.endswith("alpha"):
            tensors[name] = torch.ones(parameter.shape)
        else:
            std = parameter[0].numel() ** -0.5
            tensors[name] = torch.empty(parameter.shape).normal_(std=std, generator=generator)
    return tensors
