"""Schedule of the windows to decode, a pure function of the frames received and the audio sent."""

from __future__ import annotations

from dataclasses import dataclass

from app.codec.spec import CodecSpec

SPEED_MARGIN = 1.25  # factor by which the engine may slow down without an underrun
LEAD_MARGIN_S = 0.05  # seconds of audio reserved for the network and the event loop

# Growth of the hop for codecs with audible boundaries: (minimum speed, growth). The speed is that
# of the engine over real time. A hop may grow by less than the speed without an underrun.
HOP_GROWTH_BY_SPEED = ((2.2, 2.0), (1.5, 1.15), (0.0, 1.0))
# Largest growth of a window under load. Larger windows cost less, since context is a smaller share
# of them, but delay other streams.
GROWTH_UNDER_LOAD = 2
SEEDED_GROWTH = 1.15  # growth for every request with a seed, so that its audio is reproducible


@dataclass(frozen=True, slots=True)
class Window:
    """Frames [start, stop) to decode, of which [begin, end) are new audio."""

    start: int
    begin: int
    end: int
    stop: int
    last: bool


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """Constants of a request, in frames. `growth` None: chosen by speed after the first window."""

    first_hop: int
    max_hop: int
    left: int
    right: int
    seamless: bool
    growth: float | None = None


@dataclass(frozen=True, slots=True)
class StreamProgress:
    """Engine speed and playback lead after a window."""

    frames: int  # frames received so far
    s_per_frame: float  # measured time between the arrivals of two frames
    frame_s: float  # audio in a frame
    lead_s: float  # audio that the client has not played yet
    decode_s: float  # time to decode the last window, including the queue


def plan_windows(
    spec: CodecSpec,
    *,
    first_window_s: float,
    overlap_s: float,
    whole: bool = False,
    seeded: bool = False,
) -> WindowPlan:
    """Return the plan of a request for a codec.

    The audio of a seamless codec does not depend on the overlap, so it gets only its own context,
    as look-ahead is delay. The overlap is clamped to leave a quarter of the largest window for new
    audio, and the first hop to the largest window without context. There is at least one frame of
    look-ahead, since the last window could be empty without it. `whole` requests the largest
    windows throughout, for a response that is not streamed. `seeded` requests a growth that does
    not depend on timing.
    """
    max_window = spec.max_window_frames
    overlap = 0 if spec.seamless else round(overlap_s * spec.frames_per_s)
    room = max_window - max(1, max_window // 4)
    right = max(1, spec.right_context_frames, min(overlap, room - spec.left_context_frames))
    left = max(spec.left_context_frames, min(overlap, room - right))
    max_hop = max(1, max_window - left - right)
    first_hop = min(max_hop, max(1, round(first_window_s * spec.frames_per_s)))
    return WindowPlan(
        first_hop=max_hop if whole else first_hop,
        max_hop=max_hop,
        left=left,
        right=right,
        seamless=spec.seamless,
        growth=SEEDED_GROWTH if seeded else None,
    )


class WindowSchedule:
    """Schedule of windows that cover every frame exactly once."""

    def __init__(self, plan: WindowPlan) -> None:
        self._plan = plan
        self._growth = plan.growth
        self._hop = self._max_hop = plan.first_hop
        self._decoded: int = 0  # frames of the last window
        self._new: int = 0  # frames of the last window without context
        self.done = 0  # frames decoded as new audio
        self.finished = False

    @property
    def frames_needed(self) -> int:
        """Frames that must have arrived before the next window is decoded, unless the codes end."""
        return self.done + self._hop + self._plan.right

    @property
    def min_frames_needed(self) -> int:
        """Frames that are enough for the next window if the client would underrun.

        A seamless codec's window may end anywhere, so its first hop is enough.
        """
        hop = min(self._hop, self._plan.first_hop) if self._plan.seamless else self._hop
        return self.done + hop + self._plan.right

    @property
    def next_frames(self) -> tuple[int, float, int]:
        """New frames of the next window, growth of later ones and their maximum, under load."""
        plan = self._plan
        if plan.seamless:
            return plan.first_hop, GROWTH_UNDER_LOAD, plan.max_hop
        return self._hop, self._growth or HOP_GROWTH_BY_SPEED[0][1], plan.max_hop

    def start(self) -> None:
        """Start another run of frames at 0. The windows keep their size."""
        self.done, self.finished = 0, False

    def restart(self) -> None:
        """Make windows as small as the first, because the client waits again."""
        self._hop = self._max_hop = self._plan.first_hop
        self._new = 0

    def take(self, available: int, *, ended: bool, under_load: bool = False) -> Window:
        """Return the next window.

        `available` frames have arrived. They reach `frames_needed`, unless the codes have `ended`.

        A seamless codec's boundaries are inaudible, so its window takes all frames that have
        arrived, limited by the playback lead, and with `under_load` by twice the previous window.
        Other windows take exactly one hop, with `under_load` and without a seed up to twice the
        previous window if as much has arrived. The first window is the plan's first hop, even if
        more frames have arrived, because the client waits for it.
        """
        plan = self._plan
        hop = self._max_hop if plan.seamless else self._hop
        if under_load:
            doubled = max(plan.first_hop, GROWTH_UNDER_LOAD * self._new)
            if plan.seamless:
                hop = min(hop, doubled)
            elif plan.growth is None:
                hop = min(plan.max_hop, max(hop, doubled))
        end = min(self.done + hop, max(available - plan.right, self.done))
        last = ended and self.done + hop + plan.right > available
        if last:
            end = available
        window = Window(
            max(0, self.done - plan.left),
            self.done,
            end,
            available if last else end + plan.right,
            last,
        )
        self.finished = last
        self._decoded = window.stop - window.start
        self._new = end - self.done
        self.done = end
        return window

    def update(self, progress: StreamProgress) -> None:
        """Choose the next hop after a window has been sent."""
        plan = self._plan
        if plan.seamless:
            self._fit_to_buffer(progress)
            return
        if self._growth is None:
            cost_s = progress.decode_s / self._decoded  # decode time of a frame, also of the growth
            self._growth = next(
                growth
                for min_speed, growth in HOP_GROWTH_BY_SPEED
                if min_speed * progress.s_per_frame + (growth - 1) * cost_s <= progress.frame_s
            )
        self._hop = min(plan.max_hop, round(self._hop * self._growth))

    def _fit_to_buffer(self, progress: StreamProgress) -> None:
        """Choose the largest hop with `wait + decode + LEAD_MARGIN_S <= lead`.

        Both times are in proportion to the hop's frames.
        """
        plan = self._plan
        wait_s = max(progress.s_per_frame * SPEED_MARGIN, 1e-6)
        cost_s = max(progress.decode_s / self._decoded, 1e-6)
        spare_s = progress.lead_s - LEAD_MARGIN_S - (plan.left + plan.right) * cost_s
        arrived = progress.frames - plan.right - self.done
        max_hop = spare_s / cost_s
        hop = min(max_hop, (spare_s + arrived * wait_s) / (wait_s + cost_s))
        if max_hop < plan.first_hop:  # already too late: large windows catch up fastest
            max_hop, hop = plan.max_hop, arrived
        self._max_hop = min(plan.max_hop, max(plan.first_hop, int(max_hop)))
        self._hop = min(plan.max_hop, max(plan.first_hop, int(hop)))
