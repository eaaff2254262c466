"""`python -m app`: the service on HOST and PORT."""

from __future__ import annotations

import sys

from app.allocator import hold_less
from app.logs import configure
from app.main import create_app
from app.misconfiguration import MISCONFIGURATIONS, line_of
from app.server import serve
from app.settings import Settings
from app.tracing import export


def main() -> None:
    """Run the service; bad settings end it with one readable line."""
    hold_less()
    try:
        settings = Settings()
        configure(settings.log_level, settings.log_format)
        export(settings.otel_exporter_otlp_endpoint)
        serve(create_app(settings), settings)
    except MISCONFIGURATIONS as exc:
        sys.exit(line_of(exc))


if __name__ == "__main__":
    main()
