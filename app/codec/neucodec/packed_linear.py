# pyright: reportPrivateUsage=false
"""Linear layers with weights packed once in the layout of the CPU's bfloat16 instructions."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

PACKED_FOR_ROWS = 80  # rows of a window of 1.6 s; the layout works for any number of rows


class Linear(nn.Linear):
    """A linear layer with a weight that may be packed."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """(..., in) to (..., out), in the weight's type."""
        if self.weight.is_mkldnn:
            product = torch.ops.mkldnn._linear_pointwise(
                input, self.weight, self.bias, "none", [], ""
            )
            return cast(Tensor, product)
        return functional.linear(input, self.weight, self.bias)


def pack(network: nn.Module) -> None:
    """Pack the bfloat16 weights of a network, if the CPU has bfloat16 products; irreversible.

    Otherwise oneDNN reorders a weight at every call, which takes 1.06 to 1.15 times as long for
    NeuCodec calls of 320 to 60 rows. torch has no public operators for it; these two are the ones
    that the "freezing" of torch.compile emits.
    """
    native = torch.cpu.get_capabilities().get("avx512_bf16")
    if not (torch.backends.mkldnn.is_available() and native):
        return
    for layer in network.modules():
        if isinstance(layer, Linear) and layer.weight.dtype == torch.bfloat16:
            packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight, PACKED_FOR_ROWS)
            layer.weight = nn.Parameter(cast(Tensor, packed), requires_grad=False)
