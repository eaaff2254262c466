"""The bodies of requests and answers, in OpenAI's shape."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

LanguageChoice = Literal["auto", "en", "ms", "zh", "ta"]

# Strict JSON numbers: NaN and infinities are refused, whole numbers are fine.
Number = Annotated[float, Field(allow_inf_nan=False)]


class VoiceId(BaseModel):
    """A voice by its id, as OpenAI's clients send custom voices."""

    id: str


class RequestBody(BaseModel):
    """What the JSON of every request has in common."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, object]", data)
        return {name: value for name, value in fields.items() if value is not None}


class SpeechRequest(RequestBody):
    """POST /v1/audio/speech. Unknown fields are ignored; null means absent."""

    input: str = Field(
        description="The text to speak.",
        examples=["Hello! How can I help you?"],
        json_schema_extra={"minLength": 1},
    )
    model: str | None = Field(default=None, description="The served model's id or an alias.")
    voice: str | VoiceId | None = Field(default=None, description="A voice's name, alias or {id}.")
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = Field(
        default=None, description="Unset: the server's DEFAULT_RESPONSE_FORMAT."
    )
    speed: Number = Field(default=1.0, ge=0.25, le=4.0, description="Of speaking; the pitch stays.")
    sample_rate: int | None = Field(
        default=None,
        ge=8_000,
        le=48_000,
        description="Hz, one that the format can carry. Unset: the codec's; of G.711 8,000.",
    )
    encoding: Literal["pcm_s16le", "pcm_mulaw", "pcm_alaw"] = Field(
        default="pcm_s16le",
        description="Of wav and pcm: 16 bit, or G.711's 8 bits, at 8,000 Hz unless asked otherwise.",
    )
    stream_format: Literal["audio", "sse"] = Field(
        default="audio", description="sse: events with audio in base64, then usage."
    )
    instructions: str | None = Field(
        default=None, max_length=4096, description="Accepted; no profile uses it yet."
    )
    stream: bool = Field(
        default=True,
        description="False: one complete body with a Content-Length; any failure is a status.",
    )
    temperature: Number | None = Field(default=None, ge=0, le=2)
    top_p: Number | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=1_000_000)
    repetition_penalty: Number | None = Field(default=None, gt=0, le=2)
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="Token limit of one engine request, at least one frame's; reaching it is then no error. Unset: "
        "what the text can need.",
    )
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)
    playback_speed: Number | None = Field(
        default=None,
        ge=0.1,
        le=10,
        validation_alias=AliasChoices("playback_speed", "first_window_s"),
        description="Seconds of audio in the first decode window.",
    )
    playback_overlap_speed: Number | None = Field(
        default=None,
        ge=0,
        le=2,
        validation_alias=AliasChoices("playback_overlap_speed", "overlap_s"),
        description="Seconds of look-ahead of a decode window.",
    )
    normalize: bool | None = Field(
        default=None,
        validation_alias=AliasChoices("normalize", "normalize_malaysian"),
        description="Speak markdown and HTML as the text that they show, and numbers, money, dates, times, "
        "addresses and abbreviations as words. Unset: the profile's.",
    )
    language: LanguageChoice = Field(
        default="auto",
        description="By whose rules `normalize` reads: en, ms, zh, ta, or auto, guessed by sentence.",
    )
    normalize_loudness: bool | None = Field(
        default=None, description="Level the answer to TARGET_RMS_DB."
    )


class NormalizeRequest(RequestBody):
    """POST /v1/audio/normalize. Unknown fields are ignored; null means absent."""

    input: str = Field(
        description="The text to speak.",
        examples=["It costs $12.50."],
        json_schema_extra={"minLength": 1},
    )
    normalize: bool | None = Field(
        default=None,
        validation_alias=AliasChoices("normalize", "normalize_malaysian"),
        description="As in a speech request, but true where it is not set.",
    )
    language: LanguageChoice = Field(default="auto", description="As in a speech request.")


class NormalizeAnswer(BaseModel):
    """The text as it would be spoken."""

    output: str


class Voice(BaseModel):
    """One voice of GET /v1/audio/voices: the model's own."""

    id: str
    name: str
    aliases: list[str]


class Model(BaseModel):
    """One model of GET /v1/models."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "speech-server"


class ModelList(BaseModel):
    """GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[Model]


class Usage(BaseModel):
    """The tokens of an answer."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class SpeechStatus(BaseModel):
    """GET /v1/audio/speech/{request_id}: how far a request is, or what became of it; never its text."""

    id: str
    status: Literal["in_progress", "completed", "failed", "cancelled"]
    finish_reason: Literal["stop", "length"] | None = Field(
        description="Of a completed answer. length: the caller's own max_tokens has cut it."
    )
    error_code: str | None
    audio_seconds: float
    usage: Usage
    first_audio_seconds: float | None = Field(
        description="From the request to its first bytes of sound."
    )
    retries: int


class Health(BaseModel):
    """GET /health and GET /ready."""

    status: str


class ErrorObject(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorObject
