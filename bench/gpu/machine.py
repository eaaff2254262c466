"""Part `machine`: versions, and the limits that the device sets to the codecs."""

from __future__ import annotations

import os
import shutil
import subprocess

import torch
from torch.nn import functional

from bench.gpu.setup import Setup
from bench.gpu.steps import Row, Steps
from bench.gpu.timing import device_ms

SMI_FIELDS = "name,driver_version,memory.total,memory.used,clocks.sm,clocks.mem"
COPIED_BYTES = 1 << 30
PINNED_SAMPLES = 32 * 384 * 480  # of the largest batch of NeuCodec
TINY_KERNELS = 200
# Products of NeuCodec: rows (windows x frames), outputs, inputs.
HALF_PRODUCTS = (
    (64, 1024, 1024),
    (512, 3072, 1024),
    (4096, 4096, 1024),
    (12_288, 4096, 1024),
    (12_288, 1024, 4096),
    (12_288, 1024, 3072),
)
HEAD_PRODUCTS = ((12_288, 1922, 1024), (12_288, 1928, 1024))  # the second one is aligned


def run(steps: Steps, setup: Setup) -> None:
    """Print the steps of this part."""
    steps.run("versions", lambda: versions(setup))
    if setup.host:
        steps.skip("ceilings", "no GPU")
        return
    steps.run("cudnn", lambda: {"version": torch.backends.cudnn.version()})
    steps.run("ceilings", lambda: {**bandwidths(setup), **products(setup)})


def versions(setup: Setup) -> Row:
    """Return the device, and the versions that matter to it."""
    found: Row = {
        "cuda": torch.version.cuda,
        "c_compilers": [name for name in ("gcc", "cc", "clang") if shutil.which(name)],
        "cores": os.cpu_count(),
    }
    if setup.host:
        return {**found, "device": "cpu"}
    properties = torch.cuda.get_device_properties(0)
    free_bytes, total_bytes = torch.cuda.mem_get_info()
    return {
        **found,
        "device": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_gb": round(total_bytes / 1e9, 1),
        "memory_used_mb": round((total_bytes - free_bytes) / 1e6),  # CUDA context, other processes
        "architectures": torch.cuda.get_arch_list(),
        "nvidia_smi": nvidia_smi(),
    }


def nvidia_smi() -> str:
    """Return driver, memory and clocks by nvidia-smi, or an empty string without it."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", f"--query-gpu={SMI_FIELDS}", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def bandwidths(setup: Setup) -> Row:
    """Measure copies and the time of a tiny kernel in a graph."""
    source = torch.empty(COPIED_BYTES, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    copy_ms = device_ms(setup, lambda: target.copy_(source))
    samples = torch.empty(PINNED_SAMPLES, dtype=torch.int16, device="cuda")
    pinned = torch.empty(PINNED_SAMPLES, dtype=torch.int16, pin_memory=True)
    to_host_ms = device_ms(setup, lambda: pinned.copy_(samples, non_blocking=True))
    numbers, graph = torch.zeros(64, device="cuda"), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(TINY_KERNELS):
            numbers.add_(1)
    tiny_ms = device_ms(setup, graph.replay)
    return {
        "device_copy_tb_per_s": round(2 * COPIED_BYTES / copy_ms / 1e9, 2),
        "to_host_gb_per_s": round(2 * PINNED_SAMPLES / to_host_ms / 1e6, 1),
        "tiny_kernel_us": round(1e3 * tiny_ms / TINY_KERNELS, 2),
    }


def products(setup: Setup) -> Row:
    """Measure matrix products of the sizes of NeuCodec."""
    rows: Row = {}
    for dtype, sizes in ((torch.float16, HALF_PRODUCTS), (torch.float32, HEAD_PRODUCTS)):
        for batch, outputs, inputs in sizes:
            x = torch.randn(batch, inputs, device="cuda", dtype=dtype)
            weight = torch.randn(outputs, inputs, device="cuda", dtype=dtype)
            ms = device_ms(setup, lambda x=x, weight=weight: functional.linear(x, weight))
            rows[f"{name_of(dtype)} {batch}x{outputs}x{inputs}"] = {
                "ms": round(ms, 4),
                "tflop_per_s": round(2e-9 * batch * outputs * inputs / ms),
            }
    return rows


def name_of(dtype: torch.dtype) -> str:
    """Return the name of a type without "torch."."""
    return str(dtype).removeprefix("torch.")
