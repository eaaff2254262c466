"""The running service: the components that the routes share."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from fastapi import Request

from app.api.admission import Admission
from app.api.history import RequestHistory
from app.api.request_planner import RequestPlanner
from app.api.response import AudioResponse
from app.api.schemas import NormalizeRequest, SpeechRequest, VoiceId
from app.api.slot_limit import SlotLimit
from app.api.text_process import TextProcess
from app.api.websocket.utterance import Utterance
from app.cloning.cloner import Cloner
from app.config.profiles import Profile
from app.config.settings import Settings
from app.decode.load_estimate import LoadEstimate
from app.decode.scheduler import Scheduler
from app.engine import Engine, LocalEngine
from app.errors import ServiceError
from app.readiness import Readiness
from app.replay.store import ReplayStore
from app.synthesis.attempt import Backend
from app.synthesis.text_stream import run_in_thread_if_long
from app.text.preparation import NormalisationOptions, TextPreparation
from app.text.prompt import VoicePrompt

MAX_TEXTS = 8  # concurrent requests to normalize, of which one runs at a time


class Service:
    """One served model. `decoder` is None until the codec is warm."""

    def __init__(
        self,
        settings: Settings,
        profile: Profile,
        engine: Engine,
        cloner: Cloner,
        preparation: TextPreparation,
    ) -> None:
        self.settings = settings
        self.profile = profile
        self.engine = engine
        self.cloner, self.preparation = cloner, preparation
        self.readiness = Readiness()
        self.load_estimate = LoadEstimate(engine.cost if isinstance(engine, LocalEngine) else None)
        self.admission = Admission(
            self.load_estimate,
            settings.max_concurrent_requests,
            settings.max_concurrent_requests_per_key,
            settings.max_decode_load,
            settings.admission_wait_s,
        )
        self.uploads = SlotLimit("uploads", settings.max_concurrent_uploads, self.admission)
        self._text_places = SlotLimit("texts", MAX_TEXTS, self.admission)
        self._texts = TextProcess(preparation, settings.request_timeout_s)
        self.history = RequestHistory(
            replays=ReplayStore(Path(folder)) if (folder := settings.replay_folder) else None
        )
        self.decoder: Scheduler | None = None

    def open(self, decoder: Scheduler) -> None:
        """Accept requests, because the codec is warm."""
        self.preparation.warm()
        self.decoder = decoder
        self.readiness.set_ready()

    async def close(self) -> None:
        """Release all resources, after the last request has ended."""
        self.cloner.close()
        await self._texts.close()
        await asyncio.to_thread(self.history.close)
        await self.engine.close()
        if self.decoder is not None:
            await self.decoder.close()

    async def answer(
        self, request: SpeechRequest, reference: VoicePrompt | None = None
    ) -> AudioResponse:
        """Return a response that speaks the text, in the voice of `reference` if there is one.

        Raises:
            RequestError: the request is invalid.
            NotReady: the codec is not warm yet, or the server is shutting down.
            Overloaded: all slots are in use.
        """
        self.readiness.check_not_draining()
        decoder = self._decoder()
        self.admission.check(whole=not request.stream)
        planner = RequestPlanner(self.settings, self.profile, decoder.spec, self.preparation)
        reference = reference or self._stored(request)
        planned = await run_in_thread_if_long(
            request.input, partial(planner.plan, request, reference)
        )
        return AudioResponse(
            planned,
            Backend(self.engine, decoder),
            self.admission,
            self.history,
            self.settings.client_write_timeout_s,
        )

    def utterance(self, session: SpeechRequest) -> Utterance:
        """Return an utterance whose text is received later. `session` holds its options.

        Raises:
            RequestError: the session is invalid.
            NotReady: the codec is not warm yet.
        """
        decoder = self._decoder()
        planner = RequestPlanner(self.settings, self.profile, decoder.spec, self.preparation)
        planned, text_stream = planner.plan_stream(session, self._stored(session))
        backend = Backend(self.engine, decoder)
        return Utterance(planned, text_stream, backend, self.admission, self.history)

    async def normalize(self, request: NormalizeRequest, key: int | None) -> str:
        """Return the text as it would be spoken. Needs neither codec nor engine.

        Raises:
            RequestError: the text cannot be spoken.
            Overloaded: too many texts wait, or the key has too many requests.
            DeadlineExceeded, NotReady: see `TextProcess.text`.
        """
        normalisation = NormalisationOptions(request.normalize is not False, request.language)
        with self._text_places.slot(key):
            return await self._texts.text(request.input, normalisation)

    def _stored(self, request: SpeechRequest) -> VoicePrompt | None:
        asked = request.voice
        return self.cloner.find(asked.id if isinstance(asked, VoiceId) else asked)

    async def check(self) -> None:
        """Return if requests can be served now.

        Raises:
            ServiceError: the codec is not warm, the engine is unreachable, or the server is
                shutting down.
        """
        self.readiness.check_not_draining()
        self._decoder()
        await self.engine.check()

    async def ready(self) -> bool:
        """True if requests can be served now; see `check`."""
        try:
            await self.check()
        except ServiceError:
            return False
        return True

    @property
    def alive(self) -> bool:
        """False after a decode thread died, or loading failed in a way that a restart may fix."""
        return not self.readiness.failed and (self.decoder is None or self.decoder.failure is None)

    def _decoder(self) -> Scheduler:
        self.readiness.check_loaded()
        assert self.decoder is not None
        return self.decoder


async def service_of(request: Request) -> Service:
    """Return the service of the application. Async, or FastAPI would run it in a thread."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service
