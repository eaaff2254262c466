"""The command `serve`: listen on HOST and PORT."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from app.config.checks import CONFIG_ERRORS, config_error_message
from app.config.env_file import environment_names, removed_settings, similar_names
from app.config.settings import ENV_FILE, Settings, setting_names
from app.logs import configure
from app.main import create_app
from app.server import server
from app.server.malloc import limit_allocator_memory
from app.tracing import export

log = logging.getLogger(__name__)


def serve(host: str | None, port: int | None) -> None:
    """Run the service; exit with one readable line if the settings are invalid.

    `host` and `port` replace HOST and PORT.
    """
    options = {"host": host, "port": port}
    given = {name: value for name, value in options.items() if value is not None}
    limit_allocator_memory()
    try:
        settings = Settings(ENV_FILE, **given)
        configure(settings.log_level, settings.log_format)
        export(settings.otel_exporter_otlp_endpoint)
        app = create_app(settings)
        log_config_warnings(settings)
        server.serve(app, settings)
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
