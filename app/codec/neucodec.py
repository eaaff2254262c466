# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""NeuCodec: one code of 65,536 per 20 ms of 24 kHz sound."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from app.codec import CodecSpec
from app.codec.eager import EagerCodec
from app.codec.hub import DECODER_FILES, CodecWeightsError, Report, find_file, log_progress
from app.codec.packed import pack
from app.codec.vocos import HOP_SAMPLES, PUBLISHED, Size, VocosDecoder
from app.codec.weights import RANDOM, Tensors, draw_tensors, read_tensors

# The transformers layout's names, rewritten in this order, are the published checkpoint's; a fused
# projection is kept as three there. Its queries and keys are permuted alike, so their products are the same.
RENAMES = (
    ("acoustic_decoder.fc.", "fc_post_a."),
    ("quantizer.project_out.", "generator.quantizer.project_out."),
    ("acoustic_decoder.head.linear.", "generator.head.out."),
    ("acoustic_decoder.norm.", "generator.backbone.final_layer_norm."),
    ("acoustic_decoder.layers.", "generator.backbone.transformers."),
    ("acoustic_decoder.", "generator.backbone."),
    (".self_attn.o_proj.", ".att.c_proj."),
    (".self_attn.", ".att."),
    (".input_layernorm.", ".att_norm."),
    (".post_attention_layernorm.", ".ffn_norm."),
)
PREFIXES = ("generator.", "fc_post_a.", "acoustic_decoder.", "quantizer.project_out.")
OURS = (
    ("qkv.", "att.c_attn."),
    ("out.", "att.c_proj."),
    ("up.", "mlp.fc1."),
    ("down.", "mlp.fc2."),
)


MAX_WINDOW_FRAMES = 384
CPU_HOP_FRAMES = (
    72  # look-ahead included: a window of 97 frames is 0.25 s of a core, for which others wait
)


def neucodec_spec(
    left_context_frames: int, max_window_frames: int = MAX_WINDOW_FRAMES
) -> CodecSpec:
    """Its windows are not exact: attention and norms hear the whole window."""
    return CodecSpec(
        name="neucodec",
        sample_rate_hz=24_000,
        samples_per_frame=HOP_SAMPLES,
        codes_per_frame=1,
        vocabulary=65_536,
        left_context_frames=left_context_frames,
        right_context_frames=1,
        exact=False,
        max_window_frames=max_window_frames,
    )


def load_neucodec(
    weights: str,
    *,
    device: str,
    dtype: torch.dtype,
    left_context_frames: int,
    size: Size = PUBLISHED,
    report: Report = log_progress,
) -> EagerCodec:
    """Read the decoder of the published checkpoint or of transformers' `NeuCodecModel`.

    Args:
        weights: a folder or file, a hub id (or id@revision), or "random" (seeded, announced in the log).
        device: where to decode, "cpu" or "cuda:0".
        dtype: of the matrices; norms, spectrum and inverse STFT stay float32.
        left_context_frames: decoded before each window; 150 costs 1 % on a GPU and its full share on a CPU.
        size: other than the published model's, for tests.
        report: is told how far a download is.

    Raises:
        CodecWeightsError: the weights cannot be found, read or used.
    """
    with torch.device("meta"):
        decoder = VocosDecoder(size)
    if weights == RANDOM:
        state = _draw(decoder)
    else:
        path = find_file(weights, *DECODER_FILES, report=report)
        state = decoder_state(read_tensors(path, PREFIXES), decoder, str(path))
    narrow = {name for name, module in decoder.named_modules() if isinstance(module, nn.Linear)} - {
        "code",
        "head",
    }
    types = {name: dtype if name.rpartition(".")[0] in narrow else torch.float32 for name in state}
    placed = {name: tensor.to(device, types[name], copy=True) for name, tensor in state.items()}
    try:
        decoder.load_state_dict(placed, assign=True)
    except RuntimeError as exc:
        raise CodecWeightsError(f"{weights}: not the size of NeuCodec") from exc
    decoder = decoder.eval().requires_grad_(False).to(device)  # its window too
    if torch.device(device).type != "cpu":
        return EagerCodec(neucodec_spec(left_context_frames), decoder, device)
    pack(decoder)
    max_window_frames = min(MAX_WINDOW_FRAMES, left_context_frames + CPU_HOP_FRAMES)
    return EagerCodec(neucodec_spec(left_context_frames, max_window_frames), decoder, device)


def _draw(decoder: VocosDecoder) -> Tensors:
    state = draw_tensors(decoder, seed=0)
    magnitudes = state["head.bias"].shape[0] // 2
    state["head.weight"][:magnitudes] *= 0.3  # a quiet hiss: about -20 dB of full scale, few peaks
    state["head.weight"][magnitudes:] *= 1.5  # phases all round the circle
    state["head.bias"][:magnitudes] = 1.6
    return state


def decoder_state(tensors: Tensors, decoder: VocosDecoder, source: str) -> Tensors:
    """A decoder's state from a checkpoint's tensors, in either layout; `source` is what an error names.

    Raises:
        CodecWeightsError: a tensor is missing.
    """
    if any(name.startswith("acoustic_decoder.") for name in tensors):
        tensors = {_published(name): tensor for name, tensor in tensors.items()}
    try:
        state = {
            name: _parameter(name, tensors)
            for name, _ in decoder.named_parameters()
            if name[:5] != "code."
        }
        state |= _fold(tensors)
    except KeyError as exc:
        raise CodecWeightsError(f"{source}: has no tensor {exc.args[0]}") from exc
    return state


def _fold(tensors: Tensors) -> Tensors:
    """Look-up, project_out and fc_post_a are linear in a code's 8 digits: one map, in float64 for its rounding."""
    first, second = "generator.quantizer.project_out", "fc_post_a"
    weight = tensors[f"{second}.weight"].double()
    bias = weight @ tensors[f"{first}.bias"].double() + tensors[f"{second}.bias"].double()
    return {"code.weight": weight @ tensors[f"{first}.weight"].double(), "code.bias": bias}


def _published(name: str) -> str:
    for theirs, published in RENAMES:
        name = name.replace(theirs, published)
    return name


def _parameter(name: str, tensors: Tensors) -> Tensor:
    for ours, published in OURS:
        name = name.replace(f".{ours}", f".{published}")
    head, _, tail = name.partition(".")
    key = f"generator.head.out.{tail}" if head == "head" else f"generator.backbone.{name}"
    if ".c_attn." in key and key not in tensors:
        return torch.cat([tensors[key.replace("c_attn", f"{part}_proj")] for part in "qkv"])
    if key not in tensors and f"{key}_v" in tensors:
        direction, size = tensors[f"{key}_v"].float(), tensors[f"{key}_g"].float()
        return _gemm(
            direction * (size / torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True))
        )
    return _gemm(tensors[key])


def _gemm(weight: Tensor) -> Tensor:
    """A convolution's (out, in, kernel) as (out, kernel x in); others unchanged."""
    return weight.transpose(1, 2).flatten(1) if weight.ndim == 3 else weight
