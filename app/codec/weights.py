# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Codec weights: found in a folder or on the hub, read without the encoder, or drawn at random."""

from __future__ import annotations

import logging
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

import httpx
import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from app.errors import LoadError

RANDOM = "random"
DtypeSetting = Literal["auto", "float32", "bfloat16", "float16"]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Tensors = dict[str, Tensor]

log = logging.getLogger(__name__)


class CodecWeightsError(LoadError):
    """Weights that cannot be found, reached or read; the message is one line that says which and why."""


def pick_dtype(setting: DtypeSetting, device: str) -> torch.dtype:
    """The type of a decoder's matrices.

    `auto`: float16 on a GPU (17 dB nearer to float32 than bfloat16, at the same speed), bfloat16 on a CPU that
    multiplies it, else float32.
    """
    if setting != "auto":
        return DTYPES[setting]
    if torch.device(device).type == "cuda":
        return torch.float16
    native = any(torch.cpu.get_capabilities().get(flag) for flag in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if native else torch.float32


def find_file(weights: str, *names: str) -> Path:
    """The first of `names` that exists in a folder or a hub repository; `weights` itself if it is a file.

    Raises:
        CodecWeightsError: nothing there, or the hub cannot be reached.
    """
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        found = [path / name for name in names if (path / name).is_file()]
        if not found:
            raise CodecWeightsError(f"{weights}: the folder has no {' or '.join(names)}")
        return found[0]
    if path.is_absolute() or weights.startswith((".", "~")):
        raise CodecWeightsError(f"{weights}: no such file or folder")
    return _download(weights, names)


def _download(repository: str, names: tuple[str, ...]) -> Path:
    wanted = " or ".join(names)
    try:
        # A cached copy is used without asking: an unreachable hub costs 30 s of retries otherwise.
        cached = [path for name in names if isinstance(path := try_to_load_from_cache(repository, name), str)]
        if cached:
            return Path(cached[0])
        for name in names:
            with suppress(RemoteEntryNotFoundError):
                return Path(hf_hub_download(repository, name))
    except (HFValidationError, RepositoryNotFoundError) as exc:
        raise CodecWeightsError(f"{repository}: neither a folder nor a repository that the hub shows us") from exc
    except LocalEntryNotFoundError as exc:
        raise CodecWeightsError(
            f"{repository}: the hub cannot be reached and its cache here has no {wanted}; "
            "name a local folder, or `random` to run everything but the sound"
        ) from exc
    except (httpx.HTTPError, OSError) as exc:
        raise CodecWeightsError(f"{repository}: {wanted} cannot be downloaded ({type(exc).__name__})") from exc
    raise CodecWeightsError(f"{repository}: the repository has no {wanted}")


def read_tensors(path: Path, prefixes: tuple[str, ...]) -> Tensors:
    """The tensors whose names start with one of `prefixes`, by name, mapped from the file until they are copied.

    Raises:
        CodecWeightsError: not a safetensors file or a pickle of tensors, or no such tensor in it.
    """
    try:
        tensors = _read_safetensors(path, prefixes) if path.suffix == ".safetensors" else _read_pickle(path, prefixes)
    except (OSError, RuntimeError, EOFError, ValueError, SafetensorError, pickle.UnpicklingError) as exc:
        raise CodecWeightsError(f"{path}: not a readable file of weights ({type(exc).__name__})") from exc
    if not tensors:
        raise CodecWeightsError(f"{path}: has no tensor named {' or '.join(f'{prefix}*' for prefix in prefixes)}")
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
    """Seeded random parameters of `module`: matrices that keep a signal's size, norms and biases at rest."""
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
