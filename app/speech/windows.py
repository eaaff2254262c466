"""Which frames to decode next: a pure schedule over what has arrived and what has been spoken."""

from __future__ import annotations

from dataclasses import dataclass

SPEED_MARGIN = 1.25  # the engine may slow down by this much before a listener notices
LEAD_MARGIN_S = 0.05  # kept in hand for the network and the event loop

# Ladders for codecs whose boundaries can be heard: (least pace, growth of the hop). A pace is engine
# speed over real time; a hop may grow by less than the pace without the listener running dry.
LADDERS = ((2.2, 2.0), (1.5, 1.15), (0.0, 1.0))
GROWTH_WHEN_PRESSED = (
    2  # of an exact codec's windows: larger ones cost less, and keep other streams waiting
)
SEEDED_GROWTH = 1.15  # one ladder for every request with a seed, so that its sound is reproducible


@dataclass(frozen=True, slots=True)
class Window:
    """Frames [start, stop) are decoded; [begin, end) of them are new sound."""

    start: int
    begin: int
    end: int
    stop: int
    last: bool


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """A request's constants, in frames. `growth` None: chosen at the first window by the pace."""

    first_hop: int
    max_hop: int
    left: int
    right: int
    exact: bool
    growth: float | None = None


@dataclass(frozen=True, slots=True)
class Supply:
    """What is known after a window: the engine's speed, and how long the listener can wait."""

    frames: int  # arrived so far
    s_per_frame: float  # observed time between two frames' arrivals
    frame_s: float  # sound in a frame
    lead_s: float  # sound that the listener has not heard yet
    decode_s: float  # what a window costs


def plan_windows(
    *,
    first_window_s: float,
    overlap_s: float,
    frames_per_s: float,
    left: int,
    right: int,
    max_window: int,
    exact: bool,
    whole: bool = False,
    seeded: bool = False,
) -> WindowPlan:
    """The plan of a request; `left` and `right` are the codec's own least context.

    An exact codec sounds the same with any overlap, so it gets none beyond its own: look-ahead is
    delay. The overlap is clamped so that a quarter of the largest window is left for new sound, the first
    hop to the largest window less context. One frame of look-ahead is the least: without it a last
    window could be empty. `whole` asks for the largest windows throughout (nobody listens yet);
    `seeded` for a ladder that does not depend on timing.
    """
    overlap = 0 if exact else round(overlap_s * frames_per_s)
    room = max_window - max(1, max_window // 4)
    right = max(1, right, min(overlap, room - left))
    left = max(left, min(overlap, room - right))
    max_hop = max(1, max_window - left - right)
    first_hop = max_hop if whole else min(max_hop, max(1, round(first_window_s * frames_per_s)))
    return WindowPlan(first_hop, max_hop, left, right, exact, SEEDED_GROWTH if seeded else None)


class WindowSchedule:
    """Hands out windows that cover every frame exactly once."""

    def __init__(self, plan: WindowPlan) -> None:
        self._plan = plan
        self._growth = plan.growth
        self._hop = self._most = plan.first_hop
        self._decoded = self._new = 0  # frames of the last window, with context and without
        self.done = 0
        self.finished = False

    @property
    def wanted(self) -> int:
        """Frames that must have arrived (or the end) before the next window is worth decoding."""
        return self.done + self._hop + self._plan.right

    @property
    def least_wanted(self) -> int:
        """Frames of which a client that runs dry cannot await more: an exact codec's window may be cut anywhere."""
        hop = min(self._hop, self._plan.first_hop) if self._plan.exact else self._hop
        return self.done + hop + self._plan.right

    @property
    def coming(self) -> tuple[int, float, int]:
        """New frames of the next window, the growth of those behind it, and the most: for a stream that is pressed."""
        plan = self._plan
        if plan.exact:
            return plan.first_hop, GROWTH_WHEN_PRESSED, plan.max_hop
        return self._hop, self._growth or LADDERS[0][1], plan.max_hop

    def begin(self) -> None:
        """Another run of frames, from 0 on; the windows stay as large as they have become."""
        self.done, self.finished = 0, False

    def restart(self) -> None:
        """Windows as small as the first: somebody waits again."""
        self._hop = self._most = self._plan.first_hop

    def take(self, available: int, *, ended: bool, pressed: bool = False) -> Window:
        """The next window over `available` frames, which must reach `wanted` unless `ended`.

        Where boundaries cannot be heard (an exact codec) it takes all that has arrived, up to what
        the listener can wait for, or twice as much as before where others wait (`pressed`); otherwise exactly one step
        of the ladder. The first window is
        the plan's first hop, whatever has arrived, because somebody waits for it.
        """
        plan = self._plan
        hop = self._most if plan.exact else self._hop
        if plan.exact and pressed:
            hop = min(hop, max(plan.first_hop, GROWTH_WHEN_PRESSED * self._new))
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
        self.finished, self._decoded, self._new = last, window.stop - window.start, end - self.done
        self.done = end
        return window

    def grow(self, supply: Supply) -> None:
        """Choose the next hop after a window has been sent."""
        plan = self._plan
        if plan.exact:
            self._afford(supply)
            return
        if self._growth is None:
            cost_s = supply.decode_s / self._decoded  # a hop that grows pays for its growth
            self._growth = next(
                growth
                for least, growth in LADDERS
                if least * supply.s_per_frame + (growth - 1) * cost_s <= supply.frame_s
            )
        self._hop = min(plan.max_hop, round(self._hop * self._growth))

    def _afford(self, supply: Supply) -> None:
        """The largest hop that keeps `wait + decode + LEAD_MARGIN_S <= lead`, both in proportion to its frames."""
        plan = self._plan
        wait_s = max(supply.s_per_frame * SPEED_MARGIN, 1e-6)
        cost_s = max(supply.decode_s / self._decoded, 1e-6)
        spare_s = supply.lead_s - LEAD_MARGIN_S - (plan.left + plan.right) * cost_s
        arrived = supply.frames - plan.right - self.done
        most = spare_s / cost_s
        hop = min(most, (spare_s + arrived * wait_s) / (wait_s + cost_s))
        if most < plan.first_hop:  # too late already: large windows catch up soonest
            most, hop = plan.max_hop, arrived
        self._most, self._hop = (
            min(plan.max_hop, max(plan.first_hop, int(value))) for value in (most, hop)
        )
