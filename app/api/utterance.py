"""One utterance of a connection: text in, as it is written, sound out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app import metrics
from app.api.access import words
from app.api.admission import Admission
from app.api.keys import named
from app.api.records import Records
from app.api.response import AudioAnswer, facts, report
from app.api.script import Script
from app.listener import ClientGone, Sink, Spoken
from app.progress import Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Utterance:
    """A script, and how it is spoken."""

    script: Script
    answer: AudioAnswer
    speed: float
    synthesis: Callable[[Sink, Progress], Awaitable[Spoken]]
    admission: Admission
    records: Records

    async def speak(self, sink: Sink, name: str, key: int | None = None) -> None:
        """Speak, from the first sentence to the end of the text; `name` is the log's, `key` the caller's key's number.

        Raises:
            ServiceError: as synthesize() does; Overloaded where all places are taken; TextTimeout; what is wrong with
                the text, where it is cancelled for that.
            ClientGone: the client disconnected or stopped reading.
        """
        try:
            with self.script.spoken():
                await self.script.begun()
            with self.records.follow(name, key, speed=self.speed) as progress, self.script.spoken():
                async with self.admission.slot(key, progress):
                    spoken = await self.synthesis(sink, progress)
            report(spoken, whole=False)
            told = named(key) | facts(spoken, whole=False)
            log.info("request %s: %s", name, words(told), extra={"request_id": name, **told})
        except (asyncio.CancelledError, ClientGone):
            metrics.REQUESTS.labels("cancelled").inc()
            log.info(
                "request %s: cancelled",
                name,
                extra={"request_id": name, "error": "cancelled", **named(key)},
            )
            raise
        finally:
            self.script.close()
