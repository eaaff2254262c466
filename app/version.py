"""Which version this is: for logs, metrics and the API's description."""

from typing import Final

VERSION: Final = "0.1.0"  # pyproject.toml and the chart say the same (tests/test_project.py)
