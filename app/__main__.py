"""`python -m app`: the service on HOST and PORT."""

from __future__ import annotations

import os
import sys

from pydantic import ValidationError

from app.allocator import hold_less
from app.logs import configure
from app.main import create_app
from app.profiles import ProfileError
from app.server import serve
from app.settings import Settings, first_mistake
from app.speech.lexicon import LexiconError


def main() -> None:
    """Run the service; bad settings end it with one readable line."""
    hold_less()
    try:
        settings = Settings()
        configure(settings.log_level, settings.log_format)
        _export_traces(settings)
        serve(create_app(settings), settings)
    except ValidationError as exc:
        sys.exit(first_mistake(exc))
    except (ProfileError, LexiconError) as exc:
        sys.exit(str(exc))


def _export_traces(settings: Settings) -> None:
    """OpenTelemetry reads the environment alone, our settings a `.env` file too."""
    if settings.otel_exporter_otlp_endpoint:
        os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", settings.otel_exporter_otlp_endpoint)
        os.environ.setdefault("OTEL_SERVICE_NAME", "speech-server")


if __name__ == "__main__":
    main()
