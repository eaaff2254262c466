"""The straight line of one request: prompt, engine, codes, windows, decode, stitch, level, encode, sink."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import cast

from app import tracing
from app.decode.scheduler import Scheduler
from app.engine import Engine, Sampling
from app.errors import DeadlineExceeded, ServiceError
from app.generations import Begun, Generations
from app.listener import ClientGone, Levels, Listener, Playback, Sink, Spoken
from app.parts import Parts
from app.speaker import Speaker
from app.speech.codes import FrameLayout
from app.speech.encoders import Encoder
from app.speech.windows import WindowPlan


@dataclass(frozen=True, slots=True)
class Speech:
    """A request past the door: everything is checked, nothing is optional."""

    parts: Parts
    sampling: Sampling
    may_be_cut: bool  # the caller set max_tokens, so reaching it is no error
    playback: Playback
    layout: FrameLayout
    plan: WindowPlan
    levels: Levels
    limit_s: float


async def synthesize(speech: Speech, engine: Engine, decoder: Scheduler, encoder: Encoder, sink: Sink) -> Spoken:
    """Speak a request into a sink; returns when the sink has the whole answer.

    Raises:
        ServiceError: the first failure of engine, codec or a limit; the sink has not been finished.
        ClientGone: the client disconnected or stopped reading.
    """
    generations = Generations(engine, speech.sampling, speech.layout, may_be_cut=speech.may_be_cut)
    listener = Listener(encoder, sink, speech.levels, decoder.spec.sample_rate_hz, speech.playback)
    try:
        async with asyncio.timeout(speech.limit_s) as limit, asyncio.TaskGroup() as group:
            watchers = group.create_task(_watch(sink)), group.create_task(decoder.lost())
            speaker = Speaker(speech.plan, speech.layout, decoder, listener, limit)
            reader = group.create_task(generations.read(speech.parts))
            await _speak(speech.parts, generations, speaker)
            await reader
            for watcher in watchers:
                watcher.cancel()
    except TimeoutError as exc:
        raise DeadlineExceeded("the request took longer than its limit") from exc
    except BaseExceptionGroup as group_error:
        raise _first(group_error) from None
    first_write_s = listener.first_write_s or listener.begun_s
    spoken = Spoken(
        audio_s=listener.audio_s,
        codec_tokens=generations.codec_tokens,
        prompt_tokens=generations.prompt_tokens,
        first_audio_s=first_write_s - listener.begun_s,
        first_window_s=max(0.0, first_write_s - (speaker.ready_s or first_write_s)),
        total_s=time.monotonic() - listener.begun_s,
    )
    tracing.describe(audio_s=spoken.audio_s, codec_tokens=spoken.codec_tokens)
    await sink.finish(spoken)
    return spoken


async def _watch(sink: Sink) -> None:
    await sink.gone()
    raise ClientGone("the client has disconnected")


async def _speak(parts: Parts, generations: Generations, speaker: Speaker) -> None:
    """Speak part after part; the caller's max_tokens may end the answer before the last."""
    while (begun := await _next(parts, generations, speaker)) is not None:
        part, arrival = begun
        await speaker.pause(part.pause_s)
        if arrival is not None:
            await speaker.speak(arrival)
            generations.spoken()
    await speaker.listener.finish()


async def _next(parts: Parts, generations: Generations, speaker: Speaker) -> Begun | None:
    """The next part. Where its text is later than the listener can wait, the speaker rests until it comes."""
    try:
        async with asyncio.timeout(max(0.0, speaker.listener.lead_s)):
            return await generations.next()
    except TimeoutError:
        if not (parts.late and speaker.listener.started):
            return await generations.next()
    await speaker.rest()
    begun = await generations.next()
    speaker.begin_again()
    return begun


def _first(error: BaseException) -> BaseException:
    """The failure that a group stands for: a service error before anything else."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_first(inner) for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, ServiceError)), leaves[0])
