"""`python -m tests.slow.ray_site`, in .venv-ray: two paced services (paced_service.py) on Ray
Serve.
"""

from __future__ import annotations

from fastapi import FastAPI
from serve_speech import run  # pyright: ignore[reportMissingImports]

LIMIT = 8


def build() -> FastAPI:
    """The paced application, made in the replica's process."""
    from tests.live_server import settings_for_tests
    from tests.slow.paced_service import paced_app

    return paced_app(settings_for_tests(max_concurrent_requests=LIMIT))


if __name__ == "__main__":
    run(build, replicas=2)
