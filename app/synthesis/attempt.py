"""One attempt at a response, with its own generations, windows and encoder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from app import metrics
from app.audio.whole_body import WholeBody
from app.decode.load_estimate import StreamState
from app.decode.scheduler import Scheduler
from app.engine import Engine, Sampling
from app.errors import EngineLength, ServiceError
from app.synthesis.audio_output import AudioOutput, Sink
from app.synthesis.request import SynthesisRequest
from app.synthesis.stats import KeptCodes, SynthesisStats
from app.synthesis.token_reader import StartedSegment, TokenReader
from app.synthesis.window_decoder import WindowDecoder


@dataclass(frozen=True, slots=True)
class Backend:
    """The components of the service that generate and decode."""

    engine: Engine
    decoder: Scheduler


class Attempt:
    """The objects that a second attempt must not share with the first."""

    def __init__(
        self,
        request: SynthesisRequest,
        sampling: Sampling,
        backend: Backend,
        sink: Sink,
        stats: SynthesisStats,
        *,
        on_audio: Callable[[float], object],
    ) -> None:
        """`on_audio` is called with the seconds of audio so far, whenever some has been sent."""
        spec = backend.decoder.spec
        if stats.keeps_codes:
            stats.codes = KeptCodes(spec.name, request.plan.left)
        self._request = request
        self._reader = TokenReader(
            backend.engine,
            sampling,
            request.layout,
            spec.frames_per_s,
            stats,
            may_be_cut=request.may_be_cut,
        )
        self._output = AudioOutput(
            request.output.make_encoder(),
            sink,
            request.output,
            request.loudness,
            voice_rate_hz=spec.sample_rate_hz,
            stats=stats,
            on_audio=on_audio,
        )
        self._window_decoder = WindowDecoder(
            request.plan, request.layout, backend.decoder, self._output, stats
        )

    async def run(self) -> WholeBody | None:
        """Generate, decode and send the response; return its bytes if it is sent whole.

        The caller's max_tokens may end the response early.

        Raises:
            ServiceError: the engine, the codec or the text failed.
        """
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._reader.read(self._request.segments))
                while (started := await self._next()) is not None:
                    segment, stream = started
                    await self._window_decoder.pause(segment.pause_s)
                    if stream is not None:
                        await self._window_decoder.decode_segment(stream)
                        self._reader.release_slot()
                await self._output.finish()
                await reading
        except BaseExceptionGroup as group_error:
            error = first_error(group_error)
            if isinstance(error, EngineLength):
                metrics.RUNAWAYS.labels(error.kind).inc()
            raise error from None
        return self._output.body

    async def _next(self) -> StartedSegment | None:
        """Return the next segment, or None after the last.

        If its text has not arrived when the client's buffer runs dry, send silence and wait.
        """
        try:
            async with asyncio.timeout(max(0.0, self._output.lead_s)):
                return await self._reader.next_segment()
        except TimeoutError:
            if not (self._request.segments.starved and self._output.started):
                return await self._reader.next_segment()
        await self._window_decoder.flush_with_silence()
        started = await self._reader.next_segment()
        self._window_decoder.restart_after_idle()
        return started

    def state(self) -> StreamState:
        """Return the decode demand of the rest of the response."""
        return self._window_decoder.state(self._request.expected_s)


def first_error(error: BaseException) -> BaseException:
    """Return the first ServiceError of a group, or its first exception if it holds none."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [
        first_error(inner) for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions
    ]
    return next((leaf for leaf in leaves if isinstance(leaf, ServiceError)), leaves[0])
