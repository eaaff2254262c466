# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""NeuCodec: one code of 65,536 per 20 ms of 24 kHz audio."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from app.codec.eager import EagerCodec
from app.codec.hub import DECODER_FILES, CodecWeightsError, Report, find_file, log_progress
from app.codec.load import CodecOptions
from app.codec.neucodec.decoder import HOP_SAMPLES, PUBLISHED, Size, VocosDecoder
from app.codec.neucodec.packed_linear import pack
from app.codec.registry import RANDOM
from app.codec.spec import CodecSpec
from app.codec.weights import Tensors, draw_tensors, read_tensors

# Replacing these substrings in this order turns the names of the transformers layout into those
# of the published checkpoint. transformers splits the fused projection into three, and permutes
# queries and keys in the same way, so that their products are equal.
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
# Prefixes of the tensors that the decoder needs, in either layout.
PREFIXES = ("generator.", "fc_post_a.", "acoustic_decoder.", "quantizer.project_out.")
# Names of parameters in `Transformer`, and in the published checkpoint.
PARAMETER_NAMES = (
    ("qkv.", "att.c_attn."),
    ("out.", "att.c_proj."),
    ("up.", "mlp.fc1."),
    ("down.", "mlp.fc2."),
)

FRAMES_PER_S = 50
MAX_WINDOW_FRAMES = 384
# Context takes as long as other frames, except in small calls on a GPU, where launches take longer.
# With random weights the new frames of a window of 360 frames differ from those of the whole answer
# by 22 dB, with 50 or with 150 frames of context. How much context speech needs, only published
# weights can tell.
CPU_LEFT_CONTEXT_S = 1.0
GPU_LEFT_CONTEXT_S = 3.0
# Look-ahead included. A window of 97 frames takes 0.25 s of a core, and other streams wait for it.
CPU_HOP_FRAMES = 72


def neucodec_spec(
    left_context_frames: int, max_window_frames: int = MAX_WINDOW_FRAMES
) -> CodecSpec:
    """Build the spec. Windows are not exact: attention and norms depend on the whole window."""
    return CodecSpec(
        name="neucodec",
        sample_rate_hz=24_000,
        samples_per_frame=HOP_SAMPLES,
        codes_per_frame=1,
        vocabulary=65_536,
        left_context_frames=left_context_frames,
        right_context_frames=1,
        seamless=False,
        max_window_frames=max_window_frames,
    )


def load(options: CodecOptions, device: str, dtype: torch.dtype, report: Report) -> EagerCodec:
    """Load the codec for the service; see `Loader`."""
    seconds = options.left_context_s
    if seconds is None:
        seconds = CPU_LEFT_CONTEXT_S if device == "cpu" else GPU_LEFT_CONTEXT_S
    return load_neucodec(
        options.weights,
        device=device,
        dtype=dtype,
        left_context_frames=round(seconds * FRAMES_PER_S),
        report=report,
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
        weights: a folder or file, a hub id (or id@revision), or "random" (seeded, with a warning in
            the log).
        device: the torch device, "cpu" or "cuda:0".
        dtype: of the matrices; norms, spectrum and inverse STFT stay float32.
        left_context_frames: frames decoded before each window.
        size: the size of the network; tests use smaller ones.
        report: called with the progress of a download.

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
    linear = {name for name, module in decoder.named_modules() if isinstance(module, nn.Linear)}
    reduced = linear - {"code", "head"}
    types = {name: dtype if name.rpartition(".")[0] in reduced else torch.float32 for name in state}
    placed = {name: tensor.to(device, types[name], copy=True) for name, tensor in state.items()}
    try:
        decoder.load_state_dict(placed, assign=True)
    except RuntimeError as exc:
        raise CodecWeightsError(f"{weights}: not the size of NeuCodec") from exc
    decoder = decoder.eval().requires_grad_(False).to(device)  # moves the STFT window too
    if torch.device(device).type != "cpu":
        return EagerCodec(neucodec_spec(left_context_frames), decoder, device)
    pack(decoder)
    max_window_frames = min(MAX_WINDOW_FRAMES, left_context_frames + CPU_HOP_FRAMES)
    return EagerCodec(neucodec_spec(left_context_frames, max_window_frames), decoder, device)


def _draw(decoder: VocosDecoder) -> Tensors:
    state = draw_tensors(decoder, seed=0)
    magnitudes = state["head.bias"].shape[0] // 2
    state["head.weight"][:magnitudes] *= 0.3  # a quiet hiss: about -20 dB of full scale, few peaks
    state["head.weight"][magnitudes:] *= 1.5  # phases over the whole circle
    state["head.bias"][:magnitudes] = 1.6
    return state


def decoder_state(tensors: Tensors, decoder: VocosDecoder, source: str) -> Tensors:
    """Build the state of a decoder from the tensors of a checkpoint in either layout.

    `source` names the checkpoint in errors.

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
    """Fold look-up, project_out and fc_post_a into one linear map of the 8 digits of a code.

    Computed in float64, to avoid rounding errors.
    """
    first, second = "generator.quantizer.project_out", "fc_post_a"
    weight = tensors[f"{second}.weight"].double()
    bias = weight @ tensors[f"{first}.bias"].double() + tensors[f"{second}.bias"].double()
    return {"code.weight": weight @ tensors[f"{first}.weight"].double(), "code.bias": bias}


def _published(name: str) -> str:
    for theirs, published in RENAMES:
        name = name.replace(theirs, published)
    return name


def _parameter(name: str, tensors: Tensors) -> Tensor:
    for ours, published in PARAMETER_NAMES:
        name = name.replace(f".{ours}", f".{published}")
    head, _, tail = name.partition(".")
    key = f"generator.head.out.{tail}" if head == "head" else f"generator.backbone.{name}"
    if ".c_attn." in key and key not in tensors:
        return torch.cat([tensors[key.replace("c_attn", f"{part}_proj")] for part in "qkv"])
    if key not in tensors and f"{key}_v" in tensors:  # weight norm
        direction = tensors[f"{key}_v"].float()
        size = tensors[f"{key}_g"].float()
        norm = torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True)
        return _gemm(direction * (size / norm))
    return _gemm(tensors[key])


def _gemm(weight: Tensor) -> Tensor:
    """Reshape a convolution's (out, in, kernel) to (out, kernel x in); return others unchanged."""
    return weight.transpose(1, 2).flatten(1) if weight.ndim == 3 else weight
