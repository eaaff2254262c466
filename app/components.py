"""Builders of the components that the settings name: profile, engine, scheduler, cloner."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from app.cloning.cloner import Cloner
from app.cloning.encoder import ReferenceEncoder
from app.cloning.recording import ReferenceLimits
from app.cloning.store import VoiceStore
from app.codec import Codec, OverlappingCodec, Report, VoiceEncoder
from app.codec.load import CodecOptions, gpu_problem, load_codec, load_encoder, pick_devices
from app.codec.registry import CODECS
from app.config.engine_urls import EngineEndpoint
from app.config.ineffective import ineffective_settings
from app.config.profiles import Profile, ProfileError, customise, load_profile
from app.config.settings import Settings
from app.cpu_contention import cores
from app.decode.call_cost import limit_gpu_calls, measure_call_cost
from app.decode.load_estimate import CallCost, LoadEstimate
from app.decode.queue import BatchLimits, Queue
from app.decode.scheduler import Job, Scheduler
from app.engine import Engine
from app.engine.embedded.voices import VOICES
from app.text.pronunciations import Pronunciations

log = logging.getLogger(__name__)


def build_pronunciations(settings: Settings) -> Pronunciations:
    """Read PRONUNCIATIONS; raises PronunciationsError."""
    return (
        Pronunciations.read(Path(settings.pronunciations))
        if settings.pronunciations
        else Pronunciations([])
    )


def build_profile(settings: Settings) -> Profile:
    """Load the profile with the operator's names and defaults.

    Raises:
        ProfileError: the profile is not valid, or does not fit the settings.
    """
    profile = load_profile(settings.profile_name)
    if settings.engine_urls is None and not CODECS[profile.codec.name].embedded_engine:
        raise ProfileError(
            f"MODEL_PROFILE={settings.profile_name} needs an engine: set ENGINE_URLS"
        )
    profile = customise(
        profile,
        model=settings.model_name,
        voices=settings.voices,
        default_voice=settings.default_voice,
        sampling={
            "temperature": settings.default_temperature,
            "repetition_penalty": settings.default_repetition_penalty,
            "max_tokens": settings.default_max_tokens,
        },
    )
    if settings.engine_urls is None and (unknown := set(profile.voices.names) - set(VOICES)):
        source = "VOICES" if settings.voices else f"MODEL_PROFILE={settings.profile_name}"
        named = ", ".join(map(repr, sorted(unknown)))
        raise ProfileError(
            f"{source}: the embedded engine has the voices {', '.join(VOICES)}, not {named}"
        )
    return profile


def build_engine(settings: Settings, profile: Profile) -> Engine:
    """Create the embedded engine, or a pool of those in ENGINE_URLS; neither loads nor connects."""
    if settings.engine_urls is None:
        from app.engine.embedded.engine import BuiltinEngine  # noqa: PLC0415  (imports torch)

        return BuiltinEngine()
    from app.engine.pool.pool import Pool  # noqa: PLC0415  (only where it is used)
    from app.engine.vllm.client import EngineLimits, VllmEngine  # noqa: PLC0415

    limits = EngineLimits(
        connect_s=settings.connect_timeout_s,
        first_token_s=settings.first_token_timeout_s,
        token_gap_s=settings.token_gap_timeout_s,
        stream_interval=settings.stream_interval,
    )

    tokens = profile.tokens
    token_limit = (
        tokens.first_code_number + tokens.codes_per_frame * CODECS[profile.codec.name].vocabulary
    )

    def vllm(address: EngineEndpoint) -> VllmEngine:
        return VllmEngine(
            address.url,
            profile.model,
            tokens,
            api_key=address.key.get_secret_value() if address.key else None,
            stop_token_ids=profile.stop_token_ids,
            token_limit=token_limit,
            limits=limits,
        )

    engine = Pool([(address.name, vllm(address)) for address in settings.engines])
    if not profile.reads_phonemes:
        return engine
    from app.engine.embedded.phoneme_engine import PhonemeEngine  # noqa: PLC0415  (loads a lexicon)

    return PhonemeEngine(engine, profile.prompt, profile.text_prompt)


def build_cloner(
    settings: Settings, profile: Profile, load: Callable[[], VoiceEncoder] | None
) -> Cloner:
    """Create the cloner, which makes voices from recordings.

    Its encoder is `load`'s, or that of the codec by default; the first recording loads it.
    """

    def load_codecs_encoder() -> VoiceEncoder:
        weights = settings.clone_weights or settings.codec_weights or profile.codec.weights
        device = pick_devices(profile.codec.name, settings.device)[0]
        return load_encoder(profile.codec.name, weights, device)

    store = VoiceStore(
        Path(settings.voices_folder) if settings.voices_folder else None, settings.max_voices
    )
    limits = ReferenceLimits(max_s=settings.max_reference_s)
    encoder = ReferenceEncoder(load or load_codecs_encoder, limits)
    return Cloner(profile, encoder, store, settings.request_timeout_s)


def build_decoder(
    settings: Settings,
    profile: Profile,
    report: Report,
    *,
    codec: Codec | None,
    queue: Callable[[BatchLimits], Queue[Job]],
    load_estimate: LoadEstimate,
) -> Scheduler:
    """Load the profile's codec on every device and return its scheduler, not started yet (blocks).

    `report` is called with the progress of loading. `codec` replaces the profile's. The scheduler
    updates `load_estimate`.

    Raises:
        LoadError: the codec cannot be loaded.
    """
    info = CODECS[profile.codec.name]
    if codec is None:
        codecs, on_cpu = _load_codecs(settings, profile, report)
    else:
        codecs, on_cpu = [codec], not isinstance(codec, OverlappingCodec)
    spec = codecs[0].spec
    limits = BatchLimits(
        windows=_batch_size(settings),
        padded_frames=settings.max_batch_frames or (info.cpu_batch_frames if on_cpu else None),
        frame_steps=spec.frame_steps,
        call_overhead_frames=info.cpu_overhead_frames if on_cpu else spec.call_overhead_frames,
    )
    workers = _cpu_workers(settings) if on_cpu else 1
    cost = _call_cost(settings, codecs, limits, on_cpu=on_cpu) if codec is None else None
    if cost and not on_cpu:
        limits = limit_gpu_calls(limits, cost, spec)
    return Scheduler(
        codecs * workers,
        queue(limits),
        settings.decode_timeout_s,
        limits,
        cost,
        load_estimate=load_estimate,
    )


def _call_cost(
    settings: Settings, codecs: Sequence[Codec], limits: BatchLimits, *, on_cpu: bool
) -> CallCost | None:
    """Measure the cost of a decode call under load.

    On a CPU all other cores are kept busy, because other streams and the embedded engine use them.
    """
    spec = codecs[0].spec
    first_frames = round(settings.default_first_window_s * spec.frames_per_s)
    frames = min(first_frames + spec.right_context_frames, spec.max_window_frames)
    return measure_call_cost(codecs, limits, frames, cores() - 1 if on_cpu else None)


def _load_codecs(settings: Settings, profile: Profile, report: Report) -> tuple[list[Codec], bool]:
    """Load a codec for each device; return them, and True if the device is the CPU."""
    options = CodecOptions(
        profile.codec.name,
        settings.codec_weights or profile.codec.weights,
        dtype=settings.codec_dtype,
        left_context_s=settings.neucodec_context_s,
        graph_s=settings.cuda_graph_lengths_s,
        compiled=settings.torch_compile,
        fused=settings.fused_kernels,
        max_batch=_batch_size(settings),
    )
    devices = pick_devices(profile.codec.name, settings.device)
    codecs = [load_codec(options, device, report) for device in devices]
    # After the load, which may be retried, so that each line is logged once.
    if settings.device == "auto" and (reason := gpu_problem(profile.codec.name)):
        log.warning("DEVICE=auto decodes on the CPU, because torch cannot use the GPU: %s", reason)
    for line in ineffective_settings(settings, profile, devices):
        log.warning("%s", line)
    return codecs, devices == ("cpu",)


def _batch_size(settings: Settings) -> int:
    return settings.max_batch_size if settings.dynamic_batching else 1


def _cpu_workers(settings: Settings) -> int:
    """Return the number of decode threads on a CPU; the embedded engine needs half of the cores."""
    return settings.decode_workers or (cores() if settings.engine_urls else max(1, cores() // 2))
