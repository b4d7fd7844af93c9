"""Which node of a task graph stands above which, in columns that are given by their steps.

Layers in the manner of Sugiyama, Tagawa and Toda ("Methods for visual understanding of
hierarchical system structures", IEEE SMC 1981): each column is ordered by the mean place of the
neighbours, back and forth, and the order with the fewest crossings is kept.  A link that passes a
column has a thin lane there, shared by all links from one node.  A room is one block over all
columns of its calls, so that nothing else comes to lie in it; in it calls stand in the order in
which they were submitted, and so run.

The same graph always has the same order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from paralab_profiling.graph.nodes import Graph

ROW = 32.0
GAP, TIGHT_GAP = 12.0, 8.0
"""Between two nodes of a column."""
MANY_ROWS = 7
"""Nodes in a column from which on they stand closer."""
PILE = 6.0
"""By how much the boxes behind that of folded tasks stand out, to the right and up."""
LANE = 4.0
ROOM_HEAD, ROOM_EDGE = 24.0, 10.0
ROUNDS = 12


@dataclass
class Item:
    """What has a place of its own in the order: a node, a lane, or a room with all its nodes.

    Attributes:
        height: of all of it.
        columns: its marks in each of its columns.
        key: by which it is sorted.
        y: its upper end, when it is known.
        is_room: whether it is one.
    """

    height: float
    columns: dict[int, list[int]]
    key: float
    y: float = 0.0
    is_room: bool = False


class Layers:
    """The columns of a graph with the order of what stands in them.

    Attributes:
        graph: what is laid out.
        steps: for each mark its column; marks are the nodes, then the lanes.
        height_of: for each mark.
        gap: between two marks.
        before, after: for each mark the marks that it is linked to, in the column next to its own.
        lanes: for each link the marks that it goes through.
        items: from top to bottom.
        item_of: the item that a mark belongs to.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps = [node.step for node in graph.nodes]
        self.height_of = [ROW] * len(self.steps)
        rows: dict[int, int] = defaultdict(int)
        for step in self.steps:
            rows[step] += 1
        self.gap = TIGHT_GAP if max(rows.values(), default=0) > MANY_ROWS else GAP
        self.before: list[list[int]] = [[] for _ in self.steps]
        self.after: list[list[int]] = [[] for _ in self.steps]
        self.lanes = self._make_lanes()
        self.items = self._make_items()
        self.item_of = {
            mark: item for item in self.items for column in item.columns.values() for mark in column
        }

    def _make_lanes(self) -> list[list[int]]:
        """For each link the marks it goes through: its source, lanes, its target."""
        known: dict[tuple[int, int], int] = {}
        ways: list[list[int]] = []
        joined: set[tuple[int, int]] = set()
        for link in self.graph.links:
            way = [link.source]
            for step in range(self.steps[link.source] + 1, self.steps[link.target]):
                mark = known.get((link.source, step))
                if mark is None:
                    mark = known[link.source, step] = len(self.steps)
                    self.steps.append(step)
                    self.height_of.append(LANE)
                    self.before.append([])
                    self.after.append([])
                way.append(mark)
            way.append(link.target)
            ways.append(way)
            for one, other in pairwise(way):
                if (one, other) not in joined and self.steps[one] < self.steps[other]:
                    joined.add((one, other))
                    self.after[one].append(other)
                    self.before[other].append(one)
        return ways

    def _make_items(self) -> list[Item]:
        items: dict[object, Item] = {}
        for mark, step in enumerate(self.steps):
            room = self.graph.nodes[mark].room if mark < len(self.graph.nodes) else None
            key: object = mark if room is None else ("room", room)
            item = items.setdefault(key, Item(0, {}, mark, is_room=room is not None))
            item.columns.setdefault(step, []).append(mark)
        for item in items.values():
            # Also where a room has no call nothing else lies in it.
            for step in range(min(item.columns), max(item.columns)):
                item.columns.setdefault(step, [])
            item.height = max(self.stack(marks) for marks in item.columns.values())
            if item.is_room:
                item.height += ROOM_HEAD + ROOM_EDGE
        return list(items.values())

    def room_gap(self) -> float:
        """Between two calls in a room, where an arrow has to fit."""
        return self.gap + PILE + 4

    def stack(self, marks: Sequence[int]) -> float:
        """The height of several marks in a room, one under the other."""
        return sum(self.height_of[mark] for mark in marks) + self.room_gap() * (len(marks) - 1)

    def columns(self) -> dict[int, list[Item]]:
        """The items of each column, from top to bottom."""
        columns: dict[int, list[Item]] = defaultdict(list)
        for item in self.items:
            for step in item.columns:
                columns[step].append(item)
        return columns

    def order(self) -> None:
        """Sorts the items so that few links cross."""
        best: tuple[int, list[Item]] | None = None
        last = max(self.steps, default=0)
        for turn in range(ROUNDS):
            place = self._places()
            crossings = self._crossings(place)
            if best is None or crossings < best[0]:
                best = crossings, list(self.items)
            if not crossings:
                break
            is_down = turn % 2 == 0
            for step in range(last + 1) if is_down else range(last, -1, -1):
                self._order_column(step, self.before if is_down else self.after, place)
            self.items.sort(key=lambda item: item.key)
        if best is not None:
            self.items = best[1]

    def _order_column(
        self, step: int, neighbours: Sequence[Sequence[int]], place: dict[int, float]
    ) -> None:
        column = [item for item in self.items if step in item.columns]
        for item in column:
            marks = item.columns[step]
            means = [mean_of([place[other] for other in neighbours[mark]]) for mark in marks]
            found = [mean for mean in means if mean is not None]
            found = found or [place[mark] for mark in marks]
            item.key = sum(found) / len(found) if found else item.key
        column.sort(key=lambda item: item.key)
        marks = [mark for item in column for mark in item.columns[step]]
        place.update({mark: (at + 0.5) / len(marks) for at, mark in enumerate(marks)})

    def _places(self) -> dict[int, float]:
        """For each mark where in its column it stands, between 0 and 1."""
        place: dict[int, float] = {}
        for step, column in self.columns().items():
            marks = [mark for item in column for mark in item.columns[step]]
            place.update({mark: (at + 0.5) / len(marks) for at, mark in enumerate(marks)})
        return place

    def _crossings(self, place: dict[int, float]) -> int:
        """How many pairs of links cross between neighbouring columns."""
        between: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for mark, later in enumerate(self.after):
            for other in later:
                between[self.steps[mark]].append((place[mark], place[other]))
        return sum(
            (a[0] - b[0]) * (a[1] - b[1]) < 0
            for pairs in between.values()
            for at, a in enumerate(pairs)
            for b in pairs[:at]
        )


def mean_of(numbers: Iterable[float]) -> float | None:
    found = list(numbers)
    return sum(found) / len(found) if found else None
