"""`python -m tests.faulty_service`: the service with an engine and a codec that fail on request."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence

from app.audio.samples import Samples
from app.codec import CodeWindow, DeviceLost
from app.config.settings import Settings
from app.decode.batch import Job
from app.decode.queue import BatchLimits, DeadlineQueue
from app.engine import Generation, OnTokens, Sampling
from app.main import create_app
from app.server.server import serve
from tests.fakes import FixedEngine, ToneCodec

LOSES_THE_DEVICE, HANGS, ENDS_THE_THREAD = 9_001, 9_002, 9_003
FOR_EVER_S = 3_600
CODES = {"Lose it.": LOSES_THE_DEVICE, "Hang.": HANGS, "End.": ENDS_THE_THREAD}


class ObedientEngine(FixedEngine):
    """Generates 1 s of codes for any text, and faults for some texts."""

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Never begin ("Wait."), never end ("Go on."), take 1.5 s ("Slowly."), or send what a codec
        breaks on.
        """
        if "Wait." in prompt:
            await asyncio.sleep(FOR_EVER_S)
        for word, code in CODES.items():
            if word in prompt:
                on_tokens([code] * 50)
        if "Much." in prompt:
            on_tokens(range(3_000))
        for number in range({"Go on.": FOR_EVER_S, "Slowly.": 30}.get(_words(prompt), 1)):
            on_tokens(range(10 * number % 9_000, 10 * number % 9_000 + 10))
            await asyncio.sleep(0.05)
        on_tokens([7] * 40)
        return Generation("stop", prompt_tokens=1, completion_tokens=50)


def _words(prompt: str) -> str:
    return next((words for words in ("Go on.", "Slowly.") if words in prompt), "")


class UnreliableCodec(ToneCodec):
    """Fails at some codes in ways that only a new process ends."""

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode, lose the device, hang, or end the thread."""
        codes = {int(window.codes[-1, 0]) for window in windows}
        if LOSES_THE_DEVICE in codes:
            raise DeviceLost("an illegal memory access was encountered")
        if HANGS in codes:
            time.sleep(FOR_EVER_S)
        if ENDS_THE_THREAD in codes:
            raise SystemExit
        return super().decode(windows)


def load(limits: BatchLimits) -> DeadlineQueue[Job]:
    """Return the queue at the end of loading; with LOADS=never block for ever."""
    if os.environ.get("LOADS") == "never":
        time.sleep(FOR_EVER_S)
    return DeadlineQueue(limits)


if __name__ == "__main__":
    settings = Settings()
    logging.basicConfig(level="INFO")
    serve(
        create_app(settings, engine=ObedientEngine([]), codec=UnreliableCodec(), queue=load),
        settings,
    )
