"""The application: create_app wires routes; its lifespan builds everything else."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from app.addresses import Address
from app.api import websocket
from app.api.access import AccessLog
from app.api.cloning import Cloner
from app.api.cors import allow_origins
from app.api.document import REFUSALS, document_keys
from app.api.failure import LastResort, install_failure_handlers
from app.api.keys import ApiKeys, KeyCheck
from app.api.limits import BodyCap
from app.api.page import router as page
from app.api.request_id import RequestIds
from app.api.routes import router
from app.api.service import LOADING, Service
from app.api.telemetry import TELEMETRY
from app.api.voices import UPLOAD_PATHS
from app.api.voices import router as voices_router
from app.api.wording import Wording
from app.clone.encoder import ReferenceEncoder, VoiceEncoder
from app.clone.reference import ReferenceLimits
from app.clone.store import VoiceStore
from app.codec import Codec, OverlappingCodec
from app.decode.queue import BatchLimits, DeadlineQueue, Queue
from app.decode.scheduler import Job, Scheduler
from app.engine import Engine
from app.errors import LoadError
from app.profiles import Profile, ProfileError, customise, load_profile
from app.server import quiet_broken_responses
from app.settings import Settings
from app.speech.lexicon import Lexicon

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 4_000_000  # without a file: MAX_INPUT_CHARACTERS at its highest, four bytes each

VOCABULARY = {"neucodec": 65_536, "snac": 4_096, "builtin": 65_536}  # known before the codec is loaded

# Frames of one padded call on a CPU, where a call takes as long as its frames: about 0.3 s of one
# core, so that a stream's next window does not wait longer for a batch that others fill.
CPU_BATCH_FRAMES = {"neucodec": 128, "snac": 32, "builtin": 2048}

# Frames that take as long as a call's beginning on a CPU: windows that differ by more are cheaper in two calls.
CPU_CALL_FRAMES = {"neucodec": 8, "snac": 2, "builtin": 8}


def create_app(
    settings: Settings | None = None,
    *,
    engine: Engine | None = None,
    codec: Codec | None = None,
    queue: Callable[[BatchLimits], Queue[Job]] = DeadlineQueue,
    load_encoder: Callable[[], VoiceEncoder] | None = None,
) -> FastAPI:
    """The service as an ASGI application. Nothing is loaded before its lifespan begins.

    `engine`, `codec` and `load_encoder` (of references) stand in for those that the settings name; `queue` decides
    what shares a decode call.

    Raises:
        pydantic.ValidationError: bad settings.
        ProfileError: a profile that cannot be read or does not fit the settings.
        LexiconError: a file of pronunciations that cannot be read.
    """
    settings = settings or Settings()
    profile = _profile(settings)
    cloner = _cloner(settings, profile, load_encoder)
    wording = Wording(settings.max_input_characters, _lexicon(settings))
    service = Service(settings, profile, engine or _engine(settings, profile), cloner, wording)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        running = asyncio.create_task(_run(service, codec, queue))
        running.add_done_callback(partial(_report, service))
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            service.cloner.close()
            await asyncio.to_thread(service.records.close)
            await service.engine.close()
            if service.decoder is not None:
                await asyncio.to_thread(service.decoder.close)

    app = FastAPI(title="Speech server", version="0.1.0", lifespan=lifespan, responses=REFUSALS, telemetry=TELEMETRY)
    _add_middlewares(app, settings)
    app.state.service = service
    app.include_router(router)
    app.include_router(page)
    app.router.routes.append(websocket.route)
    app.include_router(voices_router)
    install_failure_handlers(app)
    quiet_broken_responses()
    return app


def _add_middlewares(app: FastAPI, settings: Settings) -> None:
    """From the inside out: what is added later sees a request earlier."""
    app.add_middleware(
        BodyCap,
        limit_bytes=MAX_BODY_BYTES,
        upload_bytes=MAX_BODY_BYTES + settings.max_reference_bytes,
        upload_paths=UPLOAD_PATHS,
    )
    if settings.api_keys:
        document_keys(app)
        app.add_middleware(KeyCheck, keys=ApiKeys(key.get_secret_value() for key in settings.api_keys))
    app.add_middleware(LastResort)
    allow_origins(app, settings.cors_origins)
    app.add_middleware(AccessLog)
    app.add_middleware(RequestIds)


def _lexicon(settings: Settings) -> Lexicon:
    return Lexicon.read(Path(settings.pronunciations)) if settings.pronunciations else Lexicon([])


def _profile(settings: Settings) -> Profile:
    profile = load_profile(settings.profile_name)
    if settings.tts_api is None and profile.codec.name != "builtin":
        raise ProfileError(f"MODEL_PROFILE={settings.profile_name} needs an engine: set TTS_API")
    return customise(
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


def _engine(settings: Settings, profile: Profile) -> Engine:
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
            token_limit=profile.tokens.first + profile.tokens.slots * VOCABULARY[profile.codec.name],
            limits=limits,
        )

    engine = Pool([(address.name, vllm(address)) for address in settings.engines])
    if not profile.reads_phonemes:
        return engine
    from app.engine.phonemising import PhonemeEngine  # noqa: PLC0415  (loads a lexicon)

    return PhonemeEngine(engine, profile.prompt, profile.text_prompt)


def _cloner(settings: Settings, profile: Profile, load: Callable[[], VoiceEncoder] | None) -> Cloner:
    def load_neucodec() -> VoiceEncoder:
        from app.codec.load import pick_devices  # noqa: PLC0415  (imports torch)
        from app.codec.neucodec_encoder import load_encoder  # noqa: PLC0415

        weights = settings.clone_weights or settings.codec_weights or profile.codec.weights
        return load_encoder(weights, pick_devices(settings.device)[0])

    store = VoiceStore(Path(settings.voices_folder) if settings.voices_folder else None, settings.max_voices)
    encoder = ReferenceEncoder(load or load_neucodec, ReferenceLimits(max_s=settings.max_reference_s))
    return Cloner(profile, encoder, store, settings.request_timeout_s)


async def _run(service: Service, codec: Codec | None, queue: Callable[[BatchLimits], Queue[Job]]) -> None:
    """Load the engine and the codec, open the service, and return only where that failed; raise what is fatal."""
    try:
        decoder = await asyncio.to_thread(_decoder, service, codec, queue)
        await service.cloner.start()
        await service.engine.start()
    except LoadError as exc:
        service.problem = str(exc)
        log.critical("not ready: %s", exc)
        return
    decoder.start()
    gc.collect()
    gc.freeze()  # what has been loaded stays: collections need not walk a few hundred thousand objects
    service.open(decoder)
    log.info("ready: %s with the %s codec", service.profile.model, service.profile.codec.name)
    await decoder.lost()


def _report(service: Service, running: asyncio.Task[None]) -> None:
    """What nobody foresaw while loading, or a lost device: the process is to be started anew."""
    if not running.cancelled() and (exc := running.exception()):
        what = "loading failed" if service.decoder is None else "decoding has failed"
        log.critical("%s", what, exc_info=exc)
        service.fail(f"{what}; the server's log says why")


def _decoder(service: Service, codec: Codec | None, queue: Callable[[BatchLimits], Queue[Job]]) -> Scheduler:
    """Load the profile's codec on every device, and wrap it."""
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
    return Scheduler(codecs * workers, queue(limits), settings.decode_timeout_s, limits)


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
    return [load_codec(choice, device, report) for device in devices], devices == ("cpu",)


def _batch_size(settings: Settings) -> int:
    return settings.max_batch_size if settings.dynamic_batching else 1


def _cpu_workers(settings: Settings) -> int:
    """Decode threads on a CPU: a core each; the embedded engine needs the other half of them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return settings.decode_workers or (cores if settings.tts_api else max(1, cores // 2))


def __getattr__(name: str) -> FastAPI:
    """`app.main:app` for uvicorn's command line, made when it is asked for."""
    if name == "app":
        return create_app()
    raise AttributeError(name)
