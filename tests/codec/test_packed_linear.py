from __future__ import annotations

import pytest
import torch
from torch import nn

from app.codec.neucodec.packed_linear import Linear, pack

multiplies_bfloat16 = torch.backends.mkldnn.is_available() and torch.cpu.get_capabilities().get(
    "avx512_bf16", False
)


def layer(dtype: torch.dtype, *, bias: bool = True) -> Linear:
    torch.manual_seed(0)
    return Linear(96, 160, bias=bias, dtype=dtype).requires_grad_(False)


@pytest.mark.parametrize("rows", [1, 7, 80, 300])
@pytest.mark.parametrize("bias", [False, True])
def test_a_packed_layer_gives_the_same_product(rows: int, bias: bool) -> None:
    """For any number of rows, not only that for which it was packed."""
    packed = layer(torch.bfloat16, bias=bias)
    pack(packed)
    given = torch.randn(2, rows, 96, dtype=torch.bfloat16)
    exact = nn.functional.linear(
        given.double(), *(p.double() for p in layer(torch.bfloat16, bias=bias).parameters())
    )
    assert packed(given).shape == (2, rows, 160)
    assert packed(given).dtype == torch.bfloat16
    assert torch.allclose(packed(given).double(), exact, rtol=2**-8, atol=2**-8)


@pytest.mark.skipif(not multiplies_bfloat16, reason="needs a processor that multiplies bfloat16")
def test_bfloat16_weights_of_a_whole_network_are_packed_and_keep_their_type() -> None:
    network = nn.Sequential(
        layer(torch.bfloat16), nn.Sequential(layer(torch.bfloat16)), layer(torch.float32)
    )
    pack(network)
    weights = [module.weight for module in network.modules() if isinstance(module, Linear)]
    assert [weight.is_mkldnn for weight in weights] == [True, True, False]
    assert [weight.dtype for weight in weights] == [torch.bfloat16, torch.bfloat16, torch.float32]


def test_other_layers_stay_as_they_are() -> None:
    network = nn.Linear(8, 8, dtype=torch.bfloat16)
    pack(network)
    assert not network.weight.is_mkldnn
