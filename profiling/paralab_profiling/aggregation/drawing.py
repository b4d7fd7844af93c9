"""Chain and tree on one time axis: every call where and when it ran.

A call of the tree lies at the middle of the values that it covers, so lines never cross.  Above
:data:`MOST_VALUES` values there is no room for boxes: then both are drawn as how many calls ran at
once, over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paralab_profiling.aggregation.model import Call, Way
from paralab_profiling.bands import band_cells, band_path
from paralab_profiling.details import details_of
from paralab_profiling.palette import NOTEBOOK
from paralab_profiling.picture import Picture
from paralab_profiling.recording import Task
from paralab_profiling.svg import INK, SOFT, Drawing, duration, three_digits

if TYPE_CHECKING:
    from paralab_profiling.aggregation.result import Aggregation

LEFT, RIGHT = 92.0, 672.0
TOP = 62.0
MOST_VALUES = 32
MOST_RINGS = 16
BOX = 20.0
TREE_HEIGHT = 182.0
BAND = 64.0
MOST_ROWS = 60
MONO = 7.1
"""Width of one character of code."""


def draw(found: Aggregation) -> Picture:
    """Both shapes, the run of each that is nearest to the median."""
    drawing = Drawing()
    title = found.title
    drawing.headline(title, found.note)
    seconds = max(found.chain.shown_seconds, found.tree.shown_seconds, 1e-9)
    painter = _Painter(drawing, found, seconds)
    is_small = found.count <= MOST_VALUES
    middle = TOP + (76.0 if is_small and found.count <= MOST_RINGS else 48.0 if is_small else 84.0)
    bottom = middle + (painter.tree_height() if is_small else BAND + 12) + 20
    drawing.axis(seconds, LEFT, RIGHT, TOP - 6, bottom)
    if is_small:
        painter.chain(TOP + 4)
        painter.tree(middle)
    else:
        most = max(found.workers, 1)
        painter.band(found.chain, TOP + 4, most)
        painter.band(found.tree, middle, most)
    painter.ends(TOP, middle, bottom)
    y = bottom + 34
    words = [*found.predictions(), " ".join(found.correctness()), found.moved()]
    for line in words:
        drawing.text(16, y, line, "s")
        y += 16
    drawing.height = y - 4
    tasks = [*found.chain.tasks, *found.tree.tasks]
    details = details_of(tasks if is_small else (), found.recording)
    svg = drawing.finish(title, f"{found.note}. {' '.join(words)}")
    head = ("shape", "call", "level", "start in ms", "duration in ms")
    return Picture(title, repr(found), svg, head, _rows(found), drawing.id, details)


class _Painter:
    """Draws parts of both shapes on one scale."""

    def __init__(self, drawing: Drawing, found: Aggregation, seconds: float) -> None:
        self._drawing, self._found = drawing, found
        self._scale = (RIGHT - LEFT) / seconds
        self._fill = drawing.fill(NOTEBOOK.hue(found.name))
        rows = max(1, found.count / 2)
        self._pitch = max(5.0, min(26.0, TREE_HEIGHT / rows))

    def tree_height(self) -> float:
        """From the first value to the last."""
        return self._found.count / 2 * self._pitch

    def _x(self, way: Way, stamp: int) -> float:
        return LEFT + (stamp - way.block[0]) / 1e9 * self._scale

    def _head(self, way: Way, y: float) -> None:
        self._drawing.text(16, y, way.name, "m b")
        self._drawing.text(16, y + 15, f"depth {way.depth:,}", "s")

    def _call(self, way: Way, call: Call, task: Task, y: float, height: float) -> None:
        """One call: pale while it is loaded and stored, solid while the function runs."""
        draw, stamps = self._drawing, task.stamps
        left, right = self._x(way, stamps["taken"]), self._x(way, stamps["stored"])
        draw.box(left, y, right - left, height, self._fill, is_pale=True, radius=3)
        x, width = self._x(way, stamps["loaded"]), task.run_ns / 1e9 * self._scale
        is_thick = task.id in way.on_path and way.depth < len(way.calls)
        tip = f"{self._found.name} of {_values(call)}: {duration(task.run_ns / 1e9)}"
        draw.box(
            *(x, y, width, height, self._fill),
            stroke=INK if is_thick else "",
            is_thick=is_thick,
            radius=3,
            tip=tip,
            task=task.id,
        )
        words = _values(call)
        if height >= 13 and width > MONO * len(words) + 6:
            draw.text(x + width / 2, y + height / 2 + 4, words, "m c on")

    def chain(self, y: float) -> None:
        """All calls in a row, with a ring for each value."""
        way = self._found.chain
        self._head(way, y + 8)
        has_rings = self._found.count <= MOST_RINGS
        if has_rings:
            first = self._x(way, way.tasks[0].stamps["taken"])
            self._drawing.ring(first - 6, y + BOX / 2, 3.6, tip="value 1")
        for call, task in zip(way.calls, way.tasks, strict=True):
            self._call(way, call, task, y, BOX)
            if has_rings:
                x = self._x(way, task.stamps["loaded"])
                self._thin(x + 7, y + BOX + 14, x + 3, y + BOX + 1)
                self._drawing.ring(x + 7, y + BOX + 18, 3.6, tip=f"value {call.last + 1}")

    def tree(self, y: float) -> None:
        """Each call at the middle of the values that it covers, lines to what it took."""
        way = self._found.tree
        self._head(way, y + 12)
        height = min(BOX, self._pitch - 3 if self._pitch > 8 else self._pitch - 1)
        places: dict[str, tuple[float, float]] = {}
        for call, task in zip(way.calls, way.tasks, strict=True):
            at = y + ((call.first + call.last) / 2 + 0.5) * self._pitch / 2
            x = self._x(way, task.stamps["loaded"])
            for need in task.needs:
                if need in places:
                    is_path = need in way.on_path and task.id in way.on_path
                    self._elbow(*places[need], x, at, is_path)
            places[task.id] = self._x(way, task.stamps["ended"]), at
        for call, task in zip(way.calls, way.tasks, strict=True):
            self._call(way, call, task, places[task.id][1] - height / 2, height)

    def band(self, way: Way, y: float, most: int) -> None:
        """How many calls ran at once, on average in each unit of the drawing."""
        self._head(way, y + 8)
        end = LEFT + way.shown_seconds * self._scale
        spans = [
            (self._x(way, task.stamps["loaded"]), self._x(way, task.stamps["ended"]))
            for task in way.tasks
        ]
        most = max(most, round(max(band_cells(spans, LEFT, end))))
        base = y + BAND - 8
        unit = (BAND - 12) / most
        self._drawing.raw(
            f'<path class="band" d="{band_path(spans, LEFT, end, base, unit)}" fill="{self._fill}">'
            f"<title>{len(way.tasks):,} calls, how many ran at once</title></path>"
        )
        share = sum(until - start for start, until in spans) / max(end - LEFT, 1e-9)
        words = f"in the function: {three_digits(share)} calls at a time on average"
        self._drawing.text(LEFT + 6, base + 14, words, "s")
        self._drawing.text(LEFT - 6, base, "0", "s e")
        self._drawing.text(LEFT - 6, base - most * unit + 8, f"{most}", "s e")

    def ends(self, top: float, middle: float, bottom: float) -> None:
        """When each shape ended, and when the tree would have with enough workers."""
        draw, found = self._drawing, self._found
        for way, y, end in ((found.chain, top, middle - 14), (found.tree, middle, bottom - 20)):
            x = self._x(way, way.block[1])
            draw.line(x, y - 4, end, INK)
            draw.text(x + 5, y + 6, duration(way.shown_seconds), "b")
        tree = found.tree
        enough = tree.enough_workers()
        if enough > found.workers:
            x = LEFT + tree.replayed[enough] * self._scale
            draw.line(x, bottom - 16, bottom, INK, "3 2")
            words = f"{duration(tree.replayed[enough])} with {enough} or more (replayed)"
            draw.text(x + 5, bottom - 4, words, "s")

    def _thin(self, x: float, y: float, to_x: float, to_y: float) -> None:
        self._drawing.raw(
            f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="{SOFT}" fill="none"/>'
        )

    def _elbow(self, x: float, y: float, to_x: float, to_y: float, is_path: bool) -> None:
        bend = max(x, to_x - 3)
        self._drawing.raw(
            f'<path d="M{x:.1f} {y:.1f}H{bend:.1f}V{to_y:.1f}H{to_x:.1f}" fill="none"'
            f' stroke="{INK if is_path else SOFT}" stroke-width="{2.2 if is_path else 1}"/>'
        )


def _values(call: Call) -> str:
    """Which values a call covers, counted from 1."""
    return f"v{call.first + 1}–v{call.last + 1}"


def _rows(found: Aggregation) -> Sequence[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for way in (found.chain, found.tree):
        shown = list(zip(way.calls, way.tasks, strict=True))
        rows += [
            (
                way.name,
                _values(call),
                f"{call.level + 1}",
                f"{(task.stamps['loaded'] - way.block[0]) / 1e6:.3f}",
                f"{task.run_ns / 1e6:.3f}",
            )
            for call, task in shown[:MOST_ROWS]
        ]
        if len(shown) > MOST_ROWS:
            rows.append((way.name, f"+ {len(shown) - MOST_ROWS:,} more", "", "", ""))
    return rows
