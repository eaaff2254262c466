"""Finite scalar quantisation: a code is eight digits of four levels, least significant first.

FSQ (Mentzer et al. 2023, arXiv:2309.15505) with NeuCodec's layout: 4^8 = 65,536 codes.
`app.codec.fsq_tensors` has the same functions for torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]

DIGITS = 8
LEVELS = 4
VOCABULARY = LEVELS**DIGITS
_SHIFTS = np.arange(0, 2 * DIGITS, 2)


def codes_to_digits(codes: Integers) -> Integers:
    """Codes (...) -> digits (..., 8), each 0 to 3."""
    return (codes[..., None] >> _SHIFTS) & (LEVELS - 1)


def digits_to_codes(digits: Integers) -> Integers:
    """Digits (..., 8), each 0 to 3 -> codes (...)."""
    return (digits << _SHIFTS).sum(-1)


def digits_to_values(digits: Integers) -> NDArray[np.float32]:
    """Digits -> the inputs of the networks: -1, -0.5, 0 or 0.5."""
    return ((digits - LEVELS // 2) / (LEVELS // 2)).astype(np.float32)
