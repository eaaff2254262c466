# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
"""A network in an ONNX file, run on the calling thread."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Array = NDArray[np.generic]


class OnnxNetwork:
    """A network without state. It computes on one thread; several threads may call it at once."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, **inputs: Array) -> list[Array]:
        """Return the outputs, in the order of the file."""
        return cast("list[Array]", self._session.run(None, inputs))
