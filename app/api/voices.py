"""The routes of voices: the list, cloned ones to keep, and speech in the voice of an upload."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from app.api.keys import key_number_of
from app.api.presence import while_there
from app.api.response import AUDIO, AudioResponse
from app.api.schemas import ErrorAnswer, SpeechRequest, Voice
from app.api.service import Service, service_of
from app.api.upload import form_schema, read_upload
from app.clone.store import ClonedVoice
from app.profiles import Voices

VOICES_PATH, CLONE_PATH = "/v1/audio/voices", "/v1/audio/vc"
UPLOAD_PATHS = (VOICES_PATH, CLONE_PATH)

router = APIRouter()
Here = Annotated[Service, Depends(service_of)]


class VoiceFields(BaseModel):
    """POST /v1/audio/voices, beside its file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(description="What `voice` will call it: 1 to 64 characters.")
    reference_text: str = Field(description="What is said in the recording.")


class CloneFields(SpeechRequest):
    """POST /v1/audio/vc, beside its file: a speech request; its `voice` is not looked at."""

    input: str = Field(
        validation_alias=AliasChoices("generate_text", "input"),
        description="The text to speak.",
    )
    reference_text: str = Field(description="What is said in the recording.")


class StoredVoice(Voice):
    """A cloned voice."""

    object: Literal["audio.voice"] = "audio.voice"
    created_at: int  # seconds since 1970
    sample_s: float  # length of its reference


class VoiceList(BaseModel):
    """GET /v1/audio/voices."""

    voices: list[StoredVoice | Voice]


class DeletedVoice(BaseModel):
    """DELETE /v1/audio/voices/{id}."""

    id: str
    deleted: Literal[True] = True


def errors(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The refusals of a route, for its description."""
    return {status: {"model": ErrorAnswer} for status in statuses}


@router.get(VOICES_PATH)
async def voices(service: Here) -> VoiceList:
    """The model's voices, each with the other names that lead to it, and the cloned ones."""
    known = service.profile.voices
    own = [Voice(id=name, name=name, aliases=_aliases(known, name)) for name in known.names]
    return VoiceList(voices=[*own, *map(_shown, service.cloner.store.voices)])


@router.get("/v1/audio/speaker")
async def speakers(service: Here) -> list[str]:
    """The voices' names."""
    return [*service.profile.voices.names, *(voice.name for voice in service.cloner.store.voices)]


@router.post(
    VOICES_PATH,
    openapi_extra=form_schema("audio_sample", VoiceFields),
    responses=errors(400, 409, 413, 429, 500, 503, 504),
)
async def add_voice(request: Request, service: Here) -> StoredVoice:
    """Keep a voice: a recording of some seconds, and what is said in it."""
    service.cloner.check()
    with service.uploads.place(
        key_number_of(request.scope)
    ):  # before the body, which is kept in memory
        audio, fields = await read_upload(
            request, "audio_sample", VoiceFields, service.settings.max_reference_bytes
        )
        return _shown(
            await while_there(
                request, service.cloner.add(fields.name, audio, fields.reference_text)
            )
        )


@router.delete(VOICES_PATH + "/{voice_id}", responses=errors(404, 500))
async def delete_voice(voice_id: str, service: Here) -> DeletedVoice:
    """Forget a cloned voice. The model's own stay."""
    await service.cloner.remove(voice_id)
    return DeletedVoice(id=voice_id)


@router.post(
    CLONE_PATH,
    response_class=Response,
    response_model=None,
    openapi_extra=form_schema("reference_audio", CloneFields),
    responses={
        200: {"content": AUDIO, "description": "Audio, while it is being made."},
        **errors(400, 404, 413, 429, 500, 502, 503, 504),
    },
)
async def clone(request: Request, service: Here) -> AudioResponse:
    """Speak a text in the voice of a recording, which is not kept."""
    service.cloner.check()
    with service.uploads.place(
        key_number_of(request.scope)
    ):  # before the body, which is kept in memory
        audio, fields = await read_upload(
            request, "reference_audio", CloneFields, service.settings.max_reference_bytes
        )
        speech = fields.model_copy(update={"voice": None})
        await service.answer(
            speech
        )  # what cannot be spoken is refused before the reference costs seconds
        reference = await while_there(
            request, service.cloner.reference(audio, fields.reference_text)
        )
    return await service.answer(speech, reference)


def _shown(voice: ClonedVoice) -> StoredVoice:
    return StoredVoice(
        id=voice.id, name=voice.name, aliases=[], created_at=voice.created, sample_s=voice.sample_s
    )


def _aliases(known: Voices, name: str) -> list[str]:
    return sorted(alias for alias, target in known.aliases.items() if target == name)
