"""Which frames to decode next: a pure schedule over what has arrived and what has been spoken."""

from __future__ import annotations

from dataclasses import dataclass

SPEED_MARGIN = 1.25  # the engine may slow down by this much before a listener notices
LEAD_MARGIN_S = 0.05  # kept in hand for the network and the event loop

# Ladders for codecs whose boundaries can be heard: (least pace, growth of the hop). A pace is engine
# speed over real time; a hop may grow by less than the pace without the listener running dry.
LADDERS = ((2.2, 2.0), (1.5, 1.15), (0.0, 1.0))
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

    The first hop is clamped to the largest window less context. `whole` asks for the largest
    windows throughout (nobody listens yet); `seeded` for a ladder that does not depend on timing.
    """
    overlap = round(overlap_s * frames_per_s)
    left, right = max(left, overlap), max(right, overlap)
    max_hop = max(1, max_window - left - right)
    first_hop = max_hop if whole else min(max_hop, max(1, round(first_window_s * frames_per_s)))
    return WindowPlan(first_hop, max_hop, left, right, exact, SEEDED_GROWTH if seeded else None)


class WindowSchedule:
    """Hands out windows that cover every frame exactly once."""

    def __init__(self, plan: WindowPlan) -> None:
        self._plan = plan
        self._growth = plan.growth
        self._hop = plan.first_hop
        self.done = 0
        self.finished = False

    @property
    def wanted(self) -> int:
        """Frames that must have arrived (or the end) before the next window is worth decoding."""
        return self.done + self._hop + self._plan.right

    def take(self, available: int, *, ended: bool) -> Window:
        """The next window over `available` frames, which must reach `wanted` unless `ended`.

        Where boundaries cannot be heard (an exact codec) it takes all that has arrived, up to the
        largest hop; otherwise exactly one step of the ladder, whatever has arrived meanwhile.
        """
        plan = self._plan
        hop = plan.max_hop if plan.exact else self._hop
        end = min(self.done + hop, max(available - plan.right, self.done))
        last = ended and self.done + hop + plan.right > available
        if last:
            end = available
        window = Window(max(0, self.done - plan.left), self.done, end, available if last else end + plan.right, last)
        self.done, self.finished = end, last
        return window

    def grow(self, supply: Supply) -> None:
        """Choose the next hop after a window has been sent."""
        plan = self._plan
        if plan.exact:
            spare_s = supply.lead_s - supply.decode_s - LEAD_MARGIN_S
            waited = spare_s / max(supply.s_per_frame * SPEED_MARGIN, 1e-6)
            hop = supply.frames - plan.right - self.done + int(max(0.0, min(waited, plan.max_hop)))
            self._hop = min(plan.max_hop, max(plan.first_hop, hop))
            return
        if self._growth is None:
            pace = supply.frame_s / max(supply.s_per_frame, 1e-6)
            self._growth = next(growth for least, growth in LADDERS if pace >= least)
        self._hop = min(plan.max_hop, round(self._hop * self._growth))
