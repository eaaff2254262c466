"""Routes of speech, normalization, models, health and metrics."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.api.errors import error_response
from app.api.history import Record
from app.api.middleware.api_keys import key_number_of
from app.api.response import AUDIO_RESPONSES, AudioResponse
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
from app.api.websocket import connection as websocket
from app.errors import ModelNotFound, NotReady, ServiceError, UpgradeRequired
from app.metrics import READY, TASKS

router = APIRouter()
STARTED = int(time.time())
ServiceDep = Annotated[Service, Depends(service_of)]
SPEECH_ERROR_RESPONSES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer} for status in (400, 404, 429, 500, 502, 503, 504)
}


@router.post(
    "/v1/audio/speech",
    response_class=Response,
    response_model=None,
    responses={
        200: {"content": AUDIO_RESPONSES, "description": "The audio, sent while it is generated."},
        **SPEECH_ERROR_RESPONSES,
    },
)
async def speak(request: SpeechRequest, service: ServiceDep) -> AudioResponse:
    """Generate speech from a text.

    The status is sent with the first audio. If generation fails after that, the body is cut off.
    """
    return await service.answer(request)


@router.get(websocket.PATH, include_in_schema=False)
async def websocket_alone() -> None:
    """Reject a request without the headers of a WebSocket handshake."""
    raise UpgradeRequired("this route requires a WebSocket handshake (Upgrade: websocket)")


@router.get("/v1/audio/speech/{request_id}", responses={404: {"model": ErrorAnswer}})
async def status(request_id: str, request: Request, service: ServiceDep) -> SpeechStatus:
    """Return the progress or the result of a request of the last hour by its `x-request-id`."""
    return _status(request_id, service.history.find(request_id, key_number_of(request.scope)))


@router.post(
    "/v1/audio/speech/{request_id}/report",
    status_code=202,
    responses={status: {"model": ErrorAnswer} for status in (404, 409, 500)},
)
async def report(request_id: str, request: Request, service: ServiceDep) -> SpeechStatus:
    """Report that a request sounded wrong.

    The server stores its audio codes for a replay, without its text, if REPLAY_FOLDER is set.
    """
    return _status(
        request_id, await service.history.report(request_id, key_number_of(request.scope))
    )


def _status(request_id: str, record: Record) -> SpeechStatus:
    stats = record.stats
    return SpeechStatus(
        id=request_id,
        status=record.status,
        finish_reason=stats.finish_reason if record.status == "completed" else None,
        error_code=record.error_code,
        audio_seconds=round(stats.audio_s, 3),
        usage=Usage.model_validate(usage(stats)),
        first_audio_seconds=round(stats.first_audio_s, 4) if stats.first_audio_s else None,
        retries=stats.retries,
    )


@router.post(
    "/v1/audio/normalize", responses={status: {"model": ErrorAnswer} for status in (400, 429)}
)
async def normalize(
    body: NormalizeRequest, request: Request, service: ServiceDep
) -> NormalizeAnswer:
    """Return a text as it would be spoken."""
    return NormalizeAnswer(output=await service.normalize(body, key_number_of(request.scope)))


@router.get("/v1/models")
async def models(service: ServiceDep) -> ModelList:
    """List the served model."""
    return ModelList(data=[Model(id=service.profile.model, created=STARTED)])


@router.get("/v1/models/{model:path}", responses={404: {"model": ErrorAnswer}})
async def model(model: str, service: ServiceDep) -> Model:
    """Return the served model by its id or an alias."""
    if not service.profile.serves(model):
        raise ModelNotFound(
            "this server does not serve this model; see GET /v1/models", param="model"
        )
    return Model(id=service.profile.model, created=STARTED)


@router.head("/health", include_in_schema=False)  # the method of many monitors
@router.get("/health", responses={503: {"model": ErrorAnswer}})
async def health(service: ServiceDep) -> Health:
    """Return 200 while the process works, and 503 if it must be restarted."""
    if not service.alive:
        raise NotReady("the process must be restarted; see the server log")
    return Health(status="ok")


@router.head("/ready", response_model=Health, include_in_schema=False)
@router.get("/ready", response_model=Health, responses={503: {"model": ErrorAnswer}})
async def ready(service: ServiceDep) -> Health | Response:
    """Return 200 if the codec is warm and the engine responds, otherwise 503."""
    try:
        await service.check()
    except ServiceError as exc:
        return error_response(exc, NotReady.status)
    return Health(status="ready")


@router.get("/metrics", response_class=Response)
async def metrics(service: ServiceDep) -> Response:
    """Return the metrics in the format of Prometheus."""
    READY.set(await service.ready())
    TASKS.set(len(asyncio.all_tasks()))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
