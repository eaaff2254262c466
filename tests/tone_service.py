"""`python -m tests.tone_service`: the engines of ENGINE_URLS, and a codec without cost."""

from __future__ import annotations

import logging

from app.config.settings import Settings
from app.main import create_app
from app.server.server import serve
from tests.fakes import ToneCodec

if __name__ == "__main__":
    settings = Settings()
    logging.basicConfig(level="INFO")
    serve(create_app(settings, codec=ToneCodec()), settings)
