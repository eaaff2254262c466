"""Command line of the service: `python -m app` listens on HOST and PORT."""

from __future__ import annotations

import os
import signal
import sys

EARLY_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def exit_at_signals() -> None:
    """Exit with status 0 at SIGTERM and SIGINT until the server installs its own handlers.

    Without this, process 1 of a container ignores SIGTERM while it imports and loads.
    """
    for number in EARLY_SIGNALS:
        signal.signal(number, lambda _signal, _frame: os._exit(0))


if __name__ == "__main__":
    exit_at_signals()

import logging
from pathlib import Path

from app.config.checks import CONFIG_ERRORS, config_error_message
from app.config.env_file import environment_names, removed_settings, similar_names
from app.config.settings import ENV_FILE, Settings, setting_names
from app.logs import configure
from app.main import create_app
from app.server.malloc import limit_allocator_memory
from app.server.server import serve
from app.tracing import export

log = logging.getLogger(__name__)


def main() -> None:
    """Run the service; exit with one readable line if the settings are invalid."""
    limit_allocator_memory()
    try:
        settings = Settings()
        configure(settings.log_level, settings.log_format)
        export(settings.otel_exporter_otlp_endpoint)
        app = create_app(settings)
        log_config_warnings(settings)
        serve(app, settings)
    except CONFIG_ERRORS as exc:
        sys.exit(config_error_message(exc))


def log_config_warnings(settings: Settings) -> None:
    """Log probable mistakes: misspelt settings, and a service without API keys."""
    for name, meant in similar_names(environment_names(Path(ENV_FILE)), setting_names()).items():
        log.warning("unknown setting %s: did you mean %s?", name, meant)
    for line in removed_settings(Path(ENV_FILE)):
        log.warning("%s", line)
    if settings.api_keys is None:
        if "API_KEYS" in os.environ:
            log.warning("open to every client that can reach it: API_KEYS is set but empty")
        else:
            log.info("open to every client that can reach it: API_KEYS is not set")


if __name__ == "__main__":
    main()
