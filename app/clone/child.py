"""Processes beside the service: small, without its environment and its modules, and gone when it is."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

KEPT_VARIABLES = ("LD_LIBRARY_PATH",)  # of the environment: others may be keys
PROGRAM = """\
import sys
sys.path += sys.argv[2:]
from importlib import import_module
import_module(sys.argv[1]).main()
"""
PR_SET_PDEATHSIG = 1  # of Linux's prctl


def command(module: str) -> list[str]:
    """The command that calls `main` of a module of ours, which finds its imports where this process finds them.

    -I: neither Python's variables nor the current folder; -S: nothing but these folders; -B: no compiled files.
    """
    folders = dict.fromkeys((str(Path(__file__).parents[2]), *filter(None, sys.path)))
    return [sys.executable, "-I", "-S", "-B", "-c", PROGRAM, module, *folders]


def environment() -> dict[str, str]:
    """The variables that such a process gets."""
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}


def die_with_the_service() -> None:
    """Have Linux kill this process when the thread that has started it ends; elsewhere its input ends then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
