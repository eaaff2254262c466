# pyright: reportPrivateUsage=false
"""Matrix products whose weights lie as the CPU's bfloat16 instructions read them, packed once and not at every call."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

PACKED_FOR_ROWS = 80  # a window of 1.6 s; the layout serves any number of rows


class Linear(nn.Linear):
    """A linear layer whose weight may be packed."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """(..., in) to (..., out), in the weight's type."""
        if self.weight.is_mkldnn:
            product = torch.ops.mkldnn._linear_pointwise(
                input, self.weight, self.bias, "none", [], ""
            )
            return cast(Tensor, product)
        return functional.linear(input, self.weight, self.bias)


def pack(network: nn.Module) -> None:
    """Pack the bfloat16 weights of a network on a CPU that multiplies them; they cannot be read again.

    Without it oneDNN reorders a weight at every call: 1.06 to 1.15 times a NeuCodec call of 320 to 60 rows.
    The two operators are those that torch.compile's "freezing" writes; torch names no public ones.
    """
    if not (
        torch.backends.mkldnn.is_available() and torch.cpu.get_capabilities().get("avx512_bf16")
    ):
        return
    for layer in network.modules():
        if isinstance(layer, Linear) and layer.weight.dtype == torch.bfloat16:
            packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight, PACKED_FOR_ROWS)
            layer.weight = nn.Parameter(cast(Tensor, packed), requires_grad=False)
