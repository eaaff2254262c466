"""Speech with Pipecat's OpenAI service in a pipeline.

Runs in its own environment and reads requests line by line.
"""

from __future__ import annotations

import asyncio

from conversation import converse
from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner


class Ear(FrameProcessor):
    """Counts what it hears; `heard` is set by the first audio."""

    def __init__(self) -> None:
        super().__init__()
        self.samples, self.rates_hz, self.heard = 0, set[int](), asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.samples += len(frame.audio) // 2
            self.rates_hz.add(frame.sample_rate)
            self.heard.set()
        await self.push_frame(frame, direction)


async def speak(asked: dict[str, str]) -> dict[str, object]:
    chosen = {name: asked[name] for name in ("voice", "model") if name in asked}
    settings = {"settings": OpenAITTSService.Settings(**chosen)} if chosen else {}
    ear, errors = Ear(), list[str]()
    service = OpenAITTSService(base_url=asked["url"], api_key=asked["key"], **settings)
    worker = PipelineWorker(Pipeline([service, ear]))

    @worker.event_handler("on_pipeline_error")
    async def note(_: PipelineWorker, frame: ErrorFrame) -> None:
        errors.append(frame.error)

    await worker.queue_frame(TTSSpeakFrame(asked["text"]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    if asked["action"] == "leave":
        await ear.heard.wait()
        await worker.queue_frame(InterruptionFrame())
    await worker.queue_frame(EndFrame())
    await running
    if errors:
        return {"error": "ErrorFrame", "message": errors[0], "samples": ear.samples}
    return {"samples": ear.samples, "rate_hz": ear.rates_hz.pop()}


if __name__ == "__main__":
    logger.remove()
    converse(speak)
