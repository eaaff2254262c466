"""Settings from environment variables or a `.env` file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.codec.registry import Dtype
from app.config.engine_urls import EngineEndpoint, parse_endpoints
from app.config.env_file import check_env_file
from app.config.types import (
    ApiKeys,
    CallerKeys,
    EngineUrls,
    Format,
    GraphLengths,
    Host,
    HostNames,
    LogLevel,
    Names,
    Origins,
)

ENV_FILE = ".env"
# A digit takes 0.4 s, a Chinese character 0.27 s, a letter 0.07 s.
AUDIO_S_PER_CHARACTER = 1800 / 4096
LEAST_AUDIO_S = 300.0  # for a short text with pauses of a minute and a low speed


class Settings(BaseSettings):
    """Settings of the service, immutable; invalid values raise pydantic.ValidationError.

    The second name of an alias is that of earlier versions. If both are set, the first one wins.
    """

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # the input may be a key
    )

    def __init__(self, _env_file: str | None = ENV_FILE, **values: object) -> None:
        """Read the environment and the file; None reads only the environment.

        Raises:
            pydantic.ValidationError: an invalid value.
            EnvFileError: a file that cannot be read, or a line that would be ignored.
        """
        if _env_file is not None:
            check_env_file(Path(_env_file), setting_names())
        super().__init__(_env_file=_env_file, **cast("dict[str, Any]", values))

    host: Host = Field(default="0.0.0.0", description="Address to listen on.")
    port: int = Field(default=9091, ge=0, le=65535, description="Port to listen on.")
    log_level: LogLevel = Field(
        default="info", description="Lowest level that is logged: debug, info, warning or error."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Format of the log: text, or json with one object per line."
    )
    log_client_address: bool = Field(
        default=False,
        description="Log the client's address, which is personal data, with each request. Behind "
        "a proxy on another machine, set uvicorn's FORWARDED_ALLOW_IPS to the address of the "
        "proxy.",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/]+",
        description="OpenTelemetry collector that receives traces by OTLP over HTTP, such as "
        "http://localhost:4318. Needs the extra `tracing`. Other OTEL_ variables work as "
        "documented by OpenTelemetry. Unset: no traces.",
    )

    engine_urls: EngineUrls = Field(
        default=None,
        validation_alias=AliasChoices("engine_urls", "tts_api"),
        description="URL of the vLLM server, with or without /v1/completions. Several URLs, "
        "separated by commas, share the load. Unset: the embedded engine.",
    )
    tts_api_key: ApiKeys = Field(
        default=None,
        description="Key sent to the engine as a bearer token. For several engines one key for "
        "all, or one for each, separated by commas or as a JSON list.",
    )
    model_profile: str | None = Field(
        default=None,
        description="Preset (scicom, orpheus, builtin or lark) or path of a TOML file. Unset: "
        "scicom with ENGINE_URLS, builtin without.",
    )
    model_name: str | None = Field(
        default=None,
        description="Model name sent to the engine and listed by /v1/models. Unset: the profile's.",
    )
    voices: Names = Field(
        default=(),
        validation_alias=AliasChoices("voices", "speakers"),
        description="Voice names, separated by commas. Unset: the profile's.",
    )
    default_voice: str | None = Field(
        default=None,
        validation_alias=AliasChoices("default_voice", "default_speaker"),
        description="Voice of requests without `voice`. Unset: the profile's.",
    )

    default_temperature: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="Sampling temperature of requests without `temperature`. Unset: the profile's.",
    )
    default_repetition_penalty: float | None = Field(
        default=None,
        gt=0,
        le=2,
        description="Repetition penalty of requests without `repetition_penalty`. Unset: the "
        "profile's.",
    )
    default_max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Maximum number of tokens that one engine request generates. Unset: the "
        "profile's.",
    )
    default_first_window_s: float = Field(
        default=0.4,
        validation_alias=AliasChoices("default_first_window_s", "default_playback_speed"),
        ge=0.1,
        le=10,
        description="Seconds of audio in the first decode window.",
    )
    default_lookahead_s: float = Field(
        default=0.2,
        validation_alias=AliasChoices("default_lookahead_s", "default_playback_overlap_speed"),
        ge=0,
        le=2,
        description="Seconds of look-ahead of a NeuCodec window. The other codecs ignore it.",
    )
    default_response_format: Format = Field(
        default="mp3", description="Format of requests without `response_format`."
    )
    max_input_characters: int = Field(
        default=4096, ge=1, le=1_000_000, description="Longest `input`, in characters."
    )
    max_audio_s: float | None = Field(
        default=None,
        gt=0,
        description="Longest audio of a response, in seconds of playback at its `speed` and with "
        "its pauses. A text that certainly takes longer gets 400; a response that becomes longer "
        "is aborted. Unset: 1800 if MAX_INPUT_CHARACTERS is 4096, in proportion for other values, "
        "and at least 300.",
    )
    pronunciations: str | None = Field(
        default=None,
        description="Pronunciation file: each line is a word, a tab and the text to speak for it.",
    )
    normalize_loudness: bool = Field(
        default=True,
        description="Normalise responses to TARGET_RMS_DB, unless the request disables it.",
    )
    target_rms_db: float = Field(
        default=-16.0, ge=-40, le=-6, description="Target loudness of voiced speech, in dBFS RMS."
    )

    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda|cuda:\d+(,cuda:\d+)*)$",
        description="Decode device: cpu, cuda, cuda:1, several such as cuda:0,cuda:1, or auto for "
        "cuda if available, else cpu. The built-in codec always runs on the CPU.",
    )
    codec_weights: str | None = Field(
        default=None,
        description="Hub id (or id@revision) or local folder of the codec's weights, or random "
        "for untrained weights in the true architecture, to test without a hub. Unset: the "
        "profile's.",
    )
    codec_dtype: Dtype = Field(
        default="auto",
        description="Floating-point type of the codec. auto: float16 on a GPU, bfloat16 on a CPU "
        "with bfloat16 instructions, else float32.",
    )
    neucodec_context_s: float | None = Field(
        default=None,
        validation_alias=AliasChoices("neucodec_context_s", "decode_left_context_s"),
        ge=0,
        le=4,
        description="Seconds of preceding audio that are decoded again with each NeuCodec window. "
        "Unset: 3 on a GPU, 1 on a CPU.",
    )
    decode_workers: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Decode threads on a CPU. Unset: one for each core with ENGINE_URLS, else half "
        "of that, at least 1.",
    )
    dynamic_batching: bool = Field(
        default=True,
        description="Decode windows of several requests in one call. false: one window in each "
        "call.",
    )
    max_batch_size: int = Field(
        default=32, ge=1, le=512, description="Maximum number of windows in one decode call."
    )
    max_batch_frames: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of frames in one decode call, padding included. Unset: "
        "0.1 s of work on a GPU, measured at startup, and about 0.3 s on a CPU.",
    )

    decode_timeout_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Longest decode call, in seconds. After that the device counts as lost, and "
        "the process exits with status 1 to be restarted.",
    )
    cuda_graph_lengths_s: GraphLengths = Field(
        default=None,
        validation_alias=AliasChoices("cuda_graph_lengths_s", "cuda_graph_batch"),
        description="Lengths of the decode calls that are captured as CUDA graphs, as a JSON list "
        "of seconds, to which the longest window is added; [] captures none. Unset: a grid.",
    )
    torch_compile: bool = Field(
        default=False,
        description="Compile the codec before its CUDA graphs are captured: fewer kernels, but a "
        "slower start.",
    )
    fused_kernels: bool = Field(
        default=True,
        description="Compile fused kernels for the codec at start on a GPU, and use them if random "
        "codes sound as with PyTorch's kernels. TORCH_COMPILE=true takes their place.",
    )

    api_keys: CallerKeys = Field(
        default=None,
        description="API keys, separated by commas or as a JSON list; requests to /v1/ must send "
        "one of them (Authorization: Bearer KEY). Unset: no authentication.",
    )
    cors_origins: Origins = Field(
        default=(),
        description="Origins whose pages may call the service from a browser, separated by "
        "commas, or * for all. Unset: none.",
    )
    allowed_hosts: HostNames = Field(
        default=(),
        description="Public host names under which browsers may reach the service, without ports, "
        "separated by commas, or * for all. IP addresses and names outside the public DNS are "
        "always allowed. Unset: all, except on loopback, where a public name must have passed a "
        "proxy.",
    )
    voices_folder: str | None = Field(
        default=None,
        description="Folder for cloned voices, created if missing. Unset: they are lost at a "
        "restart.",
    )
    max_voices: int = Field(
        default=100, ge=0, le=10_000, description="Maximum number of stored cloned voices."
    )
    clone_weights: str | None = Field(
        default=None,
        description="Hub id or local folder of NeuCodec with its encoder, in the transformers "
        "layout, or random. Loaded at the first cloning. Unset: the codec's weights.",
    )
    max_reference_bytes: int = Field(
        default=10_000_000,
        ge=1_000,
        le=100_000_000,
        description="Largest recording of a voice, in bytes.",
    )
    max_concurrent_uploads: int = Field(
        default=8,
        ge=1,
        le=1_000,
        description="Recordings received or processed at once, each held in memory; further ones "
        "get 429.",
    )
    max_reference_s: float = Field(
        default=20.0, ge=1, le=60, description="Longest recording of a voice, in seconds."
    )

    replay_folder: str | None = Field(
        default=None,
        description="Folder for the codes of the last failed and reported requests, without their "
        "texts, for `python -m app.replay`. Unset: none are stored.",
    )

    max_concurrent_requests: int = Field(
        default=64, ge=1, le=100_000, description="Requests served at once; further ones get 429."
    )
    max_concurrent_requests_per_key: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Requests served at once for one API key; further ones get 429. Unset: no "
        "limit.",
    )
    max_decode_load: float = Field(
        default=0.8,
        validation_alias=AliasChoices("max_decode_load", "admission_utilisation"),
        ge=0,
        le=10,
        description="Share of the decode devices' time that streams may need for gapless "
        "playback. A stream that would exceed it waits. 0: no such limit.",
    )
    admission_wait_s: float = Field(
        default=3.0,
        ge=0,
        le=60,
        description="Longest wait of a stream for decode capacity, in seconds, before it gets 429.",
    )
    connect_timeout_s: float = Field(
        default=2.0, gt=0, description="Longest wait for a connection to the engine, in seconds."
    )
    first_token_timeout_s: float = Field(
        default=15.0,
        gt=0,
        description="Longest wait for the first token, in seconds, including the engine's queue.",
    )
    token_gap_timeout_s: float = Field(
        default=5.0, gt=0, description="Longest gap between two tokens, in seconds."
    )
    request_read_timeout_s: float = Field(
        default=10.0,
        gt=0,
        description="Longest time to receive the headers of a request, in seconds, and again to "
        "receive its body, with one more second for every 8 KB.",
    )
    client_write_timeout_s: float = Field(
        default=30.0,
        gt=0,
        description="Longest time for a client to read the next 64 KB of its response, in seconds.",
    )
    request_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="Longest request, in seconds, not counting the length of the audio sent.",
    )
    text_timeout_s: float = Field(
        default=30.0,
        gt=0,
        description="Longest wait for more text of a WebSocket utterance, in seconds.",
    )
    websocket_idle_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="Time without messages and utterances after which a WebSocket is closed, in "
        "seconds.",
    )
    shutdown_grace_s: int = Field(
        default=30,
        ge=0,
        description="Time for running responses to finish after SIGTERM, in seconds.",
    )
    stream_interval: int = Field(
        default=5,
        ge=1,
        le=100,
        description="Tokens that vLLM collects for each event after the first.",
    )

    @field_validator("tts_api_key")
    @classmethod
    def _fitting_keys(
        cls, value: tuple[SecretStr, ...] | None, info: ValidationInfo
    ) -> tuple[SecretStr, ...] | None:
        if urls := info.data.get("engine_urls"):
            parse_endpoints(urls, value or ())
        return value

    @property
    def engines(self) -> tuple[EngineEndpoint, ...]:
        """The engines of ENGINE_URLS; empty for the embedded engine."""
        return parse_endpoints(self.engine_urls, self.tts_api_key or ()) if self.engine_urls else ()

    @property
    def longest_audio_s(self) -> float:
        """MAX_AUDIO_S, or a default that fits MAX_INPUT_CHARACTERS of any text at speed 1."""
        return self.max_audio_s or max(
            LEAST_AUDIO_S, AUDIO_S_PER_CHARACTER * self.max_input_characters
        )

    @property
    def profile_name(self) -> str:
        """MODEL_PROFILE, or its default, which depends on ENGINE_URLS."""
        return self.model_profile or ("scicom" if self.engine_urls else "builtin")


def old_names() -> dict[str, str]:
    """Map each name of earlier versions, which still works, to the name of its field."""
    aliases = {name: field.validation_alias for name, field in Settings.model_fields.items()}
    return {
        str(old): name
        for name, alias in aliases.items()
        if isinstance(alias, AliasChoices)
        for old in alias.choices[1:]
    }


def setting_names() -> set[str]:
    """Return the names of all settings in lower case, old names included."""
    return {*Settings.model_fields, *old_names()}


def first_validation_error(error: ValidationError) -> str:
    """Describe the first invalid value in one line, by the name of its environment variable."""
    first = error.errors()[0]
    return f"setting {''.join(map(str, first['loc'][:1])).upper()}: {first['msg']}"
