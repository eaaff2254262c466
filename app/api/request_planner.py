"""Validate speech requests and plan their synthesis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from app import tracing
from app.api.schemas import SpeechRequest, VoiceId
from app.audio.encoders import G711_RATE_HZ, UNCOMPRESSED, carries
from app.audio.fade import FADE_OUT_S
from app.codec.spec import CodecSpec
from app.config.profiles import Profile
from app.config.settings import Settings
from app.engine import Sampling
from app.errors import (
    CloningNotSupported,
    ModelNotFound,
    SpeechTooLong,
    UnsupportedSampleRate,
    UnsupportedValue,
)
from app.synthesis.request import (
    CompleteSegments,
    DeliveryMode,
    LoudnessTarget,
    OutputOptions,
    Segment,
    Segments,
    SynthesisRequest,
)
from app.synthesis.text_stream import TextStream
from app.text.duration import SpeechRate
from app.text.pauses import PausedText
from app.text.preparation import NormalisationOptions, TextPreparation
from app.text.prompt import VoicePrompt, render
from app.text.split import split
from app.tokens.code_buffer import FrameLayout
from app.tokens.windows import WindowPlan, plan_windows

T = TypeVar("T")
# Share of the token budget for the expected speech of a prompt. Slow voices need the rest.
BUDGET_USED = 0.6
HORIZON_S = 0.2  # longest audio held back for the first loudness estimate


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """Prompt template, its fields other than the text, and the token budget of one generation."""

    template: str
    fields: Mapping[str, str]
    budget_tokens: int
    max_characters: int  # of one prompt
    pace: SpeechRate

    def segments(self, paused_text: PausedText) -> list[Segment]:
        """Return the segments of a text. An empty one is a pause, or no segment at 0 s."""
        if not paused_text.text:
            return [Segment(None, paused_text.pause_s)] if paused_text.pause_s else []
        pieces = enumerate(self._chunks(paused_text.text))
        return [
            self._segment(piece, 0.0 if number else paused_text.pause_s) for number, piece in pieces
        ]

    def _segment(self, text: str, pause_s: float) -> Segment:
        prompt = render(self.template, **self.fields, text=text)
        return Segment(prompt, pause_s, self.pace.bounds(text))

    def _chunks(self, text: str) -> list[str]:
        """Split text to fit the token budget. Drop pieces without letters or digits."""
        pieces = split(text, self.max_characters)
        return [piece for piece in pieces if any(map(str.isalnum, piece))]


class RequestPlanner:
    """Plans requests for one model, one codec and one set of defaults."""

    def __init__(
        self, settings: Settings, profile: Profile, spec: CodecSpec, preparation: TextPreparation
    ) -> None:
        self._settings = settings
        self._profile = profile
        self._spec = spec
        self._preparation = preparation
        tokens = profile.tokens
        self._layout = FrameLayout(
            tokens.first_code_number, tokens.codes_per_frame, spec.vocabulary
        )
        self._pace = SpeechRate(
            profile.characters_per_second,
            spec.frames_per_s,
            profile.max_duration_factor,
            profile.min_duration_factor,
        )

    def plan(
        self, request: SpeechRequest, reference: VoicePrompt | None = None
    ) -> SynthesisRequest:
        """Plan the speech of a complete text, in the voice of `reference` if there is one.

        Raises:
            RequestError: the model, the voice, the text or a value is not supported.
            SpeechTooLong: even fast speech of the text would exceed the longest response.
        """
        output = self._output(request)
        prompt_plan = self._prompt_plan(request, reference)
        with tracing.span("normalise"):
            texts = self._preparation.paused_texts(request.input, self._normalisation(request))
        self._check_length(request, sum(map(self._least_s, texts)))
        segments = [segment for text in texts for segment in prompt_plan.segments(text)]
        voice_s = sum(
            segment.bounds.expected_frames / self._spec.frames_per_s + segment.pause_s
            for segment in segments
        )
        return self._synthesis_request(
            request, output, prompt_plan, CompleteSegments(segments), voice_s / request.speed
        )

    def plan_stream(
        self, request: SpeechRequest, reference: VoicePrompt | None = None
    ) -> tuple[SynthesisRequest, TextStream]:
        """Plan the speech of a text that is received later, and return the stream for its text.

        `input` is ignored.

        Raises:
            RequestError: the model, the voice or a value is not supported.
        """
        output = self._output(request)
        if not request.stream or request.stream_format == "sse":
            message = "a WebSocket always streams audio: stream=false and sse are not supported"
            raise UnsupportedValue(message, param="stream")
        prompt_plan = self._prompt_plan(request, reference)
        normalisation = self._normalisation(request)
        settings = self._settings
        least_s = 0.0

        def segments_of(paused_text: PausedText) -> list[Segment]:
            nonlocal least_s
            text = self._preparation.sentence(paused_text.text, normalisation)
            if not text:
                return []
            prepared = PausedText(paused_text.pause_s, text)
            least_s += self._least_s(prepared)
            self._check_length(request, least_s)
            return prompt_plan.segments(prepared)

        text_stream = TextStream(
            segments_of,
            max_characters=settings.max_input_characters,
            idle_timeout_s=settings.text_timeout_s,
        )
        planned = self._synthesis_request(request, output, prompt_plan, text_stream, math.inf)
        return planned, text_stream

    def _least_s(self, paused_text: PausedText) -> float:
        """Return the minimum duration of a text and its pause at speed 1, in seconds."""
        return paused_text.pause_s + self._pace.min_expected_s(paused_text.text)

    def _check_length(self, request: SpeechRequest, least_s: float) -> None:
        """Raise SpeechTooLong if the minimum duration exceeds the longest response.

        A request with `max_tokens` is accepted, because its speech may end earlier.
        """
        longest_s = self._settings.longest_audio_s
        if request.max_tokens is None and least_s / request.speed > longest_s:
            message = f"input: the audio would be longer than the limit of {longest_s:g} s"
            raise SpeechTooLong(f"{message}; split the text or raise the speed", param="input")

    def _prompt_plan(self, request: SpeechRequest, reference: VoicePrompt | None) -> PromptPlan:
        """Return the prompt of a request. A reference's tokens reduce the generation budget."""
        profile = self._profile
        if not profile.serves(request.model):
            message = "this server does not serve this model; see GET /v1/models"
            raise ModelNotFound(message, param="model")
        budget = profile.sampling.max_tokens
        if reference is None:
            asked = request.voice.id if isinstance(request.voice, VoiceId) else request.voice
            template, fields = profile.text_prompt, {"voice": profile.voices.find(asked)}
        elif profile.clone_prompt is None:
            raise CloningNotSupported(f"the model {profile.name} cannot clone voices")
        else:
            template, fields = profile.clone_prompt, reference.fields(profile.tokens)
            budget = max(budget - reference.length_tokens, budget // 4, 1)
        budget_s = budget / profile.tokens.codes_per_frame / self._spec.frames_per_s
        characters = max(1, int(budget_s * profile.characters_per_second * BUDGET_USED))
        return PromptPlan(template, fields, budget, characters, self._pace)

    def _normalisation(self, request: SpeechRequest) -> NormalisationOptions:
        return NormalisationOptions(
            _or_default(request.normalize, self._profile.normalize), request.language
        )

    def _synthesis_request(
        self,
        request: SpeechRequest,
        output: OutputOptions,
        prompt_plan: PromptPlan,
        segments: Segments,
        expected_s: float,
    ) -> SynthesisRequest:
        plan = self._plan(request)
        return SynthesisRequest(
            segments=segments,
            sampling=self._sampling(request, prompt_plan.budget_tokens),
            may_be_cut=request.max_tokens is not None,
            output=output,
            layout=self._layout,
            plan=plan,
            loudness=self._loudness(request, plan),
            limit_s=self._settings.request_timeout_s,
            expected_s=expected_s,
        )

    def _output(self, request: SpeechRequest) -> OutputOptions:
        """Return the format and the delivery of the response.

        Raises:
            UnsupportedValue: `sse` without streaming, or an encoding for a compressed format.
            UnsupportedSampleRate: the format does not support the sample rate.
        """
        chosen = request.response_format or self._settings.default_response_format
        rate_hz = self._rate_hz(request)
        if not carries(chosen, rate_hz):
            message = f"sample_rate: {chosen} does not support {rate_hz} Hz"
            raise UnsupportedSampleRate(message, param="sample_rate")
        if request.stream_format == "sse" and not request.stream:
            message = "stream_format: sse requires stream to be true"
            raise UnsupportedValue(message, param="stream_format")
        if request.encoding != "pcm_s16le" and chosen not in UNCOMPRESSED:
            message = f"encoding: {request.encoding} requires wav or pcm, not {chosen}"
            raise UnsupportedValue(message, param="encoding")
        streamed: DeliveryMode = "events" if request.stream_format == "sse" else "stream"
        return OutputOptions(
            rate_hz,
            chosen,
            request.encoding,
            delivery=streamed if request.stream else "whole",
            speed=request.speed,
            max_audio_s=self._settings.longest_audio_s,
        )

    def _rate_hz(self, request: SpeechRequest) -> int:
        usual_hz = self._spec.sample_rate_hz if request.encoding == "pcm_s16le" else G711_RATE_HZ
        return request.sample_rate or usual_hz

    def _plan(self, request: SpeechRequest) -> WindowPlan:
        settings = self._settings
        first_s, overlap_s = request.playback_speed, request.playback_overlap_speed
        return plan_windows(
            self._spec,
            first_window_s=_or_default(first_s, settings.default_first_window_s),
            overlap_s=_or_default(overlap_s, settings.default_lookahead_s),
            whole=not request.stream,
            seeded=request.seed is not None,
        )

    def _loudness(self, request: SpeechRequest, plan: WindowPlan) -> LoudnessTarget:
        settings, asked = self._settings, request.normalize_loudness
        levelled = settings.normalize_loudness if asked is None else asked
        return LoudnessTarget(
            target_db=settings.target_rms_db if levelled else None,
            typical_db=self._profile.typical_rms_db,
            # Keep the estimation window shorter than the first window less the fade, or the first
            # chunk would wait for the second window.
            estimation_window_s=min(
                HORIZON_S, plan.first_hop / self._spec.frames_per_s - FADE_OUT_S
            ),
        )

    def _sampling(self, request: SpeechRequest, budget_tokens: int) -> Sampling:
        default, frame_tokens = self._profile.sampling, self._layout.slots
        if request.max_tokens is not None and request.max_tokens < frame_tokens:
            message = f"max_tokens: must be at least {frame_tokens}, the tokens of one audio frame"
            raise UnsupportedValue(message, param="max_tokens")
        return Sampling(
            max_tokens=_or_default(request.max_tokens, budget_tokens),
            temperature=_or_default(request.temperature, default.temperature),
            top_p=_or_default(request.top_p, default.top_p),
            top_k=_or_default(request.top_k, default.top_k),
            repetition_penalty=_or_default(request.repetition_penalty, default.repetition_penalty),
            seed=request.seed,
        )


def _or_default(asked: T | None, default: T) -> T:
    return default if asked is None else asked
