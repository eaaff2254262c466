from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import NeuCodecConfig, NeuCodecModel, Wav2Vec2BertConfig
from transformers.initialization import no_init_weights

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.codec.eager import EagerCodec
from app.codec.hub import CodecWeightsError
from app.codec.neucodec.decoder import PUBLISHED, Rows, Size, VocosDecoder
from app.codec.neucodec.load import decoder_state, load_neucodec, neucodec_spec
from tests.audio_checks import snr_db

torch.set_num_threads(1)
SMALL = Size(width=128, depth=2)
HOP = 480
MIXED = (7, 31, 64, 150)


def reference_model(size: Size) -> NeuCodecModel:
    """Transformers' model with its decoder's parameters random (norms and biases too) and next to
    no encoder.
    """
    heads = size.width // 64
    config = NeuCodecConfig(
        hidden_size=size.width,
        intermediate_size=4 * size.width,
        num_hidden_layers=size.depth,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        quantization_dim=size.width + 16,
        encoder_hidden_size=4,
        semantic_model_config=Wav2Vec2BertConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=16,
            vocab_size=8,
        ),
    )
    with no_init_weights():
        model = NeuCodecModel(config).eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
        at_rest = 1.0 if parameter.ndim == 1 else 0.0
        parameter.data.normal_(at_rest, fan_in**-0.5, generator=generator)
    return model


def published_layout(tensors: dict[str, Tensor], heads: int) -> dict[str, Tensor]:
    """The tensors of transformers' layout under the names of neuphonic/neucodec, and interleaved as
    there.
    """
    names = {
        "acoustic_decoder.fc.": "fc_post_a.",
        "acoustic_decoder.embed.": "generator.backbone.embed.",
        "acoustic_decoder.prior_net.": "generator.backbone.prior_net.",
        "acoustic_decoder.post_net.": "generator.backbone.post_net.",
        "acoustic_decoder.norm.": "generator.backbone.final_layer_norm.",
        "acoustic_decoder.head.linear.": "generator.head.out.",
        "quantizer.": "generator.quantizer.",
    }
    layers = {
        "input_layernorm": "att_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.o_proj": "att.c_proj",
    }
    layers |= {"mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
    found = {
        new + name.removeprefix(old): tensor
        for name, tensor in tensors.items()
        for old, new in names.items()
        if name.startswith(old)
    }
    for index in range(SMALL.depth):
        old, new = f"acoustic_decoder.layers.{index}.", f"generator.backbone.transformers.{index}."
        found |= {
            f"{new}{there}.weight": tensors[f"{old}{here}.weight"] for here, there in layers.items()
        }
        query, key, value = (tensors[f"{old}self_attn.{part}_proj.weight"] for part in "qkv")
        pairs = [
            m.view(heads, 2, -1, m.shape[1]).transpose(1, 2).reshape(m.shape) for m in (query, key)
        ]
        found[f"{new}att.c_attn.weight"] = torch.cat([*pairs, value])
    return found | {
        "CodecEnc.conv_blocks.0.bias": torch.zeros(3),
        "generator.head.istft.window": torch.zeros(1920),
    }


def window(frames: int, seed: int = 0) -> CodeWindow:
    return CodeWindow(np.random.default_rng(seed).integers(0, 65_536, (frames, 1)).astype(np.int32))


def decode_by_reference(model: NeuCodecModel, codes: CodeWindow) -> Samples:
    with torch.inference_mode():
        return (
            model.decode(torch.from_numpy(codes.codes.T[None].astype(np.int64)))
            .audio_values[0, 0]
            .numpy()
        )


@pytest.fixture(scope="module")
def reference() -> NeuCodecModel:
    return reference_model(SMALL)


@pytest.fixture(scope="module")
def folder(reference: NeuCodecModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("transformers-layout")
    reference.save_pretrained(path)
    return path


def load(weights: Path | str, dtype: torch.dtype = torch.float32) -> EagerCodec:
    return load_neucodec(
        str(weights), device="cpu", dtype=dtype, left_context_frames=50, size=SMALL
    )


@pytest.fixture(scope="module")
def codec(folder: Path) -> EagerCodec:
    return load(folder)


@pytest.mark.parametrize("frames", [1, 7, 50])
def test_one_row_equals_transformers(
    reference: NeuCodecModel, codec: EagerCodec, frames: int
) -> None:
    """Ours has no rotary embedding and theirs has: it cancels."""
    expected = decode_by_reference(reference, window(frames))
    assert snr_db(expected, codec.decode([window(frames)])[0]) >= 90
    assert 0.01 < expected.std() < 10


@pytest.mark.process
def test_true_architecture_equals_transformers_alone_and_in_a_batch() -> None:
    model = reference_model(PUBLISHED)
    with torch.device("meta"):
        decoder = VocosDecoder(PUBLISHED)
    decoder.load_state_dict(decoder_state(model.state_dict(), decoder, "reference"), assign=True)
    codec = EagerCodec(neucodec_spec(50), decoder.float().eval(), "cpu")
    windows = [window(frames, seed=frames) for frames in (5, 40, 17)]
    for codes, samples in zip(windows, codec.decode(windows), strict=True):
        assert snr_db(decode_by_reference(model, codes), samples) >= 90


def test_rows_of_mixed_lengths_sound_as_if_alone(codec: EagerCodec) -> None:
    windows = [window(frames, seed=frames) for frames in (*MIXED, 1)]
    for codes, batched in zip(windows, codec.decode(windows), strict=True):
        alone = codec.decode([codes])[0]
        assert batched.shape == (HOP * len(codes.codes),)
        assert snr_db(alone, batched) >= 90
        assert snr_db(alone[-HOP:], batched[-HOP:]) >= 90


def test_narrow_matrices_keep_30_db(folder: Path, codec: EagerCodec) -> None:
    narrow = load(folder, torch.bfloat16)
    windows = [window(frames, seed=frames) for frames in MIXED]
    for wide, samples in zip(codec.decode(windows), narrow.decode(windows), strict=True):
        assert samples.dtype == np.float32
        assert snr_db(wide, samples) >= 30


@pytest.mark.parametrize("weight_norm", [False, True])
def test_published_layout_sounds_the_same(
    reference: NeuCodecModel, codec: EagerCodec, tmp_path: Path, weight_norm: bool
) -> None:
    tensors = published_layout(reference.state_dict(), heads=SMALL.width // 64)
    for name in [name for name in tensors if weight_norm and tensors[name].ndim == 3]:
        direction = tensors.pop(name)
        tensors[f"{name}_v"] = 3 * direction
        tensors[f"{name}_g"] = direction.flatten(1).norm(dim=1)[:, None, None]
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    samples = load(tmp_path).decode([window(50)])[0]
    assert snr_db(codec.decode([window(50)])[0], samples) >= 110
    assert np.array_equal(load(tmp_path / "pytorch_model.bin").decode([window(50)])[0], samples)


def test_a_missing_tensor_is_named(reference: NeuCodecModel, tmp_path: Path) -> None:
    tensors = published_layout(reference.state_dict(), heads=SMALL.width // 64)
    del tensors["generator.backbone.post_net.1.conv2.weight"]
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    with pytest.raises(
        CodecWeightsError, match=r"no tensor generator\.backbone\.post_net\.1\.conv2\.weight"
    ):
        load(tmp_path)


def test_another_size_is_refused(folder: Path) -> None:
    with pytest.raises(CodecWeightsError, match="not the size of NeuCodec"):
        load_neucodec(
            str(folder),
            device="cpu",
            dtype=torch.float32,
            left_context_frames=50,
            size=Size(256, 2),
        )


def test_random_weights_are_repeatable_and_of_ordinary_size() -> None:
    first, second = (load("random").decode([window(100)])[0] for _ in range(2))
    assert np.array_equal(first, second)
    assert 0.02 < first.std() < 0.3


def test_threads_share_one_decoder(codec: EagerCodec) -> None:
    windows = [window(frames, seed=frames) for frames in MIXED]
    alone = [codec.decode([codes])[0] for codes in windows]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda codes: codec.decode([codes])[0], windows * 3))
    assert all(np.array_equal(one, other) for one, other in zip(alone * 3, together, strict=True))


def test_spec(codec: EagerCodec) -> None:
    spec = codec.spec
    assert (spec.sample_rate_hz, spec.samples_per_frame, spec.codes_per_frame) == (24_000, 480, 1)
    assert (spec.vocabulary, spec.left_context_frames, spec.right_context_frames) == (65_536, 50, 1)
    assert not spec.seamless


@pytest.mark.parametrize(("left", "most"), [(25, 97), (50, 122), (384, 384)])
def test_windows_on_a_cpu_are_short_for_context_is_paid_for_and_others_wait(
    left: int, most: int
) -> None:
    codec = load_neucodec(
        "random", device="cpu", dtype=torch.float32, left_context_frames=left, size=SMALL
    )
    assert codec.spec.max_window_frames == most
    assert neucodec_spec(left).max_window_frames == 384


@pytest.mark.parametrize("frames", [32, 33])
def test_the_attention_bias_needs_no_copy_on_a_gpu(frames: int) -> None:
    """torch pads a bias whose strides are not multiples of 8, in each layer anew."""
    bias = Rows.of(torch.tensor([frames, 3]), frames, torch.float16).bias
    assert bias.shape == (2, 1, 1, frames)
    assert all(stride % 8 == 0 for stride in bias.stride()[:-1])
    assert bias.isfinite().sum(-1).flatten().tolist() == [frames, 3]


def test_the_first_and_last_bin_of_a_spectrum_are_real(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuFFT uses their imaginary parts at some lengths; other libraries ignore them."""
    spectra: list[Tensor] = []
    irfft = torch.fft.irfft

    def recorded(spectrum: Tensor, samples: int) -> Tensor:
        spectra.append(spectrum)
        return irfft(spectrum, samples)

    monkeypatch.setattr(torch.fft, "irfft", recorded)
    codec = load_neucodec(
        "random", device="cpu", dtype=torch.float32, left_context_frames=50, size=SMALL
    )
    codec.decode([window(3)])
    (spectrum,) = spectra
    assert not spectrum.imag[..., [0, -1]].any()
    assert spectrum.imag[..., 1:-1].all()
