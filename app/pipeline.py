"""The straight line of one request: prompt, engine, codes, windows, decode, stitch, level, encode, sink."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from app import metrics
from app.arrival import Arrival
from app.codec import CodeWindow
from app.decode.scheduler import Scheduler
from app.engine import Engine, Generation, Sampling
from app.errors import DeadlineExceeded, EngineLength, EngineNoAudio, ServiceError
from app.listener import ClientGone, Levels, Listener, Playback, Sink, Spoken
from app.speech.codes import CodeArray, FrameLayout
from app.speech.encoders import Encoder
from app.speech.stitch import FADE_S, Stitcher
from app.speech.windows import Supply, Window, WindowPlan, WindowSchedule


@dataclass(frozen=True, slots=True)
class Speech:
    """A request past the door: everything is checked, nothing is optional."""

    prompts: tuple[str, ...]
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
    arrivals = [Arrival(speech.layout, speech.sampling.max_tokens) for _ in speech.prompts]
    listener = Listener(encoder, sink, speech.levels, decoder.spec.sample_rate_hz, speech.playback)
    try:
        async with asyncio.timeout(speech.limit_s) as limit, asyncio.TaskGroup() as group:
            watcher = group.create_task(_watch(sink))
            reader = group.create_task(_read(speech, engine, arrivals))
            await _speak(speech, arrivals, decoder, listener, limit)
            generations = await reader
            watcher.cancel()
    except TimeoutError as exc:
        raise DeadlineExceeded("the request took longer than its limit") from exc
    except BaseExceptionGroup as group_error:
        raise _first(group_error) from None
    spoken = Spoken(
        audio_s=listener.audio_s,
        codec_tokens=sum(arrival.codes.tokens for arrival in arrivals),
        prompt_tokens=sum(generation.prompt_tokens or 0 for generation in generations),
        first_audio_s=(listener.first_write_s or listener.begun_s) - listener.begun_s,
        total_s=time.monotonic() - listener.begun_s,
    )
    await sink.finish(spoken)
    return spoken


async def _watch(sink: Sink) -> None:
    await sink.gone()
    raise ClientGone("the client has disconnected")


async def _read(speech: Speech, engine: Engine, arrivals: Sequence[Arrival]) -> list[Generation]:
    """Take every generation off the engine, one after the other."""
    generations: list[Generation] = []
    for prompt, arrival in zip(speech.prompts, arrivals, strict=True):
        try:
            generation = await engine.generate(prompt, speech.sampling, arrival.feed)
        finally:
            metrics.ENGINE_TOKENS.inc(arrival.codes.tokens)
            metrics.TOKENS_DROPPED.inc(arrival.codes.dropped + arrival.codes.unfinished)
        if not arrival.codes.frames:
            raise EngineNoAudio("the engine finished without audio")
        if generation.finish_reason == "length" and not speech.may_be_cut:
            raise EngineLength("the engine reached its token limit before the end of the text")
        generations.append(generation)
        arrival.finish()
        if generation.finish_reason == "length":
            break
    for arrival in arrivals[len(generations) :]:
        arrival.finish()
    return generations


async def _speak(
    speech: Speech, arrivals: Sequence[Arrival], decoder: Scheduler, listener: Listener, limit: asyncio.Timeout
) -> None:
    """Decode every generation window by window, and let the listener hear it.

    `limit` moves with the audio sent: who listens in real time needs as long as it lasts.
    """
    spec = decoder.spec
    ends_s = limit.when() or 0.0
    for arrival in arrivals:
        await arrival.reach(1)
        if not arrival.codes.frames:
            break  # the caller's max_tokens ended the answer before this part of the text
        stitcher = Stitcher(spec.samples_per_frame, 0 if spec.exact else round(FADE_S * spec.sample_rate_hz))
        schedule = WindowSchedule(speech.plan)
        while not schedule.finished:
            await arrival.reach(schedule.wanted)
            taken: list[Window] = []
            asked_s = time.monotonic()
            decoded = await decoder.decode(partial(_take, arrival.codes, schedule, taken), listener.deadline_s())
            decode_s = time.monotonic() - asked_s
            await listener.hear(stitcher.feed(taken[0], decoded))
            limit.reschedule(ends_s + listener.audio_s)
            schedule.grow(
                Supply(
                    frames=arrival.codes.frames,
                    s_per_frame=arrival.s_per_frame,
                    frame_s=1 / spec.frames_per_s / speech.playback.speed,
                    lead_s=listener.lead_s,
                    decode_s=decode_s,
                )
            )
    await listener.finish()


def _take(codes: CodeArray, schedule: WindowSchedule, taken: list[Window]) -> CodeWindow:
    """Choose the window on the decode thread, so that it holds all that has arrived by then."""
    ended = codes.ended  # before `frames`: once the end is seen, the count is final
    window = schedule.take(codes.frames, ended=ended)
    taken.append(window)
    return CodeWindow(codes.window(window.start, window.stop), window.start, window.begin - window.start)


def _first(error: BaseException) -> BaseException:
    """The failure that a group stands for: a service error before anything else."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_first(inner) for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, ServiceError)), leaves[0])
