"""Many bars as one band: how high it is says which share of the time they covered."""

from __future__ import annotations

from collections.abc import Iterable


def band_path(
    spans: Iterable[tuple[float, float]],
    left: float,
    right: float,
    base: float,
    unit: float,
    cell: float = 1.0,
) -> str:
    """The outline of a band as SVG's path data.

    Args:
        spans: where each bar begins and ends; they may overlap, and then count as often.
        left, right: the part of the drawing that is looked at.
        base: y of nothing at all.
        unit: height of one bar that covers a cell.
        cell: width over which is averaged.
    """
    cells = band_cells(spans, left, right, cell)
    steps = "".join(f"V{base - share * unit:.1f}h{cell:g}" for share in cells)
    return f"M{left:.1f} {base:.1f}{steps}V{base:.1f}z"


def band_cells(
    spans: Iterable[tuple[float, float]], left: float, right: float, cell: float = 1.0
) -> list[float]:
    """How many bars cover each cell, on average over the cell."""
    cells = [0.0] * max(1, int((right - left) / cell + 0.999))
    for start, end in spans:
        first = max(0, int((start - left) / cell))
        last = min(len(cells) - 1, int((end - left) / cell))
        for at in range(first, last + 1):
            covered = min(end, left + (at + 1) * cell) - max(start, left + at * cell)
            cells[at] += max(0.0, covered) / cell
    return cells
