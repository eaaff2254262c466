"""One request in virtual time: app/pipeline.py's speaker and app/listener.py's count of what the client has."""

from __future__ import annotations

from collections.abc import Callable

from app.codec import CodecSpec
from app.listener import FIRST_WINDOW_TARGET_S
from app.speech.fade import FADE_OUT_S
from app.speech.windows import Supply, Window, WindowPlan, WindowSchedule
from bench.simulation.clock import Clock


class Stream:
    """A request, a listener, and (`Waiting`) the one window of it that can wait for a device."""

    dropped = False

    def __init__(
        self,
        clock: Clock,
        plan: WindowPlan,
        spec: CodecSpec,
        push: Callable[[Stream], None],
        on_end: Callable[[], None],
    ) -> None:
        self._clock, self._spec, self._push, self._on_end = clock, spec, push, on_end
        self._schedule = WindowSchedule(plan)
        self._frames = self._first_frames = 0
        self._first_s = self._latest_s = 0.0
        self._ended = False
        self._window: Window | None = None
        self._asked_s: float | None = None  # None: no window waits
        self.begun_s = clock()
        self.first_asked_s = self.first_write_s = 0.0
        self.deadline_s = 0.0
        self.windows: list[Window] = []
        self.sent: list[tuple[float, float]] = []  # when, and how many seconds of sound
        self.underruns = 0

    @property
    def audio_s(self) -> float:
        """Seconds of sound sent."""
        return self._schedule.done / self._spec.frames_per_s - (
            0 if self._schedule.finished else FADE_OUT_S
        )

    @property
    def _lead_s(self) -> float:
        return self.audio_s - (self._clock() - self.first_write_s)

    def feed(self, tokens: int, *, ended: bool) -> None:
        """Tokens have arrived."""
        self._latest_s = self._clock()
        if not self._frames:
            self._first_frames, self._first_s = tokens, self._latest_s
        self._frames += tokens
        self._ended = ended
        self._ask()

    def open_frames(self) -> int:
        """Choose the window, if it has not been chosen, and say how many frames it has."""
        if self._window is None:
            self._window = self._schedule.take(self._frames, ended=self._ended)
        return self._window.stop - self._window.start

    def hear(self) -> None:
        """The window has been decoded: send it, and ask for the next."""
        assert self._window is not None and self._asked_s is not None
        self._send(self._window)
        decode_s, self._window, self._asked_s = self._clock() - self._asked_s, None, None
        if self._schedule.finished:
            self._on_end()
            return
        later = self._frames - self._first_frames
        self._schedule.grow(
            Supply(
                frames=self._frames,
                s_per_frame=(self._latest_s - self._first_s) / later if later else 0.0,
                frame_s=1 / self._spec.frames_per_s,
                lead_s=self._lead_s,
                decode_s=decode_s,
            )
        )
        self._ask()

    def _ask(self) -> None:
        if self._asked_s is not None or (self._frames < self._schedule.wanted and not self._ended):
            return
        self._asked_s = self._clock()
        if self.sent:
            self.deadline_s = self._asked_s + self._lead_s
        else:
            self.first_asked_s = self._asked_s
            self.deadline_s = self.begun_s + FIRST_WINDOW_TARGET_S
        self._push(self)

    def _send(self, window: Window) -> None:
        now_s = self._clock()
        before_s = sum(audio_s for _, audio_s in self.sent)
        if self.sent:
            self.underruns += before_s < now_s - self.first_write_s
        else:
            self.first_write_s = now_s
        self.windows.append(window)
        self.sent.append((now_s, self.audio_s - before_s))
