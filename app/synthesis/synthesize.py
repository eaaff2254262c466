"""The synthesis of one request, with its time limit, its client's disconnect and one retry.

`app.synthesis.attempt` runs the steps: prompt, engine, codes, windows, decode, stitch, level,
encode, sink.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import replace

from app import metrics, tracing
from app.decode.load_estimate import FIRST_WINDOW_S, StreamState
from app.engine import Sampling
from app.errors import DeadlineExceeded, ServiceError
from app.process_time import ProcessTimeout
from app.synthesis.attempt import Attempt, Backend, first_error
from app.synthesis.audio_output import ClientGone, Sink
from app.synthesis.request import SynthesisRequest
from app.synthesis.stats import SynthesisStats
from app.tokens.windows import GROWTH_UNDER_LOAD

SEED_BITS = 31  # size of a random seed; some engines accept no larger one

log = logging.getLogger(__name__)


class Synthesis:
    """One request that is synthesized into a sink; implements `load_estimate.Stream`."""

    def __init__(
        self, request: SynthesisRequest, backend: Backend, sink: Sink, stats: SynthesisStats
    ) -> None:
        """`stats` has the current figures, also after a failure."""
        self._request = request
        self._backend = backend
        self._sink = sink
        self._stats = stats
        self._attempt: Attempt | None = None

    async def run(self) -> None:
        """Return when the sink holds the whole response.

        A failure of the engine is retried once if a retry may help, no byte has been sent and the
        client is still connected. The request's time limit covers both attempts. Sent audio extends
        it by its duration, because a client that plays in real time needs as long to read it.

        Raises:
            ServiceError: the first failure of the engine, the codec or a limit; `sink.finish` was
                not called.
            ClientGone: the client disconnected or stopped reading.
        """
        request = self._request
        backend = self._backend
        sink = self._sink
        stats = self._stats
        sampling = request.sampling
        failed_answer = None
        try:
            async with ProcessTimeout(request.limit_s) as limit, asyncio.TaskGroup() as group:
                watchers = (
                    group.create_task(_watch(sink)),
                    group.create_task(backend.decoder.wait_for_failure()),
                )
                ends_s = limit.when() or 0.0

                def extend_limit(audio_s: float) -> None:
                    limit.reschedule(ends_s + audio_s)

                while True:
                    attempt = Attempt(
                        request, sampling, backend, sink, stats, on_audio=extend_limit
                    )
                    self._attempt = attempt
                    try:
                        body = await attempt.run()
                        break
                    except ServiceError as exc:
                        retry = None if stats.retries else retry_sampling(exc, request.sampling)
                        if retry is None or sink.started or _is_ending():
                            raise
                        metrics.RETRIES.labels(exc.code).inc()
                        log.info("retrying after %s: %s", exc.code, exc.message)
                        sampling, failed_answer = retry, exc.answer
                        stats.retry()
                        extend_limit(0.0)
                if failed_answer is not None:
                    failed_answer.blame()
                for watcher in watchers:
                    watcher.cancel()
        except TimeoutError as exc:
            raise DeadlineExceeded("the request exceeded its time limit") from exc
        except BaseExceptionGroup as group_error:
            raise first_error(group_error) from None
        tracing.describe(audio_s=stats.audio_s, codec_tokens=stats.codec_tokens)
        await sink.finish(stats, body)

    def state(self) -> StreamState:
        """Return the decode demand of the rest of the response."""
        if self._attempt is not None:
            return self._attempt.state()
        speed = self._request.output.speed
        return StreamState(
            FIRST_WINDOW_S / speed,
            GROWTH_UNDER_LOAD,
            speed=speed,
            left_s=self._request.expected_s,
        )


async def _watch(sink: Sink) -> None:
    await sink.gone()
    raise ClientGone("the client has disconnected")


def _is_ending() -> bool:
    """True if the limit has passed or the client has disconnected in the meantime."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def retry_sampling(error: ServiceError, first: Sampling) -> Sampling | None:
    """Return the sampling of a second attempt, or None if a retry would not help.

    A request with a fixed seed or temperature 0 would fail again in the same way. With several
    engines the retry goes to another one, because the failure may be the first one's.
    """
    first = replace(first, after=error.answer)
    if error.retry == "same":
        return first
    if error.retry == "new_seed" and first.seed is None and first.temperature != 0:
        return replace(first, seed=secrets.randbits(SEED_BITS))
    return None if error.answer is None else first
