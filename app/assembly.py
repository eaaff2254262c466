"""The parts that the settings name: the profile, the engine, the codec behind its scheduler, the cloner."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from app.addresses import Address
from app.api.cloning import Cloner
from app.api.service import LOADING, Service
from app.clone.encoder import ReferenceEncoder, VoiceEncoder
from app.clone.reference import ReferenceLimits
from app.clone.store import VoiceStore
from app.codec import Codec, OverlappingCodec
from app.contention import cores
from app.decode.call_cost import measure_call_cost
from app.decode.load_estimate import CallCost
from app.decode.queue import BatchLimits, Queue
from app.decode.scheduler import Job, Scheduler
from app.engine import Engine
from app.engine.voices import VOICES
from app.idle import idle_settings
from app.profiles import Profile, ProfileError, customise, load_profile
from app.settings import Settings
from app.speech.lexicon import Lexicon

log = logging.getLogger(__name__)

VOCABULARY = {
    "neucodec": 65_536,
    "snac": 4_096,
    "builtin": 65_536,
}  # known before the codec is loaded

# Frames of one padded call on a CPU, where a call takes as long as its frames: about 0.3 s of one
# core, so that a stream's next window does not wait longer for a batch that others fill.
CPU_BATCH_FRAMES = {"neucodec": 128, "snac": 32, "builtin": 256}

# Frames that take as long as a call's beginning on a CPU: windows that differ by more are cheaper in two calls.
CPU_CALL_FRAMES = {"neucodec": 8, "snac": 2, "builtin": 8}


def lexicon_of(settings: Settings) -> Lexicon:
    """The operator's pronunciations; raises LexiconError."""
    return Lexicon.read(Path(settings.pronunciations)) if settings.pronunciations else Lexicon([])


def profile_of(settings: Settings) -> Profile:
    """The profile, with the operator's names and defaults; raises ProfileError where it cannot be served so."""
    profile = load_profile(settings.profile_name)
    if settings.tts_api is None and profile.codec.name != "builtin":
        raise ProfileError(f"MODEL_PROFILE={settings.profile_name} needs an engine: set TTS_API")
    profile = customise(
        profile,
        model=settings.model_name,
        speakers=settings.speakers,
        default_speaker=settings.default_speaker,
        sampling={
            "temperature": settings.default_temperature,
            "repetition_penalty": settings.default_repetition_penalty,
            "max_tokens": settings.default_max_tokens,
        },
    )
    if settings.tts_api is None and (unknown := set(profile.voices.names) - set(VOICES)):
        source = "SPEAKERS" if settings.speakers else f"MODEL_PROFILE={settings.profile_name}"
        named = ", ".join(map(repr, sorted(unknown)))
        raise ProfileError(
            f"{source}: the embedded engine has the voices {', '.join(VOICES)}, not {named}"
        )
    return profile


def engine_of(settings: Settings, profile: Profile) -> Engine:
    """The embedded engine, or those of TTS_API. Nothing is loaded or connected yet."""
    if settings.tts_api is None:
        from app.engine.builtin import BuiltinEngine  # noqa: PLC0415  (imports torch)

        return BuiltinEngine(settings.embedded_engine)
    from app.engine.pool import Pool  # noqa: PLC0415  (only where it is used)
    from app.engine.vllm import EngineLimits, VllmEngine  # noqa: PLC0415

    limits = EngineLimits(
        connect_s=settings.connect_timeout_s,
        first_token_s=settings.first_token_timeout_s,
        token_gap_s=settings.token_gap_timeout_s,
        stream_interval=settings.stream_interval,
    )

    def vllm(address: Address) -> VllmEngine:
        return VllmEngine(
            address.url,
            profile.model,
            profile.tokens,
            api_key=address.key.get_secret_value() if address.key else None,
            stop_token_ids=profile.stop_token_ids,
            token_limit=profile.tokens.first
            + profile.tokens.slots * VOCABULARY[profile.codec.name],
            limits=limits,
        )

    engine = Pool([(address.name, vllm(address)) for address in settings.engines])
    if not profile.reads_phonemes:
        return engine
    from app.engine.phonemising import PhonemeEngine  # noqa: PLC0415  (loads a lexicon)

    return PhonemeEngine(engine, profile.prompt, profile.text_prompt)


def cloner_of(
    settings: Settings, profile: Profile, load: Callable[[], VoiceEncoder] | None
) -> Cloner:
    """What makes voices of recordings, by `load`'s encoder or the profile's; it is loaded when the first one comes."""

    def load_neucodec() -> VoiceEncoder:
        from app.codec.load import pick_devices  # noqa: PLC0415  (imports torch)
        from app.codec.neucodec_encoder import load_encoder  # noqa: PLC0415

        weights = settings.clone_weights or settings.codec_weights or profile.codec.weights
        return load_encoder(weights, pick_devices(settings.device)[0])

    store = VoiceStore(
        Path(settings.voices_folder) if settings.voices_folder else None, settings.max_voices
    )
    encoder = ReferenceEncoder(
        load or load_neucodec, ReferenceLimits(max_s=settings.max_reference_s)
    )
    return Cloner(profile, encoder, store, settings.request_timeout_s)


def decoder_of(
    service: Service, codec: Codec | None, queue: Callable[[BatchLimits], Queue[Job]]
) -> Scheduler:
    """The codec, or the profile's, loaded on every device (blocks), behind a scheduler whose threads do not run yet.

    Raises:
        LoadError: it cannot be loaded.
    """
    settings, name = service.settings, service.profile.codec.name
    if codec is None:
        codecs, on_cpu = _load_codecs(service)
    else:
        codecs, on_cpu = [codec], not isinstance(codec, OverlappingCodec)
    limits = BatchLimits(
        windows=_batch_size(settings),
        padded_frames=settings.max_batch_frames or (CPU_BATCH_FRAMES[name] if on_cpu else None),
        frame_steps=codecs[0].spec.frame_steps,
        call_frames=CPU_CALL_FRAMES[name] if on_cpu else codecs[0].spec.call_frames,
    )
    workers = _cpu_workers(settings) if on_cpu else 1
    cost = _call_cost(service, codecs[0], limits, on_cpu=on_cpu) if codec is None else None
    return Scheduler(codecs * workers, queue(limits), settings.decode_timeout_s, limits, cost)


def _call_cost(
    service: Service, codec: Codec, limits: BatchLimits, *, on_cpu: bool
) -> CallCost | None:
    """Time the codec as it is under load: on a CPU all cores work, for other streams and for the embedded engine."""
    first_frames = round(service.settings.default_playback_speed * codec.spec.frames_per_s)
    frames = min(first_frames + codec.spec.right_context_frames, codec.spec.max_window_frames)
    return measure_call_cost(codec, limits, frames, cores() - 1 if on_cpu else None)


def _load_codecs(service: Service) -> tuple[list[Codec], bool]:
    """A codec for each device, and whether that is the CPU; /ready tells how far it is."""
    from app.codec.load import CodecChoice, load_codec, pick_devices  # noqa: PLC0415  (imports torch)

    def report(progress: str) -> None:
        service.problem = f"{LOADING}: {progress}"
        log.info("%s", progress)

    settings, profile = service.settings, service.profile
    choice = CodecChoice(
        profile.codec.name,
        settings.codec_weights or profile.codec.weights,
        dtype=settings.codec_dtype,
        left_context_s=settings.decode_left_context_s,
        graph_s=settings.cuda_graph_batch,
        compiled=settings.torch_compile,
        max_batch=_batch_size(settings),
    )
    devices = pick_devices(settings.device)
    codecs = [load_codec(choice, device, report) for device in devices]
    for line in idle_settings(settings, profile, devices):  # once: a load that fails is tried again
        log.warning("%s", line)
    return codecs, devices == ("cpu",)


def _batch_size(settings: Settings) -> int:
    return settings.max_batch_size if settings.dynamic_batching else 1


def _cpu_workers(settings: Settings) -> int:
    """Decode threads on a CPU: a core each; the embedded engine needs the other half of them."""
    return settings.decode_workers or (cores() if settings.tts_api else max(1, cores() // 2))
