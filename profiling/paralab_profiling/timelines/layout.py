"""Where the timeline puts things: the lanes and their rows, and the outline of bands."""

from __future__ import annotations

from collections.abc import Sequence
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
