"""Routes of voices: list, clone and delete voices, and speak in the voice of an upload."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from app.api.disconnect import cancel_on_disconnect
from app.api.middleware.api_keys import key_number_of
from app.api.response import AUDIO_RESPONSES, AudioResponse
from app.api.schemas import ErrorAnswer, SpeechRequest, Voice
from app.api.service import Service, service_of
from app.api.uploads import form_schema, read_upload
from app.cloning.store import ClonedVoice
from app.config.profiles import VoiceDetails, Voices

VOICES_PATH, CLONE_PATH = "/v1/audio/voices", "/v1/audio/vc"
UPLOAD_PATHS = (VOICES_PATH, CLONE_PATH)

router = APIRouter()
ServiceDep = Annotated[Service, Depends(service_of)]


class VoiceFields(BaseModel):
    """Fields of POST /v1/audio/voices in addition to its file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(description="Name of the voice, 1 to 64 characters.")
    reference_text: str = Field(description="Transcript of the recording.")


class CloneFields(SpeechRequest):
    """Fields of POST /v1/audio/vc in addition to its file. `voice` is ignored."""

    input: str = Field(
        validation_alias=AliasChoices("generate_text", "input"),
        description="Text to speak.",
    )
    reference_text: str = Field(description="Transcript of the recording.")


class StoredVoice(Voice):
    """A cloned voice."""

    object: Literal["audio.voice"] = "audio.voice"
    created_at: int  # Unix time in seconds
    sample_s: float  # duration of its reference


class VoiceList(BaseModel):
    """Response of GET /v1/audio/voices."""

    voices: list[StoredVoice | Voice]


class DeletedVoice(BaseModel):
    """Response of DELETE /v1/audio/voices/{id}."""

    id: str
    deleted: Literal[True] = True


def errors(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Return the error responses of a route for the OpenAPI document."""
    return {status: {"model": ErrorAnswer} for status in statuses}


@router.get(VOICES_PATH, response_model_exclude_none=True)
async def voices(service: ServiceDep) -> VoiceList:
    """List the voices of the model with their aliases, and the cloned voices."""
    built_in = service.profile.voices
    own = [_own_voice(built_in, name) for name in built_in.names]
    return VoiceList(voices=[*own, *map(_stored_voice, service.cloner.store.voices)])


@router.get("/v1/audio/speaker")
async def speakers(service: ServiceDep) -> list[str]:
    """List the names of all voices."""
    return [*service.profile.voices.names, *(voice.name for voice in service.cloner.store.voices)]


@router.post(
    VOICES_PATH,
    response_model_exclude_none=True,
    openapi_extra=form_schema("audio_sample", VoiceFields),
    responses=errors(400, 409, 413, 429, 500, 503, 504),
)
async def add_voice(request: Request, service: ServiceDep) -> StoredVoice:
    """Clone a voice from a recording of some seconds and its transcript, and store it."""
    service.cloner.check()
    key = key_number_of(request.scope)
    max_bytes = service.settings.max_reference_bytes
    with service.uploads.slot(key):  # before the body is read into memory
        audio, fields = await read_upload(request, "audio_sample", VoiceFields, max_bytes)
        work = service.cloner.add(fields.name, audio, fields.reference_text)
        return _stored_voice(await cancel_on_disconnect(request, work))


@router.delete(VOICES_PATH + "/{voice_id}", responses=errors(404, 500))
async def delete_voice(voice_id: str, service: ServiceDep) -> DeletedVoice:
    """Delete a cloned voice. The voices of the model cannot be deleted."""
    await service.cloner.remove(voice_id)
    return DeletedVoice(id=voice_id)


@router.post(
    CLONE_PATH,
    response_class=Response,
    response_model=None,
    openapi_extra=form_schema("reference_audio", CloneFields),
    responses={
        200: {"content": AUDIO_RESPONSES, "description": "The audio, sent while it is generated."},
        **errors(400, 404, 413, 429, 500, 502, 503, 504),
    },
)
async def clone(request: Request, service: ServiceDep) -> AudioResponse:
    """Generate speech in the voice of a recording, which is not stored."""
    service.cloner.check()
    key = key_number_of(request.scope)
    max_bytes = service.settings.max_reference_bytes
    with service.uploads.slot(key):  # before the body is read into memory
        audio, fields = await read_upload(request, "reference_audio", CloneFields, max_bytes)
        speech = fields.model_copy(update={"voice": None})
        # Rejects an invalid request before seconds are spent on the reference.
        await service.answer(speech)
        work = service.cloner.reference(audio, fields.reference_text)
        reference = await cancel_on_disconnect(request, work)
    return await service.answer(speech, reference)


def _own_voice(voices: Voices, name: str) -> Voice:
    details = voices.details.get(name, VoiceDetails())
    return Voice(
        id=name,
        name=name,
        aliases=sorted(alias for alias, target in voices.aliases.items() if target == name),
        description=details.description,
        language=details.language,
    )


def _stored_voice(voice: ClonedVoice) -> StoredVoice:
    return StoredVoice(
        id=voice.id, name=voice.name, aliases=[], created_at=voice.created, sample_s=voice.sample_s
    )
