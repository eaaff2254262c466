"""Export the networks that the service runs to ONNX: `python -m training.export_networks`.

Reads `codec_decoder.safetensors` and `token_model.safetensors` and writes four files and the
phoneme table to app/weights. The signal processing between the networks is numpy in the service.
The weights stay in float16 on disk. A `Cast` node widens each of them, once at load.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from training.folder import add_folder
from training.networks.codec_decoder import (
    FFT_SAMPLES,
    MAX_LOG_NOISE,
    MIDDLE_PITCH,
    PITCH_SPREAD,
    Decoder,
    read_decoder,
)
from training.networks.convnext import ConvNeXtBlock
from training.networks.token_model import DIGITS, LEVELS, TokenModel, read_token_model
from training.safetensors_metadata import phoneme_ids
from training.weight_files import SERVED, trained_weights

OPSET = 20
MOST_FRAMES = 100_000
NARROWED_FROM = 64  # elements of an array that is stored in float16
Names = Sequence[str]


class FilterNetwork(nn.Module):
    """Digit values and the mask of real frames to the filters of pulses and noise.

    The phase of a minimum-phase filter is linear in its log magnitude, and so in the 80 points of
    the envelope: one product in place of two Fourier transforms for each step.
    """

    phases: Tensor

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        cepstra = torch.fft.irfft(decoder.bands.double(), FFT_SAMPLES) * decoder.fold
        self.register_buffer("phases", torch.fft.rfft(cepstra).imag.float())

    def forward(self, values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, frames, 8), (batch, frames) -> (batch, frames * 2, 481), three times.

        Real and imaginary part of the filter of the pulses, and the gain of the noise.
        """
        envelopes = self.decoder.predict_envelopes(values, valid)
        magnitude = (envelopes.harmonic @ self.decoder.bands).exp()
        phase = envelopes.harmonic @ self.phases
        noise = (envelopes.noise @ self.decoder.bands).clamp(max=MAX_LOG_NOISE).exp()
        return magnitude * phase.cos(), magnitude * phase.sin(), noise


class PitchNetwork(nn.Module):
    """Digit values and the mask of real frames to the pitch in Hz, all float64."""

    middle: Tensor
    spread: Tensor

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.network = decoder.pitch.double()
        self.register_buffer("middle", constant(MIDDLE_PITCH))
        self.register_buffer("spread", constant(PITCH_SPREAD))

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """(batch, frames, 8), (batch, frames) -> (batch, frames * 2), 0 where unvoiced."""
        outputs = self.network(values, valid)
        pitch_hz = (self.middle + self.spread * outputs[..., 0]).exp()
        return torch.where(outputs[..., 1] > 0, pitch_hz, 0)


class TextNetwork(nn.Module):
    """Phoneme ids to vectors and durations."""

    def __init__(self, model: TokenModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(phonemes,) -> (phonemes, 192), (phonemes,)."""
        text, units = self.model.encode(ids)
        return text[0], units


class FramesNetwork(nn.Module):
    """Vectors and position features of the frames to the digits of their codes."""

    def __init__(self, model: TokenModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor) -> Tensor:
        """(frames, 198) -> (frames, 8)."""
        return self.model.frame_logits(frames.unsqueeze(0)).view(-1, DIGITS, LEVELS).argmax(-1)


class DepthwiseSum(nn.Module):
    """A depthwise convolution as a sum over its taps: onnxruntime has no float64 convolution."""

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        self.weight = nn.Parameter(convolution.weight[:, 0].T[:, :, None].clone())
        self.bias = nn.Parameter(cast(Tensor, convolution.bias)[:, None].clone())

    def forward(self, padded: Tensor) -> Tensor:
        """(batch, channels, steps + taps - 1) -> (batch, channels, steps)."""
        taps = len(self.weight)
        steps = padded.shape[-1] - taps + 1
        total = self.bias
        for tap in range(taps):
            total = total + padded[..., tap : tap + steps] * self.weight[tap]
        return total


def constant(value: float) -> Tensor:
    """Return a float64 scalar. The exporter narrows a Python number to float32."""
    return torch.tensor(value, dtype=torch.float64)


class ExactGelu(nn.Module):
    """The tanh form of GELU in float64. onnxruntime's `Gelu` has float32 constants."""

    linear: Tensor
    cubic: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("linear", constant(math.sqrt(2 / math.pi)))
        self.register_buffer("cubic", constant(math.sqrt(2 / math.pi) * 0.044715))

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...)."""
        return 0.5 * x * (1 + (x * (self.linear + self.cubic * x * x)).tanh())


class ExactLayerNorm(nn.Module):
    """A layer norm by its parts: ONNX's own has a float32 epsilon and float32 statistics."""

    epsilon: Tensor

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.register_buffer("epsilon", constant(norm.eps))

    def forward(self, x: Tensor) -> Tensor:
        """(..., channels) -> the same shape."""
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred * centred).mean(-1, keepdim=True)
        return centred / (variance + self.epsilon).sqrt() * self.weight + self.bias


def use_float64_operators(module: nn.Module) -> None:
    """Replace the operators that onnxruntime has only in float32, in place."""
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.LayerNorm):
                setattr(part, name, ExactLayerNorm(child))
    for block in module.modules():
        if isinstance(block, ConvNeXtBlock):
            block.depthwise = DepthwiseSum(cast(nn.Conv1d, block.depthwise))
            block.activation = ExactGelu()


def convert(
    module: nn.Module, inputs: tuple[Tensor, ...], names: tuple[Names, Names], batched: bool
) -> onnx.ModelProto:
    """Return a network as an ONNX model with open numbers of rows and frames."""
    frames = torch.export.Dim("frames", min=2, max=MOST_FRAMES)
    rows = torch.export.Dim("rows", min=1, max=4096)
    shape = {0: rows, 1: frames} if batched else {0: frames}
    program = torch.onnx.export(
        module.eval(),
        inputs,
        dynamo=True,
        input_names=names[0],
        output_names=names[1],
        dynamic_shapes=tuple(shape for _ in inputs),
        opset_version=OPSET,
        verbose=False,
    )
    assert program is not None
    return narrowed(program.model_proto)


def narrowed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the weights in float16 where that loses nothing, and widen them when they are read."""
    graph = model.graph
    widen: list[onnx.NodeProto] = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind != "f" or values.size < NARROWED_FROM:
            continue
        narrow = values.astype(np.float16)
        if not np.array_equal(narrow.astype(values.dtype), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(narrow, f"{name}_float16"))
        to = helper.np_dtype_to_tensor_dtype(values.dtype)
        widen.append(helper.make_node("Cast", [f"{name}_float16"], [name], to=to))
    nodes = [*widen, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    del graph.metadata_props[:]
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(model)
    return model


def build(decoder: Decoder, model: TokenModel) -> dict[str, onnx.ModelProto]:
    """Return the models of all networks by file name."""
    values, valid = torch.zeros(2, 50, DIGITS), torch.ones(2, 50)
    filters, pitch = FilterNetwork(decoder), PitchNetwork(decoder)
    use_float64_operators(pitch)
    width = model.frame_embed.in_features
    return {
        "codec_filters.onnx": convert(
            filters,
            (values, valid),
            (["values", "valid"], ["real", "imaginary", "noise"]),
            batched=True,
        ),
        "codec_pitch.onnx": convert(
            pitch,
            (values.double(), valid.double()),
            (["values", "valid"], ["pitch_hz"]),
            batched=True,
        ),
        "token_text.onnx": convert(
            TextNetwork(model),
            (torch.zeros(40, dtype=torch.int64),),
            (["ids"], ["text", "units"]),
            batched=False,
        ),
        "token_frames.onnx": convert(
            FramesNetwork(model),
            (torch.zeros(80, width),),
            (["frames"], ["digits"]),
            batched=False,
        ),
    }


def main(arguments: list[str] | None = None) -> None:
    """Export the trained networks, or those in training/weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    parser.add_argument("--to", type=Path, default=SERVED, help="folder of the files")
    options = parser.parse_args(arguments)
    weights = trained_weights(options.data)
    token_model = weights.token_model.read_bytes()
    decoder = read_decoder(weights.decoder.read_bytes())
    for name, network in build(decoder, read_token_model(token_model)).items():
        onnx.save_model(network, options.to / name)
        print(f"{name}: {(options.to / name).stat().st_size / 1e6:.1f} MB", flush=True)
    table = json.dumps(phoneme_ids(token_model), ensure_ascii=False, indent=0)
    (options.to / "phonemes.json").write_text(f"{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
