"""The routes: speech, models, and what an operator asks."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.api import websocket
from app.api.failure import failure_response
from app.api.keys import key_number_of
from app.api.records import Record
from app.api.response import AUDIO, AudioResponse
from app.api.schemas import (
    ErrorAnswer,
    Health,
    Model,
    ModelList,
    NormalizeAnswer,
    NormalizeRequest,
    SpeechRequest,
    SpeechStatus,
    Usage,
)
from app.api.service import Service, service_of
from app.api.sinks import usage
from app.errors import NotReady, ServiceError
from app.metrics import READY, TASKS
from app.request_errors import ModelNotFound, UpgradeRequired

router = APIRouter()
STARTED = int(time.time())
Here = Annotated[Service, Depends(service_of)]
REFUSALS: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer} for status in (400, 404, 429, 500, 502, 503, 504)
}


@router.post(
    "/v1/audio/speech",
    response_class=Response,
    response_model=None,
    responses={
        200: {"content": AUDIO, "description": "Audio, while it is being made."},
        **REFUSALS,
    },
)
async def speak(request: SpeechRequest, service: Here) -> AudioResponse:
    """Speak a text. The status waits for the first samples; a failure after it breaks the body off."""
    return await service.answer(request)


@router.get(websocket.PATH, include_in_schema=False)
async def websocket_alone() -> None:
    """Refuse a request that does not ask for the WebSocket."""
    raise UpgradeRequired("this route is a WebSocket's: Connection: Upgrade, Upgrade: websocket")


@router.get("/v1/audio/speech/{request_id}", responses={404: {"model": ErrorAnswer}})
async def status(request_id: str, request: Request, service: Here) -> SpeechStatus:
    """How far a request of the last hour is, or what became of it, by its `x-request-id`."""
    return _status(request_id, service.records.find(request_id, key_number_of(request.scope)))


@router.post(
    "/v1/audio/speech/{request_id}/report",
    status_code=202,
    responses={status: {"model": ErrorAnswer} for status in (404, 409, 500)},
)
async def report(request_id: str, request: Request, service: Here) -> SpeechStatus:
    """Say that a request sounded wrong: its codes, not its text, are kept for a replay, where the server keeps any."""
    return _status(
        request_id, await service.records.report(request_id, key_number_of(request.scope))
    )


def _status(request_id: str, record: Record) -> SpeechStatus:
    spoken = record.spoken()
    return SpeechStatus(
        id=request_id,
        status=record.status,
        finish_reason=spoken.finish_reason if record.status == "completed" else None,
        error_code=record.error_code,
        audio_seconds=round(spoken.audio_s, 3),
        usage=Usage.model_validate(usage(spoken)),
        first_audio_seconds=round(spoken.first_audio_s, 4) if spoken.first_audio_s else None,
        retries=spoken.retries,
    )


@router.post(
    "/v1/audio/normalize", responses={status: {"model": ErrorAnswer} for status in (400, 429)}
)
async def normalize(asked: NormalizeRequest, request: Request, service: Here) -> NormalizeAnswer:
    """The text as it would be spoken."""
    return NormalizeAnswer(output=await service.normalize(asked, key_number_of(request.scope)))


@router.get("/v1/models")
async def models(service: Here) -> ModelList:
    """The served model."""
    return ModelList(data=[Model(id=service.profile.model, created=STARTED)])


@router.get("/v1/models/{model:path}", responses={404: {"model": ErrorAnswer}})
async def model(model: str, service: Here) -> Model:
    """The served model, by its id or an alias."""
    if not service.profile.serves(model):
        raise ModelNotFound("this server does not serve that model (GET /v1/models)", param="model")
    return Model(id=service.profile.model, created=STARTED)


@router.head("/health", include_in_schema=False)  # what many monitors ask
@router.get("/health", responses={503: {"model": ErrorAnswer}})
async def health(service: Here) -> Health:
    """Whether the process is worth keeping."""
    if not service.alive:
        raise NotReady("the process should be restarted: its log says why")
    return Health(status="ok")


@router.head("/ready", response_model=Health, include_in_schema=False)
@router.get("/ready", response_model=Health, responses={503: {"model": ErrorAnswer}})
async def ready(service: Here) -> Health | Response:
    """Whether a request could be spoken now: the codec is warm and the engine answers; 503 whatever is missing."""
    try:
        await service.check()
    except ServiceError as exc:
        return failure_response(exc, NotReady.status)
    return Health(status="ready")


@router.get("/metrics", response_class=Response)
async def metrics(service: Here) -> Response:
    """Prometheus metrics."""
    READY.set(await service.ready())
    TASKS.set(len(asyncio.all_tasks()))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
