"""Finite scalar quantisation in torch; see `app.codec.fsq`."""

from __future__ import annotations

import torch
from torch import Tensor

from app.codec.fsq import DIGITS, LEVELS


def codes_to_digits(codes: Tensor) -> Tensor:
    """Codes (...) -> digits (..., 8), each 0 to 3."""
    shifts = torch.arange(0, 2 * DIGITS, 2, device=codes.device)
    return (codes.unsqueeze(-1) >> shifts) & (LEVELS - 1)


def digits_to_codes(digits: Tensor) -> Tensor:
    """Digits (..., 8), each 0 to 3 -> codes (...)."""
    shifts = torch.arange(0, 2 * DIGITS, 2, device=digits.device)
    return (digits << shifts).sum(-1)


def digits_to_values(digits: Tensor) -> Tensor:
    """Digits -> the inputs of the networks: -1, -0.5, 0 or 0.5."""
    return (digits - LEVELS // 2).float() / (LEVELS // 2)
