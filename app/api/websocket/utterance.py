"""One utterance of a WebSocket connection: speak a text while it is received."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app import metrics
from app.api.admission import Admission
from app.api.history import RequestHistory
from app.api.middleware.request_log import RequestLog, format_fields
from app.api.response import OutputFormat, observe_success
from app.synthesis.audio_output import ClientGone, Sink, SynthesisStats
from app.synthesis.stats import Progress
from app.synthesis.text_stream import TextStream

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text that is still being received, and the options of its speech."""

    text_stream: TextStream
    answer: OutputFormat
    speed: float
    synthesis: Callable[[Sink, Progress], Awaitable[SynthesisStats]]
    admission: Admission
    history: RequestHistory

    async def speak(self, sink: Sink, name: str, key: int | None = None) -> None:
        """Speak the text from its first sentence to its end.

        `name`: request id for the log. `key`: number of the API key.

        Raises:
            ServiceError: see synthesize().
            Overloaded: all slots are in use.
            TextTimeout: no text was received for too long.
            RequestError: the text is invalid.
            ClientGone: the client disconnected or stopped reading.
        """
        request_log = RequestLog(name, key=key)
        try:
            with self.text_stream.raise_text_error():
                await self.text_stream.wait_for_text()
            with (
                self.history.track(name, key, speed=self.speed) as progress,
                self.text_stream.raise_text_error(),
            ):
                async with self.admission.slot(key, progress):
                    stats = await self.synthesis(sink, progress)
            observe_success(stats, whole=False)
            request_log.add_audio(stats, whole=False)
            fields = request_log.fields()
            log.info(
                "request %s: %s", name, format_fields(fields), extra={"request_id": name, **fields}
            )
        except (asyncio.CancelledError, ClientGone):
            metrics.REQUESTS.labels("cancelled").inc()
            request_log.fail("cancelled")
            extra = {"request_id": name, **request_log.fields()}
            log.info("request %s: cancelled", name, extra=extra)
            raise
        finally:
            self.text_stream.close()
