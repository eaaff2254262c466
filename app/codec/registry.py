"""The codecs by name, as data: this module imports no other module of the service, and no torch.

To add a codec, write a module with a function `load` (see `app.codec.torch_load.Loader`) and add a
row to `CODECS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

RANDOM = "random"  # in place of weights: seeded random numbers, whose audio is noise
Dtype = Literal["auto", "float32", "bfloat16", "float16"]  # of the matrices of a decoder


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """Encoder of a codec, for voice cloning.

    Args:
        loader: `module:function`; see `app.codec.torch_load.EncoderLoader`.
        files: names of the files of its weights.
        free_bytes: least free memory of a GPU that runs it. With less it runs on the CPU.
    """

    loader: str
    files: tuple[str, ...]
    free_bytes: int


@dataclass(frozen=True, slots=True)
class CodecInfo:
    """Properties of a codec that are needed before it is loaded.

    Args:
        loader: `module:function` that loads the decoder; see `app.codec.torch_load.Loader`, or
            `app.codec.load.BundledLoader` if `bundled`.
        vocabulary: number of codes per codebook.
        cpu_batch_frames: most padded frames in one decode call on a CPU: about 0.3 s of one core,
            the longest time that the next window of a stream waits for a batch of other streams.
        cpu_overhead_frames: fixed overhead of a decode call on a CPU, in frames. Windows whose
            lengths differ by more are cheaper in two calls.
        graph_frames: default lengths of captured decode calls on a GPU; empty: no graphs.
        graph_frame_step: captured lengths are multiples of it.
        bundled: True if the weights ship with the service. The codec then runs on the CPU,
            without torch, and CODEC_WEIGHTS, CODEC_DTYPE and DEVICE have no effect.
        embedded_engine: True if the embedded engine generates codes of this codec.
        encoder: None if the codec cannot clone voices.
        fused_loader: `module:function` that loads its decoder with fused CUDA kernels; see
            `app.codec.fused.load.FusedLoader`. None: there are no such kernels.
    """

    loader: str
    vocabulary: int
    cpu_batch_frames: int
    cpu_overhead_frames: int
    graph_frames: tuple[int, ...] = ()
    graph_frame_step: int = 1
    bundled: bool = False
    embedded_engine: bool = False
    encoder: EncoderInfo | None = None
    fused_loader: str | None = None


CODECS: dict[str, CodecInfo] = {
    "neucodec": CodecInfo(
        loader="app.codec.neucodec.load:load",
        vocabulary=65_536,
        cpu_batch_frames=128,
        cpu_overhead_frames=8,
        graph_frames=(32, 64, 96, 128, 192, 256, 384),
        graph_frame_step=8,  # other lengths pad the mask of attention again in each layer
        encoder=EncoderInfo(
            loader="app.codec.neucodec.encoder:load_encoder",
            files=("config.json", "model.safetensors"),
            free_bytes=3_000_000_000,  # 1.8 GB of weights, and the work for a recording of 20 s
        ),
        fused_loader="app.codec.fused.neucodec:load",
    ),
    "snac": CodecInfo(
        loader="app.codec.snac:load",
        vocabulary=4_096,
        cpu_batch_frames=32,
        cpu_overhead_frames=2,
        graph_frames=(8, 12, 16, 24, 32, 64),
        fused_loader="app.codec.fused.snac:load",
    ),
    "builtin": CodecInfo(
        loader="app.codec.builtin.load:load_builtin_codec",
        vocabulary=65_536,
        cpu_batch_frames=256,
        cpu_overhead_frames=8,
        bundled=True,
        embedded_engine=True,
    ),
}


def known_codec(name: str) -> str:
    """Return `name`; raise ValueError if `CODECS` has no such codec."""
    if name not in CODECS:
        raise ValueError(f"not among the codecs: {', '.join(CODECS)}")
    return name


CodecName = Annotated[str, AfterValidator(known_codec)]  # a name of CODECS
