"""`python -m tests.slow.paced_service`: the service with an engine of a set pace that breaks on
demand.

Real server, real routes; codes and sound cost nothing, so that many can run on a small machine. A
text with "quick" in it takes no time, one with "break" in it breaks in the middle. LOADING_S is the
time for which it says 503 before it is ready.
"""

from __future__ import annotations

import asyncio
import logging
import os

from fastapi import FastAPI

from app.config.settings import Settings
from app.engine import Generation, OnTokens, Sampling
from app.errors import EngineError
from app.main import create_app
from app.server.server import serve
from tests.fakes import FixedEngine, ToneCodec, tone_codes
from tests.live_server import settings_for_tests

CODES = tone_codes(600)  # 12 s of sound
GAP_S = 0.05  # between ten codes: 3 s for an answer
CALM = (
    "This is a sentence of twelve seconds at the least, with as many words as anybody needs to "
    "fill them"
)
QUICK = f"Be quick {CALM}"


class PacedEngine(FixedEngine):
    """Twelve seconds of sound in three."""

    async def start(self) -> None:
        """Return when it has loaded."""
        await asyncio.sleep(float(os.environ.get("LOADING_S", "0")))

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Raises EngineError after a third, where the prompt asks for it."""
        gap_s = 0.0 if "quick" in prompt else GAP_S
        numbers = CODES[:200] if "break" in prompt else CODES
        made = await FixedEngine(numbers, gap_s=gap_s).generate(prompt, sampling, on_tokens)
        if "break" in prompt:
            await asyncio.sleep(0.2)  # until what was made has left
            raise EngineError("failed on demand")
        return made


def paced_app(settings: Settings) -> FastAPI:
    """The application; GET /pid names its process."""
    app = create_app(settings, engine=PacedEngine(CODES), codec=ToneCodec())
    app.add_api_route("/pid", os.getpid)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.WARNING)
    settings = settings_for_tests()
    serve(paced_app(settings), settings)


if __name__ == "__main__":
    main()
