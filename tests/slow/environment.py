"""Environments `.venv-NAME` of the tests of deploy/, apart from that of the service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.vllm.environment import run, uv

HERE: Final = Path(__file__).parent


def python_with(name: str, *more: str) -> Path:
    """The interpreter of an environment with requirements-NAME.txt (and `more`), which is made
    first if need be.

    Raises:
        CannotInstall: no network, no room, or no build for this machine.
    """
    folder, pins = HERE.parents[1] / f".venv-{name}", HERE / f"requirements-{name}.txt"
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    if not (mark.is_file() and mark.read_text() == pins.read_text()):
        run(sys.executable, "-m", "venv", "--clear", str(folder))
        run(
            *uv(python),
            "pip",
            "install",
            "--python",
            str(python),
            "--requirements",
            str(pins),
            *more,
        )
        mark.write_text(pins.read_text())
    return python
