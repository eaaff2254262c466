"""Child processes without the environment and the modules of the service, which end with it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

# Environment variables that a child process gets. Others may hold keys.
PASSED_VARIABLES = ("LD_LIBRARY_PATH",)
PROGRAM = """\
import sys
sys.path += sys.argv[2:]
from importlib import import_module
import_module(sys.argv[1]).main()
"""
PR_SET_PDEATHSIG = 1  # option of Linux's prctl


def child_command(module: str) -> list[str]:
    """Return the command that calls `main` of one of our modules with this process's import path.

    -I ignores Python's environment variables and the current folder, -S adds no other folders, -B
    writes no compiled files.
    """
    folders = dict.fromkeys((str(Path(__file__).parents[1]), *filter(None, sys.path)))
    return [sys.executable, "-I", "-S", "-B", "-c", PROGRAM, module, *folders]


def child_environment() -> dict[str, str]:
    """Return the environment of a child process."""
    return {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}


def die_with_parent() -> None:
    """Have Linux kill this process when the thread that started it ends.

    On other systems only its stdin is closed then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
