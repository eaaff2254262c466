"""A language model with random weights, small enough for tests, that ends after some tens of codes."""

from __future__ import annotations

import torch

from app.engine.lm import END_ROW, LanguageModel, Shape
from voices.train.tokens_lm import new_model

SMALL = Shape(hidden=48, layers=3, heads=3, key_heads=1, head_width=16, feed=64)
END_WEIGHT = 70.0  # as large as random weights make the sum over all codes now and then


def small_model(
    shape: Shape = SMALL, seed: int = 0, end_weight: float = END_WEIGHT
) -> LanguageModel:
    """Random weights; with an `end_weight` of 1 it never ends."""
    torch.manual_seed(seed)
    model = new_model(shape).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    with torch.no_grad():
        model.head.weight[END_ROW] *= end_weight
    return model
