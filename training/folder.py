"""The data folder and the options that all commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

DATA = Path("build/voice")


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add `--data` and `--seed`."""
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder for the data of all commands"
    )
    parser.add_argument("--seed", type=int, default=0)
