"""The synthesis of one request, with its time limit, its client's disconnect and one retry.

`app.synthesis.attempt` runs the steps: prompt, engine, codes, windows, decode, stitch, level,
encode, sink.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import cast

from app import metrics, tracing
from app.audio.whole_body import WholeBody
from app.engine import Sampling
from app.errors import DeadlineExceeded, EngineLength, ServiceError
from app.process_time import ProcessTimeout
from app.synthesis.attempt import Attempt, Stage, SynthesisRequest
from app.synthesis.audio_output import ClientGone, Sink, SynthesisStats
from app.synthesis.stats import Progress

SEED_BITS = 31  # size of a random seed; some engines accept no larger one


async def synthesize(request: SynthesisRequest, stage: Stage, progress: Progress) -> SynthesisStats:
    """Synthesize a request into a sink; return when the sink holds the whole response.

    A failure of the engine is retried once if a retry may help, no byte has been sent and the
    client is still connected. `speech.limit_s` covers both attempts. `progress` has the current
    statistics, also after a failure.

    Raises:
        ServiceError: the first failure of the engine, the codec or a limit; `sink.finish` was not
            called.
        ClientGone: the client disconnected or stopped reading.
    """
    try:
        async with ProcessTimeout(request.limit_s) as limit, asyncio.TaskGroup() as group:
            watchers = (
                group.create_task(_watch(stage.sink)),
                group.create_task(stage.decoder.wait_for_failure()),
            )
            body = await _attempts(request, stage, progress, limit)
            for watcher in watchers:
                watcher.cancel()
    except TimeoutError as exc:
        raise DeadlineExceeded("the request exceeded its time limit") from exc
    except BaseExceptionGroup as group_error:
        raise _first(group_error) from None
    stats = progress.spoken()
    tracing.describe(audio_s=stats.audio_s, codec_tokens=stats.codec_tokens)
    await stage.sink.finish(stats, body)
    return stats


async def _watch(sink: Sink) -> None:
    await sink.gone()
    raise ClientGone("the client has disconnected")


async def _attempts(
    request: SynthesisRequest, stage: Stage, progress: Progress, limit: asyncio.Timeout
) -> WholeBody | None:
    """Run one attempt, and a second one where that may help."""
    ends_s = limit.when()
    try:
        return await _attempt(request, stage, progress, limit)
    except ServiceError as exc:
        sampling = retry_sampling(exc, request.sampling)
        if sampling is None or stage.sink.started or _is_ending():
            raise
        progress.retry(exc)
        answer = exc.answer
    limit.reschedule(ends_s)
    body = await _attempt(replace(request, sampling=sampling), stage, progress, limit)
    if answer is not None:
        answer.blame()
    return body


def _is_ending() -> bool:
    """True if the limit has passed or the client has disconnected in the meantime."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _attempt(
    request: SynthesisRequest, stage: Stage, progress: Progress, limit: asyncio.Timeout
) -> WholeBody | None:
    attempt = Attempt(request, stage, limit, for_replay=progress.for_replay)
    progress.begin(attempt)
    try:
        return await attempt.run()
    except BaseExceptionGroup as group_error:
        error = _first(group_error)
        if isinstance(error, EngineLength):
            metrics.RUNAWAYS.labels(error.kind).inc()
        raise error from None


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


def _first(error: BaseException) -> BaseException:
    """Return the first ServiceError of a group, or its first exception if it holds none."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [
        _first(inner) for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions
    ]
    return next((leaf for leaf in leaves if isinstance(leaf, ServiceError)), leaves[0])
