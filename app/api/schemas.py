"""Request and response bodies, compatible with OpenAI's API."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from app.config.types import Encoding, Format
from text_normaliser.detect import LanguageChoice

# A strict JSON number: rejects NaN and infinities, accepts integers.
Number = Annotated[float, Field(allow_inf_nan=False)]


class VoiceId(BaseModel):
    """Voice by id, the form in which OpenAI's clients send custom voices."""

    id: str


class RequestBody(BaseModel):
    """Base of the JSON request bodies."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, object]", data)
        return {name: value for name, value in fields.items() if value is not None}


class SpeechRequest(RequestBody):
    """Body of POST /v1/audio/speech. Unknown fields are ignored. A null field counts as absent."""

    input: str = Field(
        description="Text to speak.",
        examples=["Hello! How can I help you?"],
        json_schema_extra={"minLength": 1},
    )
    model: str | None = Field(default=None, description="Id or alias of the served model.")
    voice: str | VoiceId | None = Field(
        default=None, description="Name or alias of a voice, or an object with its id."
    )
    response_format: Format | None = Field(
        default=None, description="Audio format. Default: DEFAULT_RESPONSE_FORMAT."
    )
    speed: Number = Field(
        default=1.0, ge=0.25, le=4.0, description="Speed of the speech. The pitch does not change."
    )
    sample_rate: int | None = Field(
        default=None,
        ge=8_000,
        le=48_000,
        description="Sample rate in Hz. Default: the rate of the codec, 8,000 for G.711.",
    )
    encoding: Encoding = Field(
        default="pcm_s16le",
        description="Sample encoding of wav and pcm: 16-bit PCM or 8-bit G.711.",
    )
    stream_format: Literal["audio", "sse"] = Field(
        default="audio",
        description="`sse`: server-sent events with audio in base64, then the usage.",
    )
    instructions: str | None = Field(
        default=None, max_length=4096, description="Accepted, but not used by any profile yet."
    )
    stream: bool = Field(
        default=True,
        description="False: one complete body with a Content-Length, and a status for any failure.",
    )
    temperature: Number | None = Field(default=None, ge=0, le=2)
    top_p: Number | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=1_000_000)
    repetition_penalty: Number | None = Field(default=None, gt=0, le=2)
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="Token limit of one engine request, at least the tokens of one audio frame. "
        "The speech ends there without an error. Default: estimated from the text.",
    )
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)
    playback_speed: Number | None = Field(
        default=None,
        ge=0.1,
        le=10,
        validation_alias=AliasChoices("playback_speed", "first_window_s"),
        description="Duration of the first decode window in seconds.",
    )
    playback_overlap_speed: Number | None = Field(
        default=None,
        ge=0,
        le=2,
        validation_alias=AliasChoices("playback_overlap_speed", "overlap_s"),
        description="Look-ahead of each decode window in seconds.",
    )
    normalize: bool | None = Field(
        default=None,
        validation_alias=AliasChoices("normalize", "normalize_malaysian"),
        description="Speak markdown and HTML as plain text, and numbers, money, dates, times, "
        "addresses and abbreviations as words. Default: the profile's.",
    )
    language: LanguageChoice = Field(
        default="auto",
        description="Language of the rules of `normalize`. `auto` detects it for each sentence.",
    )
    normalize_loudness: bool | None = Field(
        default=None,
        description="Adjust the loudness to TARGET_RMS_DB. Default: NORMALIZE_LOUDNESS.",
    )


class NormalizeRequest(RequestBody):
    """Body of POST /v1/audio/normalize. Unknown fields are ignored. A null counts as absent."""

    input: str = Field(
        description="Text to normalize.",
        examples=["It costs $12.50."],
        json_schema_extra={"minLength": 1},
    )
    normalize: bool | None = Field(
        default=None,
        validation_alias=AliasChoices("normalize", "normalize_malaysian"),
        description="As in a speech request, but the default is true.",
    )
    language: LanguageChoice = Field(default="auto", description="As in a speech request.")


class NormalizeAnswer(BaseModel):
    """Text as it would be spoken."""

    output: str


class Voice(BaseModel):
    """A voice of the model in GET /v1/audio/voices."""

    id: str
    name: str
    aliases: list[str]
    description: str | None = None
    language: str | None = Field(
        default=None, description="BCP 47 tag, if the voice speaks a single language."
    )


class Model(BaseModel):
    """A model in GET /v1/models."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "speech-server"


class ModelList(BaseModel):
    """Response of GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[Model]


class Usage(BaseModel):
    """Token counts of a response."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class SpeechStatus(BaseModel):
    """Progress or result of a request, in GET /v1/audio/speech/{request_id}. Never its text."""

    id: str
    status: Literal["in_progress", "completed", "failed", "cancelled"]
    finish_reason: Literal["stop", "length"] | None = Field(
        description="Set when completed. `length`: the speech was cut at max_tokens."
    )
    error_code: str | None
    audio_seconds: float
    usage: Usage
    first_audio_seconds: float | None = Field(
        description="Time from the request to the first byte of audio."
    )
    retries: int


class Health(BaseModel):
    """Response of GET /health and GET /ready."""

    status: str


class ErrorObject(BaseModel):
    """Description of an error."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """Body of every error response."""

    error: ErrorObject
