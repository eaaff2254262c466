"""Codecs on a CUDA device: graphs equal eager calls, within tolerance.

`python -m pytest -m gpu`; skipped without such a device. Random weights in the true architectures.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from app.audio.samples import Samples
from app.codec import Codec, CodeWindow, OverlappingCodec
from app.codec.load import CodecOptions, load_codec
from tests.audio_checks import snr_db

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
LEAST_DB = {"float32": 90, "float16": 45, "bfloat16": 30}
LENGTHS = {"neucodec": (1, 7, 31, 64, 100, 384), "snac": (1, 5, 11, 31, 64)}
CASES = [(name, dtype) for name in LENGTHS for dtype in LEAST_DB]


def choice(name: str, dtype: str, *, graphs: bool, compiled: bool = False) -> CodecOptions:
    return CodecOptions(
        name, "random", dtype, graph_s=None if graphs else (), compiled=compiled, max_batch=8
    )  # type: ignore[arg-type]


def windows(codec: Codec, name: str) -> list[CodeWindow]:
    rng, spec = np.random.default_rng(0), codec.spec
    return [
        CodeWindow(
            rng.integers(0, spec.vocabulary, (frames, spec.codes_per_frame), np.int32), 13 * frames
        )
        for frames in LENGTHS[name]
    ]


def worst_db(expected: list[Samples], actual: list[Samples]) -> float:
    """The least signal-to-error ratio of all windows, and of their last 20 ms."""
    pairs = list(zip(expected, actual, strict=True))
    pairs += [(e[-480:], a[-480:]) for e, a in pairs]
    return min(snr_db(e, a) for e, a in pairs)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def loaded(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, Codec, Codec]]:
    name, dtype = request.param
    yield (
        name,
        dtype,
        *(load_codec(choice(name, dtype, graphs=graphs), "cuda") for graphs in (True, False)),
    )
    torch.cuda.empty_cache()


def test_graphs_sound_as_eager_calls(loaded: tuple[str, str, Codec, Codec]) -> None:
    name, dtype, graphed, eager = loaded
    asked = windows(graphed, name)
    assert worst_db(eager.decode(asked), graphed.decode(asked)) >= LEAST_DB[dtype]


def test_a_window_in_a_batch_sounds_as_alone(loaded: tuple[str, str, Codec, Codec]) -> None:
    name, dtype, graphed, _ = loaded
    asked = windows(graphed, name)
    alone = [graphed.decode([window])[0] for window in asked]
    assert worst_db(alone, graphed.decode(asked)) >= LEAST_DB[dtype]


def test_two_batches_under_way_keep_their_own_sound(loaded: tuple[str, str, Codec, Codec]) -> None:
    name, dtype, graphed, _ = loaded
    assert isinstance(graphed, OverlappingCodec)
    asked = windows(graphed, name)
    expected = graphed.decode(asked), graphed.decode(asked[:2])
    for _ in range(20):
        first, second = graphed.submit(asked), graphed.submit(asked[:2])
        for samples, decoding in zip(expected, (first, second), strict=True):
            decoding.wait()
            assert worst_db(samples, decoding.samples()) >= LEAST_DB[dtype]


# Warnings of torch.compile: the inverse STFT runs eagerly, and TF32 is switched off on purpose.
@pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex")
@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores")
@pytest.mark.parametrize("name", LENGTHS)
def test_half_precision_and_compiled_code_are_near_float32(name: str) -> None:
    exact = load_codec(choice(name, "float32", graphs=False), "cuda")
    asked = windows(exact, name)
    expected = exact.decode(asked)
    for dtype in ("float16", "bfloat16"):
        narrow = load_codec(choice(name, dtype, graphs=False), "cuda")
        assert worst_db(expected, narrow.decode(asked)) >= LEAST_DB[dtype]
    compiled = load_codec(choice(name, "float32", graphs=True, compiled=True), "cuda")
    assert worst_db(expected, compiled.decode(asked)) >= 60
