"""Number of nodes of a CUDA graph, and the time of its kernels by kind."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from bench.gpu.steps import Row

# Parts of the names of kernels, by kind; the first kind that fits counts.
KINDS = {
    "fused": (
        *("embed_codes", "stream_statistics", "hidden_statistics", "normalise_stream"),
        *("normalise_hidden", "update_stream", "rms_norm", "polar_spectrum", "overlap_add"),
    ),
    "copy": ("Memcpy", "Memset"),
    "attention": ("fmha", "flash", "sdpa", "attention"),
    "fft": ("fft",),
    "product": ("gemm", "cutlass", "nvjet", "xmma", "cublas", "splitK"),
    "convolution": ("conv", "implicit", "nhwc", "nchw"),
    "reduction": ("reduce_kernel",),
    "concatenation": ("CatArray",),
    "norm": ("layer_norm", "rms"),
    "compiled": ("triton_",),
    "elementwise": ("elementwise", "vectorized", "unrolled"),
}


def count_nodes(graph: torch.cuda.CUDAGraph) -> int:
    """Return the number of nodes of a graph.

    Raises:
        RuntimeError: CUDA refused.
    """
    runtime = ctypes.CDLL(None)  # torch loads the CUDA runtime with global symbols
    count = ctypes.c_size_t()
    handle = ctypes.c_void_p(graph.raw_cuda_graph())
    error = runtime.cudaGraphGetNodes(handle, None, ctypes.byref(count))
    if error:
        raise RuntimeError(f"cudaGraphGetNodes returned {error}")
    return count.value


def kernel_times(call: Callable[[], object]) -> Row:
    """Return the number of kernels of a call and their time in microseconds, by kind."""
    call()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        call()
        torch.cuda.synchronize()
    counts: Counter[str] = Counter()
    times_us: Counter[str] = Counter()
    for event in seen.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            kind = kind_of(event.name)
            counts[kind] += 1
            times_us[kind] += round(event.device_time_total)
    return {kind: {"kernels": counts[kind], "us": us} for kind, us in times_us.most_common()}


def kind_of(name: str) -> str:
    """Return the kind of a kernel, or the begin of its name."""
    for kind, parts in KINDS.items():
        if any(part in name for part in parts):
            return kind
    return name[:40]
