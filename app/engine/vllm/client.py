"""Client of vLLM, or of a compatible server: streamed POST /v1/completions.

It uses aiohttp directly. httpx over aiohttp takes 226 µs longer per request and 13 to 25 % longer
per token for reading alone (bench/results/ingest.json), leaves async generators open when a read
fails, and reports a reset as a connect timeout.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp

from app import tracing
from app.config.engine_urls import endpoint_label
from app.config.profiles import TokenSyntax
from app.engine import Generation, OnTokens, Sampling
from app.engine.vllm.completion import Completion, request_body
from app.engine.vllm.errors import connection_error, error_for_status
from app.engine.vllm.models import ModelList
from app.engine.vllm.rejection_log import RejectionLog
from app.engine.vllm.resolver import EngineResolver
from app.engine.vllm.token_timeout import TokenTimeout
from app.errors import (
    EngineError,
    EngineOverloaded,
    EngineProtocolError,
    EngineTimeout,
    InputTooLong,
)
from app.process_time import ProcessTimeout

logger = logging.getLogger(__name__)

_ERROR_BODY_BYTES = 65_536  # bytes read of an error body; those of vLLM are below 1 KB
_MODEL_LIST_BYTES = 1_000_000  # bytes read of a list of models; that of vLLM has 0.5 KB per model


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Time limits of the engine, and the number of tokens per event."""

    connect_s: float = 2.0
    first_token_s: float = 15.0  # from the start of the request; includes the engine's queue
    token_gap_s: float = 5.0
    end_s: float = 1.0  # from the finish reason to the end of the response: only token counts
    check_s: float = 2.0
    # Below the 5 s of vLLM, so that no request uses a connection that vLLM is closing.
    keep_alive_s: float = 4.0
    stream_interval: int = 8  # tokens per event after the first


class VllmEngine:
    """An engine behind a URL. `on_tokens` is called as soon as bytes arrive, without a queue."""

    def __init__(
        self,
        url: str,
        model: str,
        tokens: TokenSyntax,
        *,
        api_key: str | None = None,
        stop_token_ids: tuple[int, ...] = (),
        limits: EngineLimits | None = None,
        token_limit: int | None = None,
        request_token_ids: bool = True,
    ) -> None:
        """`url`: may end in /v1 or /v1/completions. `token_limit`: see `TokenIdParser`."""
        self._base = re.sub(r"(/v1)?(/completions)?/*$", "", url)
        self._model = model
        self._tokens = tokens
        self._api_key = api_key
        self._stop_token_ids = stop_token_ids
        self._limits = limits or EngineLimits()
        self._token_limit = token_limit
        self._request_token_ids = request_token_ids
        self._session: aiohttp.ClientSession | None = None
        self._name = endpoint_label(url)
        self._rejections = RejectionLog(self._name)
        self._model_checked = False  # True if a check has looked for the model
        self._model_missing = False  # True if the engine lists models, but not ours

    async def start(self) -> None:
        """Create the client; no connection is opened yet."""
        limits = self._limits
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if self._api_key:
            headers["authorization"] = f"Bearer {self._api_key}"
        self._resolver = EngineResolver()
        self._session = aiohttp.ClientSession(
            # aiohttp's default limit of 100 connections would be a hidden queue.
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=limits.keep_alive_s, resolver=self._resolver
            ),
            headers=headers,
            # `connect` includes the lookup of the host name. TokenTimeout limits reading.
            timeout=aiohttp.ClientTimeout(connect=limits.connect_s, sock_connect=limits.connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            await self._resolver.close()
            self._session = None

    async def check(self) -> None:
        """Request GET /health. At the first success, also after a failure, look for the model.

        Raises:
            EngineError: the engine cannot be reached, or is not healthy.
        """
        try:
            await self._check_health()
        except EngineError:
            self._model_checked = False
            raise
        if not self._model_checked:
            self._model_checked = True
            await self._check_model()

    async def _check_health(self) -> None:
        request = self._open_session().get(f"{self._base}/health", allow_redirects=False)
        try:
            async with ProcessTimeout(self._limits.check_s), request as response:
                status = response.status
        except aiohttp.ClientError as exc:
            raise connection_error(exc) from exc
        except TimeoutError as exc:
            raise EngineTimeout("the engine did not respond in time") from exc
        if status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):  # 404: a server without that route
            raise EngineError(f"the engine is not ready: its /health returned {status}")

    async def _check_model(self) -> None:
        """Log a warning if the engine lists models, but not ours.

        Some engines list none, or not all, so this is no error.
        """
        request = self._open_session().get(f"{self._base}/v1/models", allow_redirects=False)
        try:
            async with ProcessTimeout(self._limits.check_s), request as response:
                if response.status != HTTPStatus.OK:
                    return
                models = ModelList.read(await _read_up_to(response.content, _MODEL_LIST_BYTES))
        except (aiohttp.ClientError, TimeoutError):
            return
        was_missing = self._model_missing
        self._model_missing = models.lacks(self._model)
        if self._model_missing and not was_missing:
            logger.warning(
                "engine %s lists %s, but not MODEL_NAME=%s", self._name, models, self._model
            )

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """Stream one completion; see `Engine.generate`."""
        body = request_body(
            self._model,
            prompt,
            sampling,
            stop_token_ids=self._stop_token_ids,
            stream_interval=self._limits.stream_interval,
            ids=self._request_token_ids,
        )
        completion = Completion(self._tokens, self._token_limit)
        token_timeout = TokenTimeout(self._limits.first_token_s, self._limits.token_gap_s)
        try:
            async with token_timeout:
                await self._read(body, completion, token_timeout, on_tokens)
        except aiohttp.ClientError as exc:
            if not completion.ended:
                raise connection_error(exc) from exc
        except TimeoutError as exc:
            if not token_timeout.expired:
                raise  # raised by `on_tokens`
            if not completion.ended:
                raise EngineTimeout("the engine sent no token in time") from exc
        generation = completion.generation()
        self._rejections.log_recovery(time.monotonic())
        return generation

    async def _read(
        self,
        body: bytes,
        completion: Completion,
        token_timeout: TokenTimeout,
        on_tokens: OnTokens,
    ) -> None:
        url = f"{self._base}/v1/completions"
        headers: dict[str, str] = {}
        tracing.add_headers(headers)
        started_s = time.monotonic()
        async with self._open_session().post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            tracing.record("engine.connect", started_s, time.monotonic())
            await self._check_status(response)
            progress = 0
            async for data in response.content.iter_any():
                numbers = completion.feed(data)
                if completion.progress != progress:
                    progress = completion.progress
                    token_timeout.tick()
                    if completion.ended:
                        token_timeout.expect_end(self._limits.end_s)
                if numbers:
                    on_tokens(numbers)
            numbers = completion.finish()
            if numbers:
                on_tokens(numbers)

    async def _check_status(self, response: aiohttp.ClientResponse) -> None:
        """Return if the response is an event stream.

        Raises:
            ServiceError: the response is an error, or has another content type.
        """
        if response.status != HTTPStatus.OK:
            body = await _read_up_to(response.content, _ERROR_BODY_BYTES)
            error = error_for_status(response.status, response.headers.get("retry-after"), body)
            # A full queue or an overlong prompt is no misconfiguration.
            if not isinstance(error, EngineOverloaded | InputTooLong):
                self._rejections.log_rejection(response.status, time.monotonic())
            raise error
        if response.content_type != "text/event-stream":
            raise EngineProtocolError("the engine's response is not an event stream")

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("start() has not been called")
        return self._session


async def _read_up_to(content: aiohttp.StreamReader, max_bytes: int) -> bytes:
    body = b""
    async for data in content.iter_any():
        body += data
        if len(body) > max_bytes:
            break
    return body
