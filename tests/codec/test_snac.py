from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from app.codec import Codes, CodeWindow
from app.codec.eager import EagerCodec
from app.codec.hub import CodecWeightsError
from app.codec.snac import load_snac
from tests.audio_checks import snr_db

pytestmark = pytest.mark.process

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the package's torch.jit.script
    from snac import SNAC

torch.set_num_threads(1)
FRAME = 2_048
MIXED = (1, 6, 13, 9)


def codes(frames: int, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, 4_096, (frames, 7)).astype(np.int32)


@pytest.fixture(scope="module")
def codec() -> EagerCodec:
    return load_snac("random", device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def package() -> SNAC:
    """The package's own model with its noise off, which it draws anew at every call."""
    torch.manual_seed(0)
    model = SNAC(
        sampling_rate=24_000,
        encoder_dim=48,
        encoder_rates=[2, 4, 8, 8],
        decoder_dim=1_024,
        decoder_rates=[8, 8, 4, 2],
        attn_window_size=None,
        vq_strides=[4, 2, 1],
    )
    for name, parameter in model.named_parameters():
        if name.endswith("linear.parametrizations.weight.original0"):
            parameter.data.zero_()
        elif name.endswith("alpha"):
            parameter.data.uniform_(0.5, 2.0)
    return model.eval()


@pytest.fixture
def folder(package: SNAC, tmp_path: Path) -> Path:
    torch.save(package.state_dict(), tmp_path / "pytorch_model.bin")
    return tmp_path


def test_equals_the_package(package: SNAC, folder: Path) -> None:
    frames = codes(9)
    books = [frames[:, slots].reshape(1, -1) for slots in ([0], [1, 4], [2, 3, 5, 6])]
    with torch.inference_mode():
        expected: Tensor = package.decode(
            [torch.from_numpy(book.astype(np.int64)) for book in books]
        )
    [samples] = load_snac(str(folder), device="cpu", dtype=torch.float32).decode(
        [CodeWindow(frames)]
    )
    assert snr_db(expected[0, 0].numpy(), samples) >= 90


@pytest.mark.parametrize("schedule", [(1,) * 10, (2, 3, 5), (9, 1)])
def test_windows_with_context_equal_one_shot(codec: EagerCodec, schedule: tuple[int, ...]) -> None:
    """3 frames of context on each side, less only where the stream has no more."""
    stream = codes(10)
    [expected] = codec.decode([CodeWindow(stream)])
    windows, parts, done = [], [], 0
    for own in schedule:
        start, stop = max(0, done - 3), min(10, done + own + 3)
        windows.append(CodeWindow(stream[start:stop], first_frame=start))
        parts.append(slice((done - start) * FRAME, (done - start + own) * FRAME))
        done += own
    for decoded in (codec.decode(windows), codec.decode_batch(windows)):
        streamed = np.concatenate(
            [samples[part] for samples, part in zip(decoded, parts, strict=True)]
        )
        assert snr_db(expected, streamed) >= 90


def test_two_frames_of_context_are_not_enough(codec: EagerCodec) -> None:
    stream = codes(10)
    [expected] = codec.decode([CodeWindow(stream)])
    [middle] = codec.decode([CodeWindow(stream[3:9], first_frame=3)])
    assert snr_db(expected[5 * FRAME : 7 * FRAME], middle[2 * FRAME : 4 * FRAME]) < 90


def test_padded_rows_sound_as_if_alone(codec: EagerCodec) -> None:
    windows = [CodeWindow(codes(frames, seed=frames), first_frame=7 * frames) for frames in MIXED]
    together, batched = codec.decode(windows), codec.decode_batch(windows)
    for window, plain, padded in zip(windows, together, batched, strict=True):
        [alone] = codec.decode([window])
        assert plain.shape == (FRAME * len(window.codes),)
        assert snr_db(alone, plain) >= 90
        assert snr_db(alone, padded) >= 90
        assert snr_db(alone[-FRAME:], padded[-FRAME:]) >= 90


def test_noise_follows_the_position(codec: EagerCodec) -> None:
    frames = codes(8)
    here, there, again = (codec.decode([CodeWindow(frames, first)])[0] for first in (0, 5, 5))
    assert snr_db(here, there) < 60
    assert np.array_equal(there, again)


def test_narrow_weights_keep_30_db(codec: EagerCodec) -> None:
    narrow = load_snac("random", device="cpu", dtype=torch.bfloat16)
    windows = [CodeWindow(codes(frames, seed=frames)) for frames in MIXED]
    for wide, samples in zip(codec.decode(windows), narrow.decode(windows), strict=True):
        assert samples.dtype == np.float32
        assert snr_db(wide, samples) >= 30


def test_random_weights_are_repeatable_and_of_ordinary_size(codec: EagerCodec) -> None:
    window = CodeWindow(codes(10))
    first, second = (
        codec.decode([window])[0],
        load_snac("random", device="cpu", dtype=torch.float32).decode([window])[0],
    )
    assert np.array_equal(first, second)
    assert 0.02 < first.std() < 0.3


def test_threads_share_one_decoder(codec: EagerCodec) -> None:
    windows = [CodeWindow(codes(frames, seed=frames)) for frames in (1, 4, 6)]
    alone = codec.decode(windows)
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda window: codec.decode([window])[0], windows * 2))
    assert all(np.array_equal(one, other) for one, other in zip(alone * 2, together, strict=True))


def test_a_missing_tensor_is_named(package: SNAC, folder: Path) -> None:
    tensors = package.state_dict()
    del tensors["decoder.model.7.bias"]
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(CodecWeightsError, match=r"no tensor decoder\.model\.7\.bias"):
        load_snac(str(folder), device="cpu", dtype=torch.float32)


def test_another_size_is_refused(folder: Path) -> None:
    model = SNAC(encoder_dim=8, decoder_dim=64, attn_window_size=None, vq_strides=[4, 2, 1])
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(CodecWeightsError, match="not the size of SNAC 24 kHz"):
        load_snac(str(folder), device="cpu", dtype=torch.float32)


def test_spec(codec: EagerCodec) -> None:
    spec = codec.spec
    assert (spec.sample_rate_hz, spec.samples_per_frame, spec.codes_per_frame) == (24_000, 2_048, 7)
    assert (spec.vocabulary, spec.left_context_frames, spec.right_context_frames) == (4_096, 3, 3)
    assert spec.seamless
