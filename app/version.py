"""Version of the service, for logs, metrics and the OpenAPI document."""

from typing import Final

VERSION: Final = "0.1.0"  # equal in pyproject.toml and the chart (tests/docs/test_project.py)
