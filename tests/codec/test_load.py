"""Device, dtype and shapes that the settings result in, before any graph is captured."""

from __future__ import annotations

import contextlib
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from app import metrics
from app.codec import CodeWindow, cuda
from app.codec import torch_load as loading
from app.codec.cuda import Cuda, Replay, machine_has_gpu
from app.codec.eager import EagerCodec
from app.codec.graph_grid import Grid
from app.codec.load import CodecOptions, load_codec, load_encoder
from app.codec.torch_load import graph_grid, pick_devices
from app.errors import LoadError
from tests.codec.host import Host
from tests.fakes import tone_spec
from tests.metric_values import counted

SPEC = tone_spec(samples_per_frame=480)


@pytest.mark.parametrize(
    ("setting", "gpu", "devices"),
    [
        ("auto", False, ("cpu",)),
        ("auto", True, ("cuda",)),
        ("cpu", True, ("cpu",)),
        ("cuda:1", True, ("cuda:1",)),
        ("cuda:0,cuda:1", True, ("cuda:0", "cuda:1")),
    ],
)
def test_devices(
    setting: str, gpu: bool, devices: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 if gpu else 0)
    assert pick_devices(setting) == devices


@pytest.mark.parametrize(
    ("setting", "gpu"),
    [("cuda", False), ("cuda:0,cuda:1", False), ("cuda:1,cuda:1", True), ("cuda:0,cuda:2", True)],
)
def test_devices_that_cannot_be(setting: str, gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 if gpu else 0)
    with pytest.raises(LoadError, match=setting):
        pick_devices(setting)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (
            RuntimeError("The NVIDIA driver on your system is too old (found version 12080)."),
            "driver on your system is too old",
        ),
        (RuntimeError("No CUDA GPUs are available"), "No CUDA GPUs are available"),
        (AssertionError("Torch not compiled with CUDA enabled"), "Torch not compiled with CUDA"),
    ],
)
def test_a_device_that_cannot_be_used_is_reported_with_torchs_reason(
    raised: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init() -> None:
        raise raised

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    with pytest.raises(LoadError, match=f"DEVICE=cuda: torch cannot use CUDA .*{reason}"):
        pick_devices("cuda")


def test_a_machine_with_nvidia_smi_has_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidia-smi").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine_has_gpu()


def test_graph_lengths_are_seconds_and_may_be_none() -> None:
    spec = replace(SPEC, max_window_frames=384)
    codec = EagerCodec(spec, lambda codes, *_: codes[..., 0].float(), "cpu")
    assert graph_grid(CodecOptions("neucodec", "random", max_batch=2), codec) == Grid(
        (1, 2), (32, 64, 96, 128, 192, 256, 384)
    )
    assert graph_grid(
        CodecOptions("neucodec", "random", graph_s=(2.0, 0.64, 0.64), max_batch=1), codec
    ) == Grid((1,), (32, 104, 384))
    assert graph_grid(
        CodecOptions("snac", "random", graph_s=(0.26, 20.0), max_batch=1), codec
    ) == Grid((1,), (13, 384))
    assert graph_grid(CodecOptions("snac", "random", graph_s=()), codec) is None


@pytest.mark.parametrize(("setting", "fails"), [("auto", False), ("float16", True)])
def test_a_codec_that_overflows_in_float16_runs_in_bfloat16_unless_float16_was_asked_for(
    setting: str, fails: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def network(dtype: torch.dtype, codes: Tensor) -> Tensor:
        loud = torch.full((len(codes), codes.shape[1] * 480), 70_000.0).to(dtype)
        return (loud / 100_000).float()

    monkeypatch.setattr(loading, "pick_dtype", lambda *_: torch.float16)
    monkeypatch.setattr(
        loading,
        "_load",
        lambda choice, device, dtype, report: EagerCodec(
            SPEC, lambda codes, *_: network(dtype, codes), device
        ),
    )
    with caplog.at_level(logging.WARNING):
        codec = load_codec(CodecOptions("neucodec", "random", dtype=setting), "cpu")  # type: ignore[arg-type]
    (samples,) = codec.decode([CodeWindow(np.zeros((3, 1), np.int32))])
    assert np.isfinite(samples).all() == (not fails)
    assert ("overflows in float16" in caplog.text) == (not fails)


def full_network(*_: object) -> Tensor:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Full(Host):
    """A device whose memory is used up by the first graph."""

    def capture(self, run: object) -> Replay:
        """Find no room."""
        raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.fault(61)
@pytest.mark.parametrize("where", ["weights", "first call", "graphs"])
def test_no_room_on_the_device_while_loading_is_a_load_error(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = (
        full_network
        if where == "first call"
        else (lambda codes, *_: codes[..., 0].repeat_interleave(480, 1) / 9)
    )

    def load(*_: object) -> EagerCodec:
        if where == "weights":
            full_network()
        return EagerCodec(SPEC, network, "cpu")

    monkeypatch.setattr(loading, "_load", load)
    monkeypatch.setattr(loading, "Cuda", lambda _: Full())
    graph_s = (0.64,) if where == "graphs" else ()
    with pytest.raises(LoadError, match="DEVICE=cuda:1 has too little memory") as caught:
        load_codec(CodecOptions("neucodec", "random", dtype="float32", graph_s=graph_s), "cuda:1")
    assert "\n" not in str(caught.value)


def code_tone(codes: Tensor, *_: object) -> Tensor:
    return codes[..., 0].repeat_interleave(480, 1) / 65_536


@pytest.mark.parametrize("graph_s", [(), (0.64,)])
def test_the_memory_of_the_codec_is_reported_with_and_without_graphs(
    graph_s: tuple[float, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loading, "_load", lambda *_: EagerCodec(SPEC, code_tone, "cpu"))
    monkeypatch.setattr(loading, "Cuda", lambda _: Host())
    metrics.DECODE_MEMORY.labels("cpu").set(0)
    with caplog.at_level(logging.INFO):
        load_codec(CodecOptions("neucodec", "random", "float32", graph_s=graph_s), "cuda")
    assert counted("tts_decode_device_memory_bytes", device="cpu") == 1_000_000
    assert "the codec takes 1 MB of cpu" in caplog.text


@pytest.mark.parametrize(
    ("free_mb", "reserved_mb", "taken_mb"), [(7_000, 2_000, 3_000), (12_000, 2_000, 2_000)]
)
def test_the_memory_of_graphs_and_libraries_counts(
    free_mb: int, reserved_mb: int, taken_mb: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second case another process has released memory meanwhile."""
    free_bytes = 10_000_000_000
    monkeypatch.setattr(cuda, "_stream", lambda _: None)
    monkeypatch.setattr(torch.cuda, "MemPool", object)
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: reserved_mb * 1_000_000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_bytes, 24_000_000_000))
    accelerator = Cuda("cuda")
    free_bytes = free_mb * 1_000_000
    assert accelerator.memory_bytes() == taken_mb * 1_000_000


@pytest.mark.fault(61)
@pytest.mark.parametrize("graph_s", [(), (0.64,)])
def test_a_device_calculates_in_float32_and_without_cudnns_attention(
    graph_s: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_load", lambda *_: EagerCodec(SPEC, code_tone, "cpu"))
    monkeypatch.setattr(loading, "Cuda", lambda _: Host())
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cuda.enable_cudnn_sdp(True)
    load_codec(
        CodecOptions("neucodec", "random", dtype="float32", graph_s=graph_s, max_batch=1), "cuda"
    )
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cuda.cudnn_sdp_enabled()


@pytest.mark.parametrize(
    ("free_gb", "full", "devices"),
    [(24, False, ["cuda"]), (2.9, False, ["cpu"]), (24, True, ["cuda", "cpu"])],
    ids=["enough memory", "too little", "too little after all"],
)
def test_an_encoder_without_memory_on_the_device_runs_on_the_cpu(
    free_gb: float,
    full: bool,
    devices: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried: list[str] = []

    def load(weights: str, device: str) -> str:
        tried.append(device)
        if full and device == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return device

    monkeypatch.setattr("app.codec.neucodec.encoder.load_encoder", load)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_gb * 1e9, 24e9))
    assert load_encoder("neucodec", "random", "cuda") == devices[-1]
    assert tried == devices
    assert ("the voice encoder runs on the CPU" in caplog.text) == (devices[-1] == "cpu")


def test_an_encoder_without_any_memory_is_a_load_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(weights: str, device: str) -> None:
        raise MemoryError

    monkeypatch.setattr("app.codec.neucodec.encoder.load_encoder", load)
    with pytest.raises(LoadError, match="too little memory for the voice encoder"):
        load_encoder("neucodec", "random", "cpu")


def test_a_codec_whose_packages_are_missing_is_an_error_that_names_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("app.codec.torch_load", "app.codec.weights"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(LoadError, match="the codec neucodec needs the package safetensors"):
        load_codec(CodecOptions("neucodec", "random"), "cpu")
    assert load_codec(CodecOptions("builtin", ""), "cpu").spec.name == "builtin"
