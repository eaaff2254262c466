"""The door: a request's fields become a Speech, or a clear refusal."""

from __future__ import annotations

from typing import TypeVar

from app.api.response import AudioAnswer, Delivery
from app.api.schemas import SpeechRequest, VoiceId
from app.codec import CodecSpec
from app.engine import Sampling
from app.errors import CloningNotSupported, InputTooLong, ModelNotFound, UnsupportedSampleRate, UnsupportedValue
from app.listener import Levels, Playback
from app.pipeline import Speech
from app.profiles import Profile
from app.settings import Settings
from app.speech.codes import FrameLayout
from app.speech.encoders import CONTENT_TYPES, LOSSLESS, carries, make_encoder
from app.speech.normalise import normalise
from app.speech.prompt import Reference, render
from app.speech.sentences import split
from app.speech.text import clean, prepare
from app.speech.windows import WindowPlan, plan_windows

T = TypeVar("T")
BUDGET_USED = 0.6  # a prompt's expected speech fills this much of the token budget; slow voices need the rest
HORIZON_S = 0.2  # longest sound held back for the first estimate of the level


class Intake:
    """Turns requests into work for one model, one codec and one set of defaults."""

    def __init__(self, settings: Settings, profile: Profile, spec: CodecSpec) -> None:
        self._settings, self._profile, self._spec = settings, profile, spec
        tokens = profile.tokens
        self._layout = FrameLayout(tokens.first, tokens.slots, spec.vocabulary)

    def speech(self, request: SpeechRequest, reference: Reference | None = None) -> Speech:
        """What to speak; with a reference, in its voice.

        Raises:
            RequestError: a model, voice, text or value that this server does not serve.
        """
        settings, profile = self._settings, self._profile
        if not profile.serves(request.model):
            raise ModelNotFound("this server does not serve that model (GET /v1/models)", param="model")
        template, fields = self._template(request, reference)
        normalize = profile.normalize if request.normalize is None else request.normalize
        text = spoken_text(request.input, settings, normalize=normalize)
        budget_tokens = self._budget_tokens(reference)
        plan = self._plan(request)
        return Speech(
            prompts=tuple(render(template, **fields, text=piece) for piece in self._pieces(text, budget_tokens)),
            sampling=self._sampling(request, budget_tokens),
            may_be_cut=request.max_tokens is not None,
            playback=Playback(self._rate_hz(request), request.speed, whole=not request.stream),
            layout=self._layout,
            plan=plan,
            levels=self._levels(request, plan),
            limit_s=settings.request_timeout_s,
        )

    def _template(self, request: SpeechRequest, reference: Reference | None) -> tuple[str, dict[str, str]]:
        """The prompt, and all of its fields but the text."""
        profile = self._profile
        if reference is None:
            asked = request.voice.id if isinstance(request.voice, VoiceId) else request.voice
            return profile.text_prompt, {"voice": profile.voices.find(asked)}
        if profile.clone_prompt is None:
            raise CloningNotSupported(f"the model {profile.name} cannot clone voices")
        return profile.clone_prompt, reference.fields(profile.tokens)

    def _budget_tokens(self, reference: Reference | None) -> int:
        """Of one generation: a reference takes its place in the context out of it, but no more than three quarters."""
        budget = self._profile.sampling.max_tokens
        taken = 0 if reference is None else reference.length_tokens
        return max(budget - taken, budget // 4, 1)

    def _pieces(self, text: str, budget_tokens: int) -> list[str]:
        """Text in parts that fit the token budget; parts of nothing but punctuation are left out."""
        budget_s = budget_tokens / self._profile.tokens.slots / self._spec.frames_per_s
        most = max(1, int(budget_s * self._profile.characters_per_second * BUDGET_USED))
        return [piece for piece in split(text, most) if any(map(str.isalnum, piece))]

    def answer(self, request: SpeechRequest) -> AudioAnswer:
        """How to answer.

        Raises:
            UnsupportedValue: events were asked for in one piece.
            UnsupportedSampleRate: the format cannot carry the rate.
        """
        chosen, rate_hz = request.response_format or self._settings.default_response_format, self._rate_hz(request)
        if not carries(chosen, rate_hz):
            raise UnsupportedSampleRate(f"sample_rate: {chosen} cannot carry {rate_hz} Hz", param="sample_rate")
        if request.stream_format == "sse" and not request.stream:
            raise UnsupportedValue("stream_format: sse is a stream, but stream is false", param="stream_format")
        whole: Delivery = "stream" if request.stream else "whole"
        return AudioAnswer(
            content_type=CONTENT_TYPES[chosen],
            sample_rate_hz=rate_hz,
            bit_depth=16 if chosen in LOSSLESS else None,
            encoder=make_encoder(chosen, rate_hz, whole=not request.stream),
            delivery="events" if request.stream_format == "sse" else whole,
            write_limit_s=self._settings.client_write_timeout_s,
        )

    def _rate_hz(self, request: SpeechRequest) -> int:
        return request.sample_rate or self._spec.sample_rate_hz

    def _plan(self, request: SpeechRequest) -> WindowPlan:
        settings, spec = self._settings, self._spec
        first_s, overlap_s = request.playback_speed, request.playback_overlap_speed
        return plan_windows(
            first_window_s=settings.default_playback_speed if first_s is None else first_s,
            overlap_s=settings.default_playback_overlap_speed if overlap_s is None else overlap_s,
            frames_per_s=spec.frames_per_s,
            left=spec.left_context_frames,
            right=spec.right_context_frames,
            max_window=spec.max_window_frames,
            exact=spec.exact,
            whole=not request.stream,
            seeded=request.seed is not None,
        )

    def _levels(self, request: SpeechRequest, plan: WindowPlan) -> Levels:
        settings, asked = self._settings, request.normalize_loudness
        levelled = settings.normalize_loudness if asked is None else asked
        return Levels(
            target_db=settings.target_rms_db if levelled else None,
            typical_db=self._profile.typical_rms_db,
            horizon_s=min(HORIZON_S, plan.first_hop / self._spec.frames_per_s),
        )

    def _sampling(self, request: SpeechRequest, budget_tokens: int) -> Sampling:
        default = self._profile.sampling
        return Sampling(
            max_tokens=_either(request.max_tokens, budget_tokens),
            temperature=_either(request.temperature, default.temperature),
            top_p=_either(request.top_p, default.top_p),
            top_k=_either(request.top_k, default.top_k),
            repetition_penalty=_either(request.repetition_penalty, default.repetition_penalty),
            seed=request.seed,
        )


def spoken_text(text: str, settings: Settings, *, normalize: bool) -> str:
    """The text that the model will see.

    Raises:
        RequestError: a text without anything to speak, or one that is too long.
    """
    if len(text) > settings.max_input_characters:
        raise InputTooLong(f"input is longer than {settings.max_input_characters} characters", param="input")
    cleaned = prepare(text, normalize=normalize)
    if len(cleaned) > 2 * settings.max_input_characters:  # one character can stand for eighteen in NFKC
        raise InputTooLong("input is too long once its characters are written out", param="input")
    return clean(normalise(cleaned)) if normalize else cleaned


def _either(asked: T | None, default: T) -> T:
    return default if asked is None else asked
