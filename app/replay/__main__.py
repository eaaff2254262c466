"""Starts `python -m app.replay`."""

from __future__ import annotations

import sys

from app.replay.cli import main

if __name__ == "__main__":
    main(sys.argv[1:])
