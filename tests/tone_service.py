"""`python -m tests.tone_service`: the service with the engines of TTS_API and a codec that costs nothing."""

from __future__ import annotations

import logging

from app.main import create_app
from app.server import serve
from app.settings import Settings
from tests.fakes import ToneCodec

if __name__ == "__main__":
    settings = Settings()
    logging.basicConfig(level="INFO")
    serve(create_app(settings, codec=ToneCodec()), settings)
