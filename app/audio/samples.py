"""The array type of audio inside the service."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]  # (samples,), mono, nominally within [-1, 1]
