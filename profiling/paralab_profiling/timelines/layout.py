"""Where the timeline puts things: the lanes and their rows, and the outline of bands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from paralab_profiling.timelines.lanes import Lane
from paralab_profiling.timelines.spans import Span

LEFT, RIGHT, TOP = 128.0, 672.0, 60.0
"""Where the time axis begins and ends, and the top of the first lane."""
BINS = 184
"""Parts of the time axis, of each of which a band shows a share."""
BIN = (RIGHT - LEFT) / BINS
"""Width of one part."""


LETTERS = 7.5
"""Half the height that a label needs to itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lane is drawn; ``rows`` is 0 if its tasks are too many at once for rows."""

    y: float
    height: float
    rows: int

    def row(self, row: int) -> tuple[float, float]:
        """(y, height) of a row."""
        if self.rows < 2:
            return self.y, self.height
        pitch = self.height / self.rows
        return self.y + row * pitch, pitch - 1


def band_path(shares: Sequence[float], y: float, height: float) -> str:
    """The outline of a shape on the base line ``y + height``; "" if all shares are 0.

    Args:
        shares: 0 to 1, one for each of the :data:`BINS`; what is not 0 can be seen.
        y, height: of what a share of 1 fills.
    """
    heights = [max(1, round(share * height)) if share > 0 else 0 for share in shares]
    path, at = "", 0
    for high, run in groupby(heights):
        count = len(list(run))
        if high:
            path += f"M{LEFT + at * BIN:g} {y + height:g}v-{high}h{count * BIN:g}v{high}z"
        at += count
    return path


def places_of(lanes: Sequence[Lane]) -> list[Place]:
    """Where each lane goes: high ones if there are few, with as many rows as there is room for."""
    high, gap, most = (28.0, 8.0, 6) if len(lanes) <= 7 else (20.0, 6.0, 2)
    places = []
    y = TOP
    for lane in lanes:
        rows = lane.rows if lane.rows <= most else 0
        height = max(high, rows * 13.0 if rows else 30.0)
        places.append(Place(y, height, rows))
        y += height + gap
    return places


def widest(shares: Sequence[float], ns: int) -> Span:
    """The longest time in which none of some shares is 0."""
    best, at = (0, 0), 0
    for is_there, run in groupby(shares, bool):
        count = len(list(run))
        if is_there and count > best[1] - best[0]:
            best = at, at + count
        at += count
    return best[0] * ns // len(shares), best[1] * ns // len(shares)


def points_of(x: float, y: float, to_x: float, to_y: float) -> Iterator[tuple[float, float]]:
    """Points on the curve of :meth:`Drawing.arrow`."""
    bend = max(12.0, abs(to_x - x) / 2)
    steps = 4 + int((abs(to_x - x) + abs(to_y - y)) / 4)
    for step in range(steps + 1):
        t = step / steps
        ends, sides = (1 - t) ** 3, 3 * t * (1 - t) ** 2
        other_sides, other_ends = 3 * t**2 * (1 - t), t**3
        yield (
            ends * x + sides * (x + bend) + other_sides * (to_x - bend) + other_ends * to_x,
            (ends + sides) * y + (other_sides + other_ends) * to_y,
        )


def clear_of(
    points: Sequence[tuple[float, float]], left: float, right: float, y: float, wide: float
) -> float:
    """The middle of a label of some width, nearest to the middle of where it may be.

    Args:
        points: through which lines go that it should not lie on, if there is room elsewhere.
        left, right: between which it has to stay.
        y: of its middle.
        wide: its width.
    """
    middle, half = (left + right) / 2, wide / 2 + 3
    near = [x for x, at in points if abs(at - y) < LETTERS]
    free = max(0.0, (right - left) / 2 - half)
    shifts = [sign * step * free / 20 for step in range(21) for sign in (1, -1)]
    for shift in shifts:
        if all(abs(x - middle - shift) > half for x in near):
            return middle + shift
    return middle
