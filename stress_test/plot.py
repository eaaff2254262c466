"""Small SVG plots for a page without external resources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 520, 300
LEFT = 58  # margins around the axes
RIGHT = 14
TOP = 30
BOTTOM = 44
LETTER_WIDTH = 6  # approximate width of a letter in the legend
Points = Sequence[tuple[float, float]]


def ticks(maximum: float, count: int = 5) -> list[float]:
    """Return round numbers from 0 to at least `maximum`, approximately `count` of them."""
    if maximum <= 0:
        return [0.0, 1.0]
    rough = maximum / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * number for number in range(math.ceil(maximum / step - 1e-9) + 1)]


@dataclass(slots=True)
class Plot:
    """Plot with axes from 0 to the first tick above the maximum; `kind` is a mark's CSS class."""

    title: str
    x_label: str
    y_label: str
    x_max: float
    y_max: float
    _marks: list[str] = field(default_factory=list[str])
    _kinds: dict[str, str] = field(default_factory=dict[str, str])

    def line(self, points: Points, kind: str, name: str = "") -> None:
        """Add a line through points; `name`: its text in the legend."""
        self._name(kind, name)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._place, points))
        self._marks.append(f'<polyline class="{kind}" points="{path}"/>')

    def dots(self, points: Points, kind: str, name: str = "") -> None:
        """Add a dot for each point; `name`: their text in the legend."""
        self._name(kind, name)
        for x, y in map(self._place, points):
            self._marks.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>')

    def svg(self) -> str:
        """Return the plot as an SVG element."""
        title = escape(self.title)
        head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        text = f'<text class="title" x="{LEFT}" y="18">{title}</text>'
        return "".join([head, text, *self._axes(), *self._marks, *self._legend(), "</svg>"])

    def _name(self, kind: str, name: str) -> None:
        if name:
            self._kinds[kind] = name

    def _place(self, point: tuple[float, float]) -> tuple[float, float]:
        x, y = point
        across = (WIDTH - LEFT - RIGHT) * x / ticks(self.x_max)[-1]
        up = (HEIGHT - TOP - BOTTOM) * y / ticks(self.y_max)[-1]
        return LEFT + across, HEIGHT - BOTTOM - up

    def _axes(self) -> list[str]:
        parts: list[str] = []
        for value in ticks(self.x_max):
            x, y = self._place((value, 0.0))
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{y:.1f}"/>')
            parts.append(
                _text(f"{value:.4g}", f'x="{x:.1f}" y="{y + 15:.1f}" text-anchor="middle"')
            )
        for value in ticks(self.y_max):
            x, y = self._place((0.0, value))
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            parts.append(
                _text(f"{value:.4g}", f'x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end"')
            )
        middle_x, middle_y = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
        parts.append(_text(self.x_label, f'x="{middle_x}" y="{HEIGHT - 8}" text-anchor="middle"'))
        turned = f'transform="translate(13 {middle_y}) rotate(-90)" text-anchor="middle"'
        return [*parts, _text(self.y_label, turned)]

    def _legend(self) -> list[str]:
        """Build the legend on the line of the title, right-aligned."""
        parts: list[str] = []
        x = WIDTH - RIGHT
        for kind, name in reversed(self._kinds.items()):
            parts.append(_text(name, f'x="{x}" y="18" text-anchor="end"'))
            x -= LETTER_WIDTH * len(name) + 8
            parts.append(f'<circle class="{kind} key" cx="{x}" cy="14" r="4"/>')
            x -= 14
        return parts


def _text(text: str, place: str) -> str:
    return f'<text class="tick" {place}>{escape(text)}</text>'
