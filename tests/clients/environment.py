"""Environments of the clients below `.venv-clients`, apart from that of the service."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

from tests.vllm.environment import CannotInstall, run, uv

HERE: Final = Path(__file__).parent
FOLDER: Final = HERE.parents[1] / ".venv-clients"
NODE: Final = ("package.json", "package-lock.json")


def python_with(name: str) -> Path:
    """The interpreter of a client's environment, which is made first if need be (seconds).

    Raises:
        CannotInstall: no network, no room, or no build for this machine.
    """
    folder, pins = FOLDER / name, HERE / f"requirements-{name}.txt"
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    if not (mark.is_file() and mark.read_text() == pins.read_text()):
        run(sys.executable, "-m", "venv", "--clear", str(folder))
        constraints = ("--constraint", str(HERE / "constraints.txt"))
        run(
            *uv(python),
            "pip",
            "install",
            "--python",
            str(python),
            *constraints,
            "--requirements",
            str(pins),
        )
        mark.write_text(pins.read_text())
    return python


def node_beside(script: Path) -> Path:
    """The script, copied to where package.json is installed: node looks for packages beside the
    file that names them.

    Raises:
        CannotInstall: no npm, or no network.
    """
    if not (shutil.which("node") and shutil.which("npm")):
        raise CannotInstall("node and npm are not installed")
    folder = FOLDER / "node"
    mark, pins = folder / "installed.txt", (HERE / NODE[1]).read_text()
    folder.mkdir(parents=True, exist_ok=True)
    if not (mark.is_file() and mark.read_text() == pins):
        for name in NODE:
            shutil.copy(HERE / name, folder)
        run("npm", "ci", "--no-audit", "--no-fund", "--prefix", str(folder))
        mark.write_text(pins)
    return Path(shutil.copy(script, folder))
