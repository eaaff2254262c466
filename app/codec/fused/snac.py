# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""SNAC's decoder in about 60 kernels instead of 330.

The kernels of `snac.cu` apply Snake where its input is written or read, and set the padding to zero
where they write. Pointwise convolutions are matrix products, transposed ones are cuDNN's. Arrays
have the type of the weights, as in `SnacDecoder`; all other arithmetic is float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from app.codec.batch_decoder import BatchDecoder
from app.codec.eager import Network
from app.codec.fused.kernels import CompiledKernels, Launch
from app.codec.snac import LATENTS_PER_FRAME, SnacDecoder, Snake, Stage

THREADS = 256
TILE_STEPS = 1024
UnitLayers = tuple[Snake, nn.Conv1d, Snake, nn.Conv1d]


def load(network: Network, options: Sequence[str], device: torch.device) -> BatchDecoder:
    """Compile the kernels; see `FusedLoader`."""
    launch = CompiledKernels("snac.cu", options, device)
    return FusedSnacDecoder(cast(SnacDecoder, network), launch)


@dataclass(frozen=True, slots=True)
class Unit:
    """Depthwise and pointwise convolution; parameters float32 but the pointwise weight."""

    snake_before: Tensor | None  # (2, channels): alpha and 1 / alpha
    depthwise_weight: Tensor  # (channels, 7)
    depthwise_bias: Tensor
    dilation: int
    snake_after: Tensor | None
    pointwise_weight: Tensor  # (out, in)
    pointwise_bias: Tensor

    @classmethod
    def of(
        cls, before: Snake | None, depthwise: nn.Conv1d, after: Snake | None, pointwise: nn.Conv1d
    ) -> Unit:
        return cls(
            _parameters(before),
            depthwise.weight[:, 0].float(),
            _bias(depthwise),
            depthwise.dilation[0],
            _parameters(after),
            pointwise.weight[..., 0],
            _bias(pointwise),
        )


class FusedSnacDecoder:
    """A `BatchDecoder` with the weights of a `SnacDecoder`."""

    def __init__(self, network: SnacDecoder, launch: Launch) -> None:
        self._launch = launch
        self._tables = network.tables
        self._slots = network.slots.int()
        depthwise, pointwise = cast("Iterable[nn.Conv1d]", network.entry)
        self._entry = Unit.of(None, depthwise, None, pointwise)
        self._stages = [cast(Stage, stage) for stage in network.stages]
        self._units = [
            [Unit.of(*cast("UnitLayers", unit.block)) for unit in stage.units]
            for stage in self._stages
        ]
        self._noises = [stage.noise.float() for stage in self._stages]
        # Each is applied to the output of the part before it.
        last_snake, last_conv, _ = network.exit
        snakes = [*(stage.snake for stage in self._stages), last_snake]
        self._entry_snake, *self._stage_snakes = map(_parameters, cast("list[Snake]", snakes))
        self._last_weight = cast(nn.Conv1d, last_conv).weight[0].float()
        self._last_bias = _bias(cast(nn.Conv1d, last_conv))

    def __call__(
        self, codes: Tensor, first_frames: Tensor, lengths: Tensor, samples: Tensor, peaks: Tensor
    ) -> None:
        rows, frames, _ = codes.shape
        channels = self._tables.shape[-1]
        shape = rows, channels, frames * LATENTS_PER_FRAME
        x = torch.empty(shape, dtype=self._tables.dtype, device=codes.device)
        arguments = codes, lengths, self._slots, self._tables, x, channels, frames
        self._launch("embed_codes", (frames, rows), THREADS, *arguments)
        x = self._convolve(self._entry, x)
        self._finish(
            self._entry, None, x, self._entry_snake, lengths=lengths, rate=LATENTS_PER_FRAME
        )
        for stage, units, noise, snake in zip(
            self._stages, self._units, self._noises, self._stage_snakes, strict=True
        ):
            x = cast(Tensor, stage.up(x))
            self._add_noise(stage, x, noise, first_frames, lengths)
            for unit in units:
                product = self._convolve(unit, x)
                after = snake if unit is units[-1] else None
                self._finish(unit, x, product, after, lengths=lengths, rate=stage.rate)
                x = product
        peaks.zero_()
        _, channels, steps = x.shape
        blocks = -(-steps // THREADS), rows
        arguments = x, self._last_weight, self._last_bias, lengths, samples, peaks
        self._launch(
            "waveform", blocks, THREADS, *arguments, channels, steps, self._stages[-1].rate
        )

    def _convolve(self, unit: Unit, x: Tensor) -> Tensor:
        """Apply the convolutions of the unit, without the bias of the second."""
        rows, channels, steps = x.shape
        hidden = torch.empty_like(x)
        parameters = unit.snake_before, unit.depthwise_weight, unit.depthwise_bias, unit.snake_after
        arguments = x, *parameters, hidden, channels, steps, unit.dilation
        self._launch("depthwise", _tiles(x), THREADS, *arguments)
        return torch.bmm(unit.pointwise_weight.expand(rows, -1, -1), hidden)

    def _finish(
        self,
        unit: Unit,
        x: Tensor | None,
        product: Tensor,
        snake: Tensor | None,
        *,
        lengths: Tensor,
        rate: int,
    ) -> None:
        """Add bias and residual x to the product, then apply Snake; the padding becomes zero."""
        _, channels, steps = product.shape
        arguments = x, product, unit.pointwise_bias, snake, lengths, channels, steps, rate
        self._launch("finish_unit", _tiles(product), THREADS, *arguments)

    def _add_noise(
        self, stage: Stage, x: Tensor, noise: Tensor, first_frames: Tensor, lengths: Tensor
    ) -> None:
        """Add the noise of the stage to x; the padding becomes zero."""
        rows, channels, steps = x.shape
        weight = cast(nn.Conv1d, stage.gain).weight[..., 0]
        gain = torch.bmm(weight.expand(rows, -1, -1), x)
        arguments = x, gain, noise, first_frames, lengths, channels, steps, stage.rate, len(noise)
        self._launch("add_noise", _tiles(x), THREADS, *arguments)


def _tiles(x: Tensor) -> tuple[int, int]:
    """Return the blocks of an array (rows, channels, steps)."""
    rows, channels, steps = x.shape
    return rows * channels, -(-steps // TILE_STEPS)


def _parameters(snake: Snake | None) -> Tensor | None:
    """Alpha and 1 / alpha of the channels, (2, channels) float32."""
    if snake is None:
        return None
    return torch.stack([snake.alpha.flatten(), snake.inverse.flatten()]).float()


def _bias(conv: nn.Conv1d) -> Tensor:
    bias = conv.bias
    return conv.weight.new_zeros(len(conv.weight)).float() if bias is None else bias.float()
