"""Lines and dots over two logarithmic axes.

A factor is the same distance everywhere, so twice the workers and twice the speed are both one
step, and "ideal" is a straight line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from paralab_profiling.svg import INK, LINE, SOFT, Drawing, escape

LABEL = 14.0
"""Distance of two labels at the right end."""
LETTER = 6.2
"""Width of a letter of the labels at the left, at most."""
EDGE = 8.0
"""Between a label and the axis, and between it and the picture's edge."""
LEVELS = 9
"""Steps that are labelled at the left, at most."""


class LogPlot:
    """Axes from ``low`` to ``high`` in both directions, in powers of two.

    Args:
        drawing: what it is drawn on.
        x_range, y_range: smallest and largest value; rounded outwards to powers of two in y.
        box: left, top, right and bottom in the units of the drawing. Left moves to the right when
            the labels need the room.
    """

    def __init__(
        self,
        drawing: Drawing,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        box: tuple[float, float, float, float],
    ) -> None:
        self._drawing = drawing
        self.left, self.top, self.right, self.bottom = box
        self._x = math.log2(x_range[0]), max(math.log2(x_range[1]), math.log2(x_range[0]) + 1e-9)
        low = math.floor(math.log2(y_range[0]))
        self._y = low, max(low + 1, math.ceil(math.log2(y_range[1]) - 1e-9))
        self._labels: list[tuple[float, str, str, str]] = []
        step = max(1, math.ceil((self._y[1] - low) / LEVELS))
        self._levels = {
            power: _times(power) for power in range(low, self._y[1] + 1) if power % step == 0
        }
        letters = max(map(len, self._levels.values()), default=0)
        self.left = max(self.left, 2 * EDGE + LETTER * letters)

    def x(self, value: float) -> float:
        """Where a value stands."""
        low, high = self._x
        return self.left + (self.right - self.left) * (math.log2(value) - low) / (high - low)

    def y(self, value: float) -> float:
        """Where a value stands; outside of the axes at their edge."""
        low, high = self._y
        share = (math.log2(value) - low) / (high - low)
        return self.bottom - (self.bottom - self.top) * min(1.0, max(0.0, share))

    def is_inside(self, value: float) -> bool:
        """Whether a value of y is on the axes."""
        return self._y[0] <= math.log2(value) <= self._y[1] + 1e-9

    def grid(self, x_marks: Sequence[tuple[float, str]], x_name: str) -> None:
        """Lines and their labels; y in "2 ×", below 1 in "1/2 ×"."""
        draw = self._drawing
        for value, label in x_marks:
            draw.line(self.x(value), self.top, self.bottom, LINE, "2 3")
            draw.text(self.x(value), self.bottom + 15, label, "s c")
        low, high = self._y
        for power in range(low, high + 1):
            y = self.y(2.0**power)
            self._level(y, LINE, 1, "2 3")
            if power in self._levels:
                draw.text(self.left - EDGE, y + 4, self._levels[power], "s e")
        draw.text((self.left + self.right) / 2, self.bottom + 31, x_name, "s c")

    def _level(self, y: float, colour: str, width: float, dash: str) -> None:
        self._drawing.raw(
            f'<line x1="{self.left:.1f}" y1="{y:.1f}" x2="{self.right:.1f}" y2="{y:.1f}"'
            f' stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"/>'
        )

    def bound(self, value: float, label: str) -> None:
        """A dotted level, labelled at its end."""
        self._level(self.y(value), SOFT, 1.2, "1 3")
        self._labels.append((self.y(value), label, "s", ""))

    def curve(
        self,
        points: Sequence[tuple[float, float]],
        label: str,
        colour: str,
        *,
        dash: str = "",
        width: float = 1.3,
    ) -> None:
        """A line through points, labelled at its end; cut where it leaves the axes."""
        path = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in self._cut(points))
        self._drawing.raw(
            f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width}"'
            + (f' stroke-dasharray="{dash}"' if dash else "")
            + f"><title>{escape(label)}</title></path>"
        )
        style = ("s", "") if dash else ("b", colour)
        self._labels.append((self.y(points[-1][1]), label, *style))

    def _cut(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """The points, with one where the line crosses the top or the bottom edge."""
        found: list[tuple[float, float]] = []
        edges = [2.0 ** self._y[0], 2.0 ** self._y[1]]
        for number, (x, y) in enumerate(points):
            if number:
                old_x, old_y = points[number - 1]
                for edge in edges if old_y < y else edges[::-1]:
                    if min(old_y, y) < edge < max(old_y, y):
                        share = math.log(edge / old_y) / math.log(y / old_y)
                        found.append((old_x * (x / old_x) ** share, edge))
            found.append((x, y))
        return found

    def dot(
        self, x: float, value: float, low: float, high: float, colour: str, tip: str
    ) -> tuple[float, float]:
        """A measured value with the bar of its interval; returns where it stands."""
        at, y = self.x(x), self.y(value)
        self._drawing.raw(
            f'<line class="interval" x1="{at:.1f}" y1="{self.y(low):.1f}" x2="{at:.1f}"'
            f' y2="{self.y(high):.1f}" stroke="{INK}" stroke-width="2"/>'
            f'<circle class="measured" cx="{at:.1f}" cy="{y:.1f}" r="5" fill="{colour}"'
            f' stroke="{INK}" stroke-width="1.5"><title>{escape(tip)}</title></circle>'
        )
        return at, y

    def end_labels(self) -> None:
        """Writes the labels of all lines at the right, none over another."""
        labels = sorted(self._labels)
        spots = [y + 4 for y, *_rest in labels]
        for at in range(1, len(spots)):
            spots[at] = max(spots[at], spots[at - 1] + LABEL)
        below = self.bottom + 8
        for at in reversed(range(len(spots))):
            spots[at] = min(spots[at], below)
            below = spots[at] - LABEL
        for spot, (_y, label, style, colour) in zip(spots, labels, strict=True):
            fill = f' style="fill:{colour}"' if colour else ""
            self._drawing.raw(
                f'<text x="{self.right + 8:.1f}" y="{spot:.1f}" class="{style}"{fill}>'
                f"{escape(label)}</text>"
            )


def _times(power: int) -> str:
    """A power of two as a factor: "4 ×", "1/64 ×", which is shorter than "0.0156 ×", and exact."""
    return f"{2**power:,} ×" if power >= 0 else f"1/{2**-power:,} ×"
