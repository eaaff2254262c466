"""Profiles: descriptions of models as TOML files, either presets or the operator's own."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.codec.registry import CODECS, CodecName
from app.errors import ConfigError, VoiceNotFound

PRESETS = Path(__file__).parent / "presets"


class ProfileError(ConfigError):
    """Invalid profile; the message is one line with the file and the field."""


class _Part(BaseModel):
    """Part of a profile. Names of fields in earlier versions are aliases."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProfileCodec(_Part):
    """The codec and the default source of its weights: a hub id, a folder, or "builtin"."""

    name: CodecName
    weights: str


class TokenSyntax(_Part):
    """Text form of a codec token: `prefix`, a number, `suffix`.

    Numbers below `first_code_number` are control tokens and skipped. With several codes per frame,
    token k of a frame has an offset of k times the codec's vocabulary.
    """

    prefix: str = Field(min_length=1)
    suffix: str = Field(min_length=1)
    first_code_number: int = Field(
        ge=0, validation_alias=AliasChoices("first_code_number", "first")
    )
    codes_per_frame: int = Field(
        ge=1, le=64, validation_alias=AliasChoices("codes_per_frame", "slots")
    )


class SamplingDefaults(_Part):
    """Sampling parameters sent to the engine for fields that the request omits."""

    max_tokens: int = Field(ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)


class VoiceDetails(_Part):
    """Details of a voice for people who choose one."""

    description: str | None = Field(default=None, min_length=1, max_length=200)
    # BCP 47 tag, if the voice speaks a single language
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")


class Voices(_Part):
    """The model's voices, their aliases, and the details of some of them."""

    names: tuple[str, ...] = Field(min_length=1)
    default: str
    aliases: dict[str, str] = {}
    details: dict[str, VoiceDetails] = {}

    @model_validator(mode="after")
    def _known(self) -> Voices:
        unknown = {self.default, *self.aliases.values(), *self.details} - set(self.names)
        if unknown:
            raise ValueError(f"not among the voice names: {', '.join(sorted(unknown))}")
        return self

    def knows(self, name: str) -> bool:
        """Return True if the name is a voice or an alias of one."""
        return name in self.names or name in self.aliases

    def find(self, name: str | None) -> str:
        """Return the model's name of a voice, or the default voice for None.

        Raises:
            VoiceNotFound: `name` is neither a voice nor an alias.
        """
        if name is None:
            return self.default
        if name in self.names:
            return name
        found = self.aliases.get(name)
        if found is None:
            raise VoiceNotFound(
                f"unknown voice; the voices are {', '.join(self.names)} (GET /v1/audio/voices)",
                param="voice",
            )
        return found


class Profile(_Part):
    """A model: its prompt, its tokens, its codec, its sampling defaults and its voices."""

    name: str
    model: str
    model_aliases: tuple[str, ...] = ()
    prompt: str  # template with {text}, or with {phonemes}, and optionally {voice}
    clone_prompt: str | None = None  # with {reference_text}, {tokens}, {text}; None: no cloning
    characters_per_second: float = Field(gt=0)  # of speech; splits text and estimates its duration
    # Longer speech is a runaway: this factor times the estimated duration, plus 5 s.
    max_duration_factor: float = Field(
        default=4.0, ge=1, validation_alias=AliasChoices("max_duration_factor", "longest_speech")
    )
    # Shorter speech is incomplete: this factor times the estimated duration.
    min_duration_factor: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        validation_alias=AliasChoices("min_duration_factor", "shortest_speech"),
    )
    typical_rms_db: float = Field(ge=-60, le=0)  # of voiced speech, before loudness normalisation
    stop_token_ids: tuple[int, ...] = ()
    # Default of the request field; multilingual models read numbers without normalisation.
    normalize: bool = False
    codec: ProfileCodec
    tokens: TokenSyntax
    sampling: SamplingDefaults
    voices: Voices

    @model_validator(mode="after")
    def _prompt_has_text(self) -> Profile:
        if self.prompt.count("{text}") + self.prompt.count("{phonemes}") != 1:
            raise ValueError("prompt must contain {text} or {phonemes} exactly once")
        return self

    @model_validator(mode="after")
    def _clone_prompt_fits(self) -> Profile:
        if self.clone_prompt is None:
            return self
        if any(
            self.clone_prompt.count(f"{{{field}}}") != 1
            for field in ("reference_text", "tokens", "text")
        ):
            raise ValueError(
                "clone_prompt must contain {reference_text}, {tokens} and {text} exactly once"
            )
        can_clone = CODECS[self.codec.name].encoder is not None
        if not can_clone or self.tokens.codes_per_frame != 1 or self.reads_phonemes:
            names = " or ".join(name for name, codec in CODECS.items() if codec.encoder)
            raise ValueError(
                f"clone_prompt needs the codec {names}, one code per frame, "
                "and a prompt with {text}"
            )
        return self

    @property
    def reads_phonemes(self) -> bool:
        """True if the model needs phonemes (app/engine/embedded/phoneme_engine.py), not text."""
        return "{phonemes}" in self.prompt

    @property
    def text_prompt(self) -> str:
        """`prompt` with {text} instead of {phonemes}."""
        return self.prompt.replace("{phonemes}", "{text}")

    def serves(self, model: str | None) -> bool:
        """Return True if a request's `model` is this model's name, an alias, or None."""
        return model is None or model == self.model or model in self.model_aliases


def customise(
    profile: Profile,
    *,
    model: str | None = None,
    voices: tuple[str, ...] = (),
    default_voice: str | None = None,
    sampling: dict[str, float | int | None] | None = None,
) -> Profile:
    """Return the profile with the operator's model name, voices and sampling defaults.

    None keeps the profile's value. The profile's model name becomes an alias. Aliases of a removed
    voice map to the default voice, and its details are dropped.

    Raises:
        ProfileError: the default voice is not among the voices.
    """
    names = voices or profile.voices.names
    fallback = profile.voices.default if profile.voices.default in names else names[0]
    default = default_voice or fallback
    if default not in names:
        raise ProfileError(f"DEFAULT_VOICE {default!r} is not among the voices: {', '.join(names)}")
    aliases = {
        alias: name if name in names else default for alias, name in profile.voices.aliases.items()
    }
    details = {name: known for name, known in profile.voices.details.items() if name in names}
    set_here = {key: value for key, value in (sampling or {}).items() if value is not None}
    return profile.model_copy(
        update={
            "model": model or profile.model,
            "model_aliases": (*profile.model_aliases, profile.model),
            "voices": Voices(names=names, default=default, aliases=aliases, details=details),
            "sampling": profile.sampling.model_copy(update=set_here),
        }
    )


def load_profile(name: str) -> Profile:
    """Read a preset by its name, or a TOML file by its path.

    Raises:
        ProfileError: the preset or file does not exist, or is not a valid profile.
    """
    preset = PRESETS / f"{name}.toml"
    path = Path(name)
    try:
        path = preset if "/" not in name and preset.is_file() else path
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
        return Profile.model_validate(tomllib.loads(text))
    except OSError as exc:
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.toml")))
        raise ProfileError(
            f"no profile {name!r}: neither a preset ({known}) nor a readable file"
        ) from exc
    except UnicodeDecodeError as exc:
        raise ProfileError(f"{path}: not valid UTF-8") from exc
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise ProfileError(f"{path}: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(map(str, first["loc"])) or "profile"
        raise ProfileError(f"{path}: {field}: {first['msg']}") from exc
