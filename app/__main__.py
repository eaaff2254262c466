"""`python -m app`: the service on HOST and PORT."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from app.allocator import hold_less
from app.logs import configure
from app.main import create_app
from app.misspelt import misspelt, names_given
from app.profiles import ProfileError
from app.server import serve
from app.settings import Settings, first_mistake
from app.speech.lexicon import LexiconError

log = logging.getLogger(__name__)


def main() -> None:
    """Run the service; bad settings end it with one readable line."""
    hold_less()
    try:
        settings = Settings()
        configure(settings.log_level, settings.log_format)
        _export_traces(settings)
        app = create_app(settings)
        warn(settings)
        serve(app, settings)
    except ValidationError as exc:
        sys.exit(first_mistake(exc))
    except (ProfileError, LexiconError) as exc:
        sys.exit(str(exc))


def warn(settings: Settings) -> None:
    """Say what is probably not meant."""
    for name, meant in misspelt(names_given(Path(".env")), Settings.model_fields).items():
        log.warning("%s is not a setting: %s is", name, meant)
    if settings.api_keys is None:
        log.info("open to everybody who can reach it: API_KEYS is not set")


def _export_traces(settings: Settings) -> None:
    """OpenTelemetry reads the environment alone, our settings a `.env` file too."""
    if settings.otel_exporter_otlp_endpoint:
        os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", settings.otel_exporter_otlp_endpoint)
        os.environ.setdefault("OTEL_SERVICE_NAME", "speech-server")


if __name__ == "__main__":
    main()
