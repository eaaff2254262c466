"""The ConvNeXt block of the built-in codec and of the embedded token model."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, then an inverted bottleneck, with a residual connection.

    ConvNeXt (Liu et al. 2022, arXiv:2201.03545) in one dimension. `look_ahead` is the number of
    kernel taps in the future; 0 makes the block causal.
    """

    def __init__(self, channels: int, hidden: int, *, kernel: int = 7, look_ahead: int = 0) -> None:
        super().__init__()
        self.padding = (kernel - 1 - look_ahead, look_ahead)
        self.depthwise = nn.Conv1d(channels, channels, kernel, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, hidden)
        self.activation = nn.GELU(approximate="tanh")
        self.project = nn.Linear(hidden, channels)
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, steps, channels) -> the same shape; the sequence is padded with zeros."""
        padded = functional.pad(hidden.transpose(1, 2), self.padding)
        mixed = self.norm(self.depthwise(padded).transpose(1, 2))
        return hidden + self.scale * self.project(self.activation(self.expand(mixed)))
