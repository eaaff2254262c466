"""Settings: environment variables, or a `.env` file. Every field is documented where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.addresses import Address, addresses
from app.misspelt import check_env_file
from app.setting_types import (
    ApiKeys,
    CallerKeys,
    Dtype,
    EngineUrls,
    GraphLengths,
    Host,
    HostNames,
    LogLevel,
    Names,
    Origins,
)

ENV_FILE = ".env"
AUDIO_S_PER_CHARACTER = (
    1800 / 4096
)  # a digit takes 0.4 s, a Chinese character 0.27 s, a letter 0.07 s
LEAST_AUDIO_S = 300.0  # a text of few characters may have pauses of a minute, and be said slowly


class Settings(BaseSettings):
    """What an operator chooses. Frozen; bad values raise pydantic.ValidationError at start."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # it may be a key
    )

    def __init__(self, _env_file: str | None = ENV_FILE, **values: object) -> None:
        """Read the environment and the file; None: the environment alone.

        Raises:
            pydantic.ValidationError: a bad value.
            EnvFileError: a file that cannot be read, or in which a setting would be lost.
        """
        if _env_file is not None:
            check_env_file(Path(_env_file), type(self).model_fields)
        super().__init__(_env_file=_env_file, **cast("dict[str, Any]", values))

    host: Host = Field(default="0.0.0.0", description="Address to listen on.")
    port: int = Field(default=9091, ge=0, le=65535, description="Port to listen on.")
    log_level: LogLevel = Field(default="info", description="Least level logged.")
    log_format: Literal["text", "json"] = Field(
        default="text", description="Lines of the log: text, or json, each an object."
    )
    log_client_address: bool = Field(
        default=False,
        description="Add the client's address, which is personal, to the line of each request. Behind a proxy on "
        "another machine uvicorn's FORWARDED_ALLOW_IPS names that proxy.",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/]+",
        description="OpenTelemetry collector that takes traces by OTLP over HTTP, such as http://localhost:4318 "
        "(the extra `tracing`); other OTEL_ variables as OpenTelemetry documents them. Unset: none.",
    )

    tts_api: EngineUrls = Field(
        default=None,
        description="URL of the vLLM server, with or without /v1/completions; several, separated by commas, share "
        "the load. Unset: the embedded engine.",
    )
    tts_api_key: ApiKeys = Field(
        default=None,
        description="Key sent to the engine as a bearer token. With several engines one for all, or one for each, "
        "separated by commas or as a JSON list.",
    )
    embedded_engine: Literal["lm", "nar"] = Field(
        default="nar",
        description="Model of the embedded engine: lm, a language model that draws a token at a time, or nar, "
        "which makes a whole sentence in one pass and always in the same way.",
    )
    model_profile: str | None = Field(
        default=None,
        description="scicom, orpheus, builtin, lark, or the path of a TOML file. "
        "Unset: scicom with TTS_API, builtin without.",
    )
    model_name: str | None = Field(
        default=None,
        description="Model name sent to the engine and listed by /v1/models. Unset: the profile's.",
    )
    speakers: Names = Field(
        default=(), description="Voice names, separated by commas. Unset: the profile's."
    )
    default_speaker: str | None = Field(
        default=None, description="Voice of requests that name none. Unset: the profile's."
    )

    default_temperature: float | None = Field(
        default=None, ge=0, le=2, description="Unset: the profile's."
    )
    default_repetition_penalty: float | None = Field(
        default=None, gt=0, le=2, description="Unset: the profile's."
    )
    default_max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Token budget of one engine request. Unset: the profile's.",
    )
    default_playback_speed: float = Field(
        default=0.4, ge=0.1, le=10, description="Seconds of audio in the first decode window."
    )
    default_playback_overlap_speed: float = Field(
        default=0.2,
        ge=0,
        le=2,
        description="Seconds of look-ahead of a NeuCodec window; the other codecs need none beyond their own.",
    )
    default_response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = Field(
        default="mp3", description="Format of requests that name none."
    )
    max_input_characters: int = Field(
        default=4096, ge=1, le=1_000_000, description="Longest `input`, in characters."
    )
    max_audio_s: float | None = Field(
        default=None,
        gt=0,
        description="Longest answer in seconds, as it is heard: at its `speed`, with its pauses. A text that surely "
        "takes longer gets 400; an answer that becomes longer is broken off. Unset: 1800 for 4,096 characters of "
        "MAX_INPUT_CHARACTERS, for others in proportion, at least 300.",
    )
    pronunciations: str | None = Field(
        default=None,
        description="File of words that are said otherwise than written: a word, a tab and what is said, on each line.",
    )
    normalize_loudness: bool = Field(
        default=True, description="Level answers to TARGET_RMS_DB unless asked not to."
    )
    target_rms_db: float = Field(
        default=-16.0, ge=-40, le=-6, description="Level of the voiced parts, in dBFS."
    )

    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda|cuda:\d+(,cuda:\d+)*)$",
        description="cpu, cuda, cuda:1, several as in cuda:0,cuda:1, or auto: cuda where there is one.",
    )
    codec_weights: str | None = Field(
        default=None,
        description="Hub id (or id@revision) or local folder of the codec's weights, or random (seeded noise in the "
        "true architecture, for trials without a hub). Unset: the profile's.",
    )
    codec_dtype: Dtype = Field(
        default="auto",
        description="Codec arithmetic. auto: float16 on a GPU, bfloat16 on a CPU that computes in it, else float32.",
    )
    decode_left_context_s: float | None = Field(
        default=None,
        ge=0,
        le=4,
        description="Sound decoded again before each NeuCodec window. Unset: 3 GPU, 1 CPU.",
    )
    decode_workers: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Decode threads on a CPU. Unset: all cores with TTS_API, else half of them, at least 1.",
    )
    dynamic_batching: bool = Field(
        default=True,
        description="Decode windows of several requests together; false: one window a call.",
    )
    max_batch_size: int = Field(
        default=32, ge=1, le=512, description="Most windows in one decode call."
    )
    max_batch_frames: int | None = Field(
        default=None,
        ge=1,
        description="Most frames in one decode call, padding included. Unset: no limit on a GPU, "
        "about 0.3 s of work on a CPU.",
    )

    decode_timeout_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Longest decode call; after it the device counts as lost, and the process ends to be started anew.",
    )
    cuda_graph_batch: GraphLengths = Field(
        default=None,
        description="Lengths of the decode calls that are captured as CUDA graphs, as a JSON list of seconds; "
        "[] captures none. Unset: a grid up to the longest window.",
    )
    torch_compile: bool = Field(
        default=False,
        description="Compile the codec before it is captured: a slower start on a GPU, fewer kernels.",
    )

    api_keys: CallerKeys = Field(
        default=None,
        description="Keys of which a request to /v1/ must send one (Authorization: Bearer KEY), separated by commas "
        "or as a JSON list. Unset: the service is open.",
    )
    cors_origins: Origins = Field(
        default=(),
        description="Origins whose pages may call the service from a browser, separated by commas, or * for all. "
        "Unset: none.",
    )
    allowed_hosts: HostNames = Field(
        default=(),
        description="Public names by which browsers may reach the service, without ports, separated by commas, or * "
        "for all; addresses and names that are not in the public DNS always may. Unset: over loopback none but what "
        "a proxy passes on, else all.",
    )
    voices_folder: str | None = Field(
        default=None,
        description="Folder that keeps cloned voices, made if it is not there. Unset: a restart forgets them.",
    )
    max_voices: int = Field(
        default=100, ge=0, le=10_000, description="Most cloned voices that are kept."
    )
    clone_weights: str | None = Field(
        default=None,
        description="Hub id or local folder of NeuCodec with its encoder, in transformers' layout, or random. "
        "Read at the first cloning. Unset: the codec's weights.",
    )
    max_reference_bytes: int = Field(
        default=10_000_000, ge=1_000, le=100_000_000, description="Largest recording of a voice."
    )
    max_concurrent_uploads: int = Field(
        default=8,
        ge=1,
        le=1_000,
        description="Recordings being received or worked on at once, each in memory; further ones get 429.",
    )
    max_reference_s: float = Field(
        default=20.0, ge=1, le=60, description="Longest recording of a voice, in seconds."
    )

    replay_folder: str | None = Field(
        default=None,
        description="Folder that keeps the codes of the last failed and reported requests, without their texts, for "
        "`python -m app.replay`. Unset: none are kept.",
    )

    max_concurrent_requests: int = Field(
        default=64, ge=1, le=100_000, description="Requests served at once; further ones get 429."
    )
    max_concurrent_requests_per_key: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Of those, at most so many with one API key. Unset: no such limit.",
    )
    admission_utilisation: float = Field(
        default=0.8,
        ge=0,
        le=10,
        description="Share of the decode devices' time that streams may need to stay in sound; one that would need "
        "more waits for its turn. 0: their number alone decides.",
    )
    admission_wait_s: float = Field(
        default=3.0,
        ge=0,
        le=60,
        description="Longest time that a stream waits for its turn on the decode devices before it gets 429.",
    )
    connect_timeout_s: float = Field(
        default=2.0, gt=0, description="Longest wait for a connection to the engine."
    )
    first_token_timeout_s: float = Field(
        default=15.0, gt=0, description="Longest wait for the first token, engine queue included."
    )
    token_gap_timeout_s: float = Field(
        default=5.0, gt=0, description="Longest silence between two tokens."
    )
    request_read_timeout_s: float = Field(
        default=10.0,
        gt=0,
        description="Longest time in which a request's headers arrive, and again its body, with a second more for "
        "every 8 KB of it.",
    )
    client_write_timeout_s: float = Field(
        default=30.0,
        gt=0,
        description="Longest time in which a client takes no further 64 KB of its answer.",
    )
    request_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="Longest whole request, beyond the length of the audio sent.",
    )
    text_timeout_s: float = Field(
        default=30.0,
        gt=0,
        description="Longest wait for more text of an utterance over a WebSocket.",
    )
    websocket_idle_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="Time without a message or an utterance after which a WebSocket is closed.",
    )
    shutdown_grace_s: int = Field(
        default=30, ge=0, description="Time that running answers get at SIGTERM."
    )
    stream_interval: int = Field(
        default=5, ge=1, le=100, description="Tokens that vLLM collects per event after the first."
    )

    @field_validator("tts_api_key")
    @classmethod
    def _fitting_keys(
        cls, value: tuple[SecretStr, ...] | None, info: ValidationInfo
    ) -> tuple[SecretStr, ...] | None:
        if urls := info.data.get("tts_api"):
            addresses(urls, value or ())
        return value

    @property
    def engines(self) -> tuple[Address, ...]:
        """The engines of TTS_API; empty: the embedded one."""
        return addresses(self.tts_api, self.tts_api_key or ()) if self.tts_api else ()

    @property
    def longest_audio_s(self) -> float:
        """MAX_AUDIO_S, or its default: at speed 1 every text of MAX_INPUT_CHARACTERS fits, also digits and Chinese."""
        return self.max_audio_s or max(
            LEAST_AUDIO_S, AUDIO_S_PER_CHARACTER * self.max_input_characters
        )

    @property
    def profile_name(self) -> str:
        """MODEL_PROFILE, or the default that TTS_API decides."""
        return self.model_profile or ("scicom" if self.tts_api else "builtin")


def first_mistake(error: ValidationError) -> str:
    """The first bad value in one line, by the name that the environment has for it."""
    first = error.errors()[0]
    return f"setting {''.join(map(str, first['loc'][:1])).upper()}: {first['msg']}"
