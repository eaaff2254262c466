"""One utterance of a WebSocket connection: speak a text while it is received."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from app import metrics
from app.api.admission import Admission
from app.api.history import RequestHistory
from app.api.middleware.request_log import RequestLog, format_fields
from app.api.response import observe_success
from app.synthesis.attempt import Backend
from app.synthesis.audio_output import ClientGone, Sink
from app.synthesis.request import SynthesisRequest
from app.synthesis.synthesize import Synthesis
from app.synthesis.text_stream import TextStream

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text that is still being received, and the options of its speech."""

    request: SynthesisRequest
    text_stream: TextStream  # the request's segments
    backend: Backend
    admission: Admission
    history: RequestHistory

    async def speak(self, sink: Sink, name: str, key: int | None = None) -> None:
        """Speak the text from its first sentence to its end.

        `name`: request id for the log. `key`: number of the API key.

        Raises:
            ServiceError: see Synthesis.run().
            Overloaded: all slots are in use.
            TextTimeout: no text was received for too long.
            RequestError: the text is invalid.
            ClientGone: the client disconnected or stopped reading.
        """
        request_log = RequestLog(name, key=key)
        try:
            with self.text_stream.raise_text_error():
                await self.text_stream.wait_for_text()
            with self.history.track(name, key) as stats, self.text_stream.raise_text_error():
                synthesis = Synthesis(self.request, self.backend, sink, stats)
                async with self.admission.slot(key, synthesis):
                    await synthesis.run()
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
