"""The folder that the commands share, and the options that they all have."""

from __future__ import annotations

import argparse
from pathlib import Path

DATA = Path("build/voice")


def add_folder(parser: argparse.ArgumentParser) -> None:
    """`--data` and `--seed`."""
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder with everything made so far"
    )
    parser.add_argument("--seed", type=int, default=0)
