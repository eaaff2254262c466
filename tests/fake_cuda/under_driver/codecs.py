"""Codecs with random weights on a fake device, and windows for them."""

from __future__ import annotations

import numpy as np

from app.codec import Codec, CodeWindow
from app.codec.load import CodecOptions, load_codec
from app.codec.registry import Dtype
from app.tokens.windows import Window


def load(
    name: str,
    dtype: Dtype = "float16",
    *,
    graph_s: tuple[float, ...] | None = None,
    max_batch: int = 8,
    device: str = "cuda",
) -> Codec:
    weights = "" if name == "builtin" else "random"
    options = CodecOptions(name, weights, dtype, graph_s=graph_s, max_batch=max_batch)
    return load_codec(options, device)


def window(codec: Codec, frames: int) -> CodeWindow:
    return CodeWindow(np.zeros((frames, codec.spec.codes_per_frame), np.int32))


def samples_of(codec: Codec, frames: int) -> int:
    return frames * codec.spec.samples_per_frame


def chosen(codec: Codec, frames: int) -> tuple[Window, CodeWindow]:
    """Choose a whole window, as the scheduler asks a stream to."""
    return Window(0, 0, frames, frames, last=True), window(codec, frames)
