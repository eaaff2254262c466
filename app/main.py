"""The ASGI application: `create_app` adds the routes, its lifespan loads engine and codec."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from app import __version__, metrics
from app.api.errors import UnhandledErrors, install_error_handlers
from app.api.middleware.api_keys import ApiKeyMiddleware, ApiKeys
from app.api.middleware.body_limit import MAX_VALUES, BodyLimit
from app.api.middleware.cors import allow_origins
from app.api.middleware.origin_check import OriginCheck
from app.api.middleware.request_context import RequestContext
from app.api.openapi import ERROR_RESPONSES, document_keys
from app.api.otel import TELEMETRY
from app.api.routes.page import router as page
from app.api.routes.speech import router
from app.api.routes.voices import UPLOAD_PATHS
from app.api.routes.voices import router as voices_router
from app.api.service import Service
from app.api.websocket import connection as websocket
from app.codec import Codec, VoiceEncoder
from app.components import (
    build_cloner,
    build_decoder,
    build_engine,
    build_profile,
    build_pronunciations,
)
from app.config.checks import CONFIG_ERRORS, config_error_message
from app.config.profiles import Profile
from app.config.settings import Settings
from app.decode.queue import BatchLimits, DeadlineQueue, Queue
from app.decode.scheduler import Job
from app.engine import Engine
from app.server.server import filter_expected_disconnects, max_message_bytes
from app.startup import Sleep, running
from app.text.preparation import TextPreparation

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 4_000_000  # of a JSON body, unless MAX_INPUT_CHARACTERS needs more


def create_app(
    settings: Settings | None = None,
    *,
    engine: Engine | None = None,
    codec: Codec | None = None,
    queue: Callable[[BatchLimits], Queue[Job]] = DeadlineQueue,
    load_encoder: Callable[[], VoiceEncoder] | None = None,
    pause: Sleep | None = asyncio.sleep,
) -> FastAPI:
    """Create the ASGI application. Its lifespan loads engine and codec.

    `engine`, `codec` and `load_encoder` (the encoder of recordings) replace those that the settings
    name. `queue` selects the windows of a decode call. `pause` sleeps between two attempts to load;
    without it the first error ends the loading.

    Raises:
        pydantic.ValidationError: invalid settings.
        ProfileError: a profile that cannot be read or does not fit the settings.
        PronunciationsError: a pronunciation file that cannot be read.
    """
    settings = settings or Settings()
    profile = build_profile(settings)
    cloner = build_cloner(settings, profile, load_encoder)
    preparation = TextPreparation(settings.max_input_characters, build_pronunciations(settings))
    service = Service(
        settings, profile, engine or build_engine(settings, profile), cloner, preparation
    )

    build = partial(
        build_decoder,
        settings,
        profile,
        codec=codec,
        queue=queue,
        load_estimate=service.load_estimate,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with running(service, build, pause):
            yield

    app = FastAPI(
        title="Speech server",
        version=__version__,
        lifespan=lifespan,
        responses=ERROR_RESPONSES,
        telemetry=TELEMETRY,
    )
    _add_middlewares(app, settings)
    app.state.service = service
    _add_routes(app)
    install_error_handlers(app)
    filter_expected_disconnects()
    _log_version(profile)
    return app


def _add_routes(app: FastAPI) -> None:
    for routes in (router, page, voices_router):
        app.include_router(routes)
    app.router.routes.append(websocket.route)


def _log_version(profile: Profile) -> None:
    metrics.BUILD.labels(__version__, profile.name, profile.codec.name).set(1)
    log.info("version %s, profile %s, codec %s", __version__, profile.name, profile.codec.name)


def _add_middlewares(app: FastAPI, settings: Settings) -> None:
    """Add the middlewares from the innermost to the outermost."""
    limit_bytes = max(MAX_BODY_BYTES, max_message_bytes(settings))
    app.add_middleware(
        BodyLimit,
        limit_bytes=limit_bytes,
        max_values=MAX_VALUES + settings.max_input_characters,
        upload_bytes=limit_bytes + settings.max_reference_bytes,
        upload_paths=UPLOAD_PATHS,
    )
    if settings.api_keys:
        document_keys(app)
        app.add_middleware(
            ApiKeyMiddleware, keys=ApiKeys(key.get_secret_value() for key in settings.api_keys)
        )
    app.add_middleware(UnhandledErrors)
    allow_origins(app, settings.cors_origins)
    app.add_middleware(
        OriginCheck, hosts=settings.allowed_hosts, own=settings.host, origins=settings.cors_origins
    )
    app.add_middleware(RequestContext, addresses=settings.log_client_address)


def __getattr__(name: str) -> FastAPI:
    """Create `app.main:app` at its first use, for uvicorn's command line.

    Exits with one readable line if the settings are invalid.
    """
    if name == "app":
        try:
            return create_app()
        except CONFIG_ERRORS as exc:
            sys.exit(config_error_message(exc))
    raise AttributeError(name)
