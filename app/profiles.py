"""Profiles: what the service has to know of a model. The presets and a user's own are TOML files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.request_errors import VoiceNotFound

PRESETS = Path(__file__).parent / "presets"
CodecName = Literal["neucodec", "snac", "builtin"]


class ProfileError(ValueError):
    """A profile that cannot be read; the message is one line that names the file and the field."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProfileCodec(_Part):
    """The codec and where its weights come from by default: a hub id, a folder, or "builtin"."""

    name: CodecName
    weights: str


class TokenSyntax(_Part):
    """How a codec token is written: `prefix`, a number N, `suffix`.

    Numbers below `first` are control tokens and skipped. With several slots, token k of a frame
    carries an offset of k times the codec's vocabulary.
    """

    prefix: str = Field(min_length=1)
    suffix: str = Field(min_length=1)
    first: int = Field(ge=0)
    slots: int = Field(ge=1, le=64)


class SamplingDefaults(_Part):
    """What is sent to the engine where the request is silent."""

    max_tokens: int = Field(ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)


class Voices(_Part):
    """The model's voices, and other names that lead to them."""

    names: tuple[str, ...] = Field(min_length=1)
    default: str
    aliases: dict[str, str] = {}

    @model_validator(mode="after")
    def _known(self) -> Voices:
        unknown = {self.default, *self.aliases.values()} - set(self.names)
        if unknown:
            raise ValueError(f"not among the voice names: {', '.join(sorted(unknown))}")
        return self

    def knows(self, name: str) -> bool:
        """Whether a name or an alias leads to one of them."""
        return name in self.names or name in self.aliases

    def find(self, name: str | None) -> str:
        """The model's own name of a voice, or the default for None.

        Raises:
            VoiceNotFound: neither a name nor an alias.
        """
        if name is None:
            return self.default
        if name in self.names:
            return name
        found = self.aliases.get(name)
        if found is None:
            raise VoiceNotFound(
                f"unknown voice; this server has {', '.join(self.names)} (GET /v1/audio/voices)",
                param="voice",
            )
        return found


class Profile(_Part):
    """A model: its prompt, its tokens, its codec, its sampling defaults and its voices."""

    name: str
    model: str
    model_aliases: tuple[str, ...] = ()
    prompt: str  # a template with {voice} (optional) and {text}, or {phonemes} for a model that reads those
    clone_prompt: str | None = (
        None  # with {reference_text}, {tokens} and {text}; None: the model cannot clone
    )
    characters_per_second: float = Field(gt=0)  # of speech; used to split text that does not fit
    longest_speech: float = Field(
        default=4.0, ge=1
    )  # times what that gives, and 5 s: what is longer is a runaway
    shortest_speech: float = Field(
        default=0.1, ge=0, lt=1
    )  # times the same: what is shorter is not the whole text
    typical_rms_db: float = Field(ge=-60, le=0)  # of the voiced parts, before levelling
    stop_token_ids: tuple[int, ...] = ()
    normalize: bool = (
        False  # where the request is silent; models of several languages read numbers themselves
    )
    codec: ProfileCodec
    tokens: TokenSyntax
    sampling: SamplingDefaults
    voices: Voices

    @model_validator(mode="after")
    def _prompt_has_text(self) -> Profile:
        if self.prompt.count("{text}") + self.prompt.count("{phonemes}") != 1:
            raise ValueError("prompt must hold {text} exactly once, or {phonemes}")
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
                "clone_prompt must hold {reference_text}, {tokens} and {text} exactly once"
            )
        if self.codec.name != "neucodec" or self.tokens.slots != 1 or self.reads_phonemes:
            raise ValueError(
                "clone_prompt needs the codec neucodec, which alone can encode, and a prompt of text"
            )
        return self

    @property
    def reads_phonemes(self) -> bool:
        """Whether text has to be read (app/engine/phonemising.py) before the model can speak it."""
        return "{phonemes}" in self.prompt

    @property
    def text_prompt(self) -> str:
        """`prompt` as it is before a text is read: with {text} in the place of {phonemes}."""
        return self.prompt.replace("{phonemes}", "{text}")

    def serves(self, model: str | None) -> bool:
        """Whether a request's `model` means this one."""
        return model is None or model == self.model or model in self.model_aliases


def customise(
    profile: Profile,
    *,
    model: str | None = None,
    speakers: tuple[str, ...] = (),
    default_speaker: str | None = None,
    sampling: dict[str, float | int | None] | None = None,
) -> Profile:
    """A profile with an operator's own model name, voices and sampling defaults (None: as it was).

    The profile's model name stays an alias. Aliases whose voice is gone lead to the default voice.

    Raises:
        ProfileError: a default speaker who is not among the voices.
    """
    names = speakers or profile.voices.names
    fallback = profile.voices.default if profile.voices.default in names else names[0]
    default = default_speaker or fallback
    if default not in names:
        raise ProfileError(
            f"DEFAULT_SPEAKER {default!r} is not among the voices: {', '.join(names)}"
        )
    aliases = {
        alias: name if name in names else default for alias, name in profile.voices.aliases.items()
    }
    set_here = {key: value for key, value in (sampling or {}).items() if value is not None}
    return profile.model_copy(
        update={
            "model": model or profile.model,
            "model_aliases": (*profile.model_aliases, profile.model),
            "voices": Voices(names=names, default=default, aliases=aliases),
            "sampling": profile.sampling.model_copy(update=set_here),
        }
    )


def load_profile(name: str) -> Profile:
    """Read a preset by its name, or a TOML file by its path.

    Raises:
        ProfileError: no such preset or file, or a file that is not a valid profile.
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
        raise ProfileError(f"{path}: not text in UTF-8") from exc
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise ProfileError(f"{path}: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(map(str, first["loc"])) or "profile"
        raise ProfileError(f"{path}: {field}: {first['msg']}") from exc
