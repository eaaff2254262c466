"""Percentiles, interpolated linearly between the two nearest values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile of the values; nan if there are none."""
    return float(np.percentile(values, percent)) if values else math.nan
