"""One simulated minute of service, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from app.codec import CodecSpec
from app.decode.queue import BatchLimits, Queue
from app.speech.windows import WindowPlan
from bench.cost import CPU_BF16, H200_GRAPHED, SPEC, CallCost
from bench.load_shape import answer_s
from bench.policies import Policy, make_queue
from bench.simulation.clock import Clock
from bench.simulation.decoder import Call, Decoder, Second
from bench.simulation.engine import Engine, Pace
from bench.simulation.stream import Stream
from stress_test.arrivals import poisson_arrivals

QueueMaker = Callable[[BatchLimits, Clock], Queue[Stream]]


@dataclass(frozen=True, slots=True)
class Case:
    """What is simulated: `streams` that ask again when they are answered, or `requests_per_s` (one of the two is 0).

    Requests begin during `seconds`; those of the first `warm_up_s` are not counted.
    """

    streams: int = 0
    requests_per_s: float = 0.0
    policy: Policy = "deadline"
    cost: CallCost = H200_GRAPHED
    seconds: float = 60.0
    warm_up_s: float = 10.0
    seed: int = 0
    first_window_s: float = 0.4
    overlap_s: float = 0.2
    left_context_frames: int = 150
    max_window_frames: int = 384
    batch_windows: int = 32
    padded_frames: int | None = None
    own_calls: bool = (
        True  # BatchLimits.call_frames as the cost has it; False: any lengths share a call
    )
    devices: int = 1
    second: Second = "full"
    host_s: float = 0.0003  # assumed: batch and results are copied
    pace: Pace = field(default_factory=Pace)

    @property
    def spec(self) -> CodecSpec:
        """The codec's."""
        return replace(
            SPEC,
            left_context_frames=self.left_context_frames,
            max_window_frames=self.max_window_frames,
        )

    @property
    def plan(self) -> WindowPlan:
        """Every request's."""
        return self.spec.plan(self.first_window_s, self.overlap_s)

    @property
    def limits(self) -> BatchLimits:
        """Every call's."""
        call_frames = self.cost.call_frames if self.own_calls else None
        return BatchLimits(
            self.batch_windows, self.padded_frames, self.cost.frame_steps, call_frames
        )


def on_cpu(case: Case, left_context_frames: int = 50, max_window_frames: int = 384) -> Case:
    """The case on two decode workers, as the service starts them on a CPU."""
    return replace(
        case,
        cost=CPU_BF16,
        devices=2,
        second="never",
        padded_frames=128,
        own_calls=False,
        left_context_frames=left_context_frames,
        max_window_frames=max_window_frames,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Times in ms; "added": from the arrival of the tokens that the first window needs to the first write."""

    answers: int
    ttfa_ms_p50: float
    ttfa_ms_p99: float
    added_ms_p50: float
    added_ms_p99: float
    underruns_per_stream: float
    streams_with_underrun: float
    audio_s_per_s: float
    batch_mean: float
    calls_per_s: float
    busy: float  # share of the time in which the devices computed


def simulate(case: Case, queue: QueueMaker | None = None) -> Outcome:
    """Simulate a case; `queue` in the place of its policy's."""
    streams, calls = run(case, queue)
    return _outcome(case, streams, calls)


def run(case: Case, queue: QueueMaker | None = None) -> tuple[list[Stream], list[Call]]:
    """Every stream and every decode call of a case, once all has been answered."""
    rng, clock = np.random.default_rng(case.seed), Clock()
    waiting: Queue[Stream] = (
        queue(case.limits, clock) if queue else make_queue(case.policy, case.limits, clock)
    )
    decoder = Decoder(
        clock, waiting, case.cost, devices=case.devices, second=case.second, host_s=case.host_s
    )
    engine, streams, plan, spec = Engine(clock, case.pace), list[Stream](), case.plan, case.spec

    def ask() -> None:
        if clock() < case.seconds:
            streams.append(
                Stream(clock, plan, spec, decoder.push, ask if case.streams else _nothing)
            )
            engine.generate(streams[-1], round(answer_s(rng) * spec.frames_per_s))

    begins: list[float] = rng.uniform(0, case.warm_up_s / 2, case.streams).tolist()
    begins += poisson_arrivals(rng, case.requests_per_s, case.seconds)
    for begin_s in begins:
        clock.at(begin_s, ask)
    clock.run()
    return streams, decoder.calls


def _nothing() -> None:
    """Who asks once does not ask again."""


def _outcome(case: Case, streams: Sequence[Stream], calls: Sequence[Call]) -> Outcome:
    counted = [stream for stream in streams if stream.begun_s >= case.warm_up_s]
    span_s = case.seconds - case.warm_up_s
    within = [call for call in calls if case.warm_up_s <= call.begun_s < case.seconds]
    sent_s = [
        audio_s
        for stream in streams
        for at_s, audio_s in stream.sent
        if case.warm_up_s <= at_s < case.seconds
    ]
    ttfa_ms = [1000 * (stream.first_write_s - stream.begun_s) for stream in counted]
    added_ms = [1000 * (stream.first_write_s - stream.first_asked_s) for stream in counted]
    underruns = np.array([stream.underruns for stream in counted])
    return Outcome(
        answers=len(counted),
        ttfa_ms_p50=float(np.quantile(ttfa_ms, 0.5)),
        ttfa_ms_p99=float(np.quantile(ttfa_ms, 0.99)),
        added_ms_p50=float(np.quantile(added_ms, 0.5)),
        added_ms_p99=float(np.quantile(added_ms, 0.99)),
        underruns_per_stream=float(underruns.mean()),
        streams_with_underrun=float((underruns > 0).mean()),
        audio_s_per_s=sum(sent_s) / span_s,
        batch_mean=sum(len(call.batch) for call in within) / max(1, len(within)),
        calls_per_s=len(within) / span_s,
        busy=sum(call.ends_s - call.begun_s for call in within) / span_s / case.devices,
    )
