"""app/decode/scheduler.py in virtual time: its turns, without its threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from app.decode.queue import Queue
from bench.cost import CallCost
from bench.simulation.clock import Clock
from bench.simulation.stream import Stream

Second = Literal["full", "always", "never"]  # when a second batch is begun behind a running one


@dataclass(frozen=True, slots=True)
class Call:
    """A batch that the device has, or has had, in hand."""

    batch: list[Stream]
    frames: int  # of the longest window
    begun_s: float  # when the device began it
    ends_s: float


@dataclass(slots=True, eq=False)
class Device:
    """One decode thread and its device."""

    running: deque[Call] = field(default_factory=deque[Call])
    waits: Literal["for work", "for a call", "no"] = "for work"  # what its thread does
    host_free_s: float = 0.0
    free_s: float = 0.0


class Decoder:
    """Devices that share a queue. `host_s` is what the thread needs to prepare a call."""

    def __init__(
        self,
        clock: Clock,
        queue: Queue[Stream],
        cost: CallCost,
        *,
        devices: int,
        second: Second,
        host_s: float,
    ) -> None:
        self._clock, self._queue, self._cost, self._second, self._host_s = (
            clock,
            queue,
            cost,
            second,
            host_s,
        )
        self._devices = [Device() for _ in range(devices)]
        self.calls: list[Call] = []

    def push(self, stream: Stream) -> None:
        """Let a window wait, and wake a thread that waits for it."""
        self._queue.push(stream)
        for device in self._devices:
            if device.waits == "for work":
                self._plan(device, self._clock(), partial(self._turn, device))
                return
        if self._second == "always":
            for device in self._devices:
                if (
                    device.waits == "for a call"
                    and len(device.running) == 1
                    and self._clock() >= device.host_free_s
                ):
                    self._give(device, [])

    def _plan(self, device: Device, when_s: float, action: Callable[[], None]) -> None:
        device.waits = "no"
        self._clock.at(when_s, action)

    def _turn(self, device: Device) -> None:
        more = {"full": self._queue.full, "always": len(self._queue) > 0, "never": False}[
            self._second
        ]
        if len(device.running) == 2 or (device.running and not more):
            device.waits = "for a call"
            self._clock.at(device.running[0].ends_s, partial(self._collect, device))
        else:
            self._give(device, [])

    def _collect(self, device: Device) -> None:
        if self._clock() < device.host_free_s:
            self._clock.at(device.host_free_s, partial(self._collect, device))
            return
        device.waits = "no"
        self._give(device, device.running.popleft().batch)

    def _give(self, device: Device, done: list[Stream]) -> None:
        """Take the next batch, and when it has been begun answer the last one."""
        batch: list[Stream] = []
        self._queue.fill(batch)
        if not (batch or done or device.running):
            device.waits = "for work"
            return
        device.host_free_s = self._clock() + (self._host_s if batch else 0.0)
        self._clock.at(device.host_free_s, partial(self._begin, device, batch, done))

    def _begin(self, device: Device, batch: list[Stream], done: list[Stream]) -> None:
        if batch:
            frames = max(stream.open_frames() for stream in batch)
            begun_s = max(self._clock(), device.free_s)
            device.free_s = begun_s + self._cost.call_s(len(batch), frames)
            call = Call(batch, frames, begun_s, device.free_s)
            device.running.append(call)
            self.calls.append(call)
        for stream in done:
            stream.hear()
        if device.waits == "no":
            self._turn(device)
