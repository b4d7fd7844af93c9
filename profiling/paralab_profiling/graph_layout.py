"""Where the nodes of a task graph stand: in columns by their step, from left to right.

Layers in the manner of Sugiyama, Tagawa and Toda ("Methods for visual understanding of
hierarchical system structures", IEEE SMC 1981): columns are given, each column is ordered by the
mean place of the neighbours, back and forth, and the order with the fewest crossings is kept.  A
link that passes a column has a thin lane there, shared by all links from one node.  A room is one
block over all columns of its calls, so that nothing else comes to lie in it.  In the end each
node moves to the mean height of its neighbours, as far as order and distance let it: in a column
that is a least-squares fit with a given order, solved by pooling (Ayer and others, 1955).

The same graph always gives the same picture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from paralab_profiling.graph import Graph

ROW = 32.0
GAP, TIGHT_GAP = 12.0, 8.0
MANY_ROWS = 7
"""Nodes in a column from which on they stand closer."""
LANE = 4.0
ROOM_HEAD, ROOM_EDGE = 24.0, 10.0
ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Half its height."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Layout:
    """Where everything stands.

    Attributes:
        nodes: for each node of the graph.
        rooms: by the number of the room; one in which nothing lies is missing.
        routes: for each link the points that it goes through, from its source to its target; none
            if it cannot be drawn.
        width, height: of all.
    """

    nodes: tuple[Place, ...]
    rooms: dict[int, Place]
    routes: tuple[tuple[tuple[float, float], ...], ...]
    width: float
    height: float


@dataclass
class _Item:
    """What has a place of its own in the order: a node, a lane, or a room with all its nodes."""

    height: float
    columns: dict[int, list[int]]
    key: float
    y: float = 0.0
    is_room: bool = False


def lay_out(
    graph: Graph, widths: Sequence[float], room_widths: Sequence[float], space: float
) -> Layout:
    """Places for all nodes, rooms and links of a graph.

    Args:
        graph: folded, so that it has at most a few hundred nodes.
        widths: of the nodes.
        room_widths: least widths of the rooms, by their number.
        space: how wide it should be; it is wider if there is no other way.
    """
    return _Layers(graph).layout(widths, room_widths, space)


class _Layers:
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

    def _make_items(self) -> list[_Item]:
        items: dict[object, _Item] = {}
        for mark, step in enumerate(self.steps):
            room = self.graph.nodes[mark].room if mark < len(self.graph.nodes) else None
            key: object = mark if room is None else ("room", room)
            item = items.setdefault(key, _Item(0, {}, mark, is_room=room is not None))
            item.columns.setdefault(step, []).append(mark)
        for item in items.values():
            # Also where a room has no call nothing else lies in it.
            for step in range(min(item.columns), max(item.columns)):
                item.columns.setdefault(step, [])
            item.height = max(self._stack(marks) for marks in item.columns.values())
            if item.is_room:
                item.height += ROOM_HEAD + ROOM_EDGE
        return list(items.values())

    def _room_gap(self) -> float:
        return self.gap + 4

    def _stack(self, marks: Sequence[int]) -> float:
        return sum(self.height_of[mark] for mark in marks) + self._room_gap() * (len(marks) - 1)

    def _columns(self) -> dict[int, list[_Item]]:
        columns: dict[int, list[_Item]] = defaultdict(list)
        for item in self.items:
            for step in item.columns:
                columns[step].append(item)
        return columns

    def order(self) -> None:
        """Sorts the items, and the nodes in rooms, so that few links cross."""
        best: tuple[int, list[tuple[_Item, dict[int, list[int]]]]] | None = None
        last = max(self.steps, default=0)
        for turn in range(ROUNDS):
            place = self._places()
            crossings = self._crossings(place)
            if best is None or crossings < best[0]:
                kept = [
                    (item, {step: list(marks) for step, marks in item.columns.items()})
                    for item in self.items
                ]
                best = crossings, kept
            if not crossings:
                break
            is_down = turn % 2 == 0
            for step in range(last + 1) if is_down else range(last, -1, -1):
                self._order_column(step, self.before if is_down else self.after, place)
            self.items.sort(key=lambda item: item.key)
        if best is not None:
            self.items = [item for item, _columns in best[1]]
            for item, columns in best[1]:
                item.columns = columns

    def _order_column(
        self, step: int, neighbours: Sequence[Sequence[int]], place: dict[int, float]
    ) -> None:
        column = [item for item in self.items if step in item.columns]
        for item in column:
            marks = item.columns[step]
            means = {mark: _mean([place[other] for other in neighbours[mark]]) for mark in marks}
            marks.sort(key=lambda mark: _or(means[mark], place[mark]))
            found = [mean for mean in means.values() if mean is not None]
            if found or marks:
                found = found or [place[mark] for mark in marks]
                item.key = sum(found) / len(found)
        column.sort(key=lambda item: item.key)
        marks = [mark for item in column for mark in item.columns[step]]
        place.update({mark: (at + 0.5) / len(marks) for at, mark in enumerate(marks)})

    def _places(self) -> dict[int, float]:
        """For each mark where in its column it stands, between 0 and 1."""
        place: dict[int, float] = {}
        for step, column in self._columns().items():
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

    def heights(self) -> float:
        """Gives each item its height on the page; returns the height of all."""
        bottoms: dict[int, float] = defaultdict(float)
        for item in self.items:
            item.y = max(bottoms[step] for step in item.columns)
            for step in item.columns:
                bottoms[step] = item.y + item.height + self.gap
        height = max(bottoms.values(), default=0.0) - self.gap
        columns = self._columns()
        for turn in range(ROUNDS):
            for step in sorted(columns, reverse=turn % 2 == 1):
                self._align(columns[step], height)
            for item in self.items if turn % 2 else reversed(self.items):
                if item.is_room:
                    self._move_room(item, columns, height)
        return height

    def _align(self, column: Sequence[_Item], height: float) -> None:
        """Moves the free nodes of a column, between its rooms, to where they would like to be."""
        top, free = 0.0, list[_Item]()
        for item in [*column, None]:
            if item is not None and not item.is_room:
                free.append(item)
                continue
            bottom = height if item is None else item.y - self.gap
            wanted = [self._wanted(each) for each in free]
            heights = [each.height for each in free]
            for each, y in zip(free, spread(wanted, heights, self.gap, top, bottom), strict=True):
                each.y = y
            if item is not None:
                top, free = item.y + item.height + self.gap, []

    def _wanted(self, item: _Item) -> float:
        """Where its middle would be nearest to its neighbours; as it is if it has none."""
        found: list[float] = []
        for marks in item.columns.values():
            for mark in marks:
                at = self._middle(mark) - item.y
                sides = [
                    [self._middle(other) - at for other in side if self.item_of[other] is not item]
                    for side in (self.before[mark], self.after[mark])
                ]
                # So that a tree is even: what has several inputs stands in their middle.
                most = max(len(side) for side in sides)
                found += [y for side in sides if len(side) == most for y in side]
        mean = _mean(found)
        return item.y if mean is None else mean

    def _move_room(self, room: _Item, columns: dict[int, list[_Item]], height: float) -> None:
        low, high = 0.0, height - room.height
        for step in room.columns:
            column = columns[step]
            at = next(number for number, item in enumerate(column) if item is room)
            if at:
                low = max(low, column[at - 1].y + column[at - 1].height + self.gap)
            if at + 1 < len(column):
                high = min(high, column[at + 1].y - self.gap - room.height)
        room.y = max(low, min(high, self._wanted(room)))

    def _middle(self, mark: int) -> float:
        """At which height a mark stands."""
        item = self.item_of[mark]
        if not item.is_room:
            return item.y + item.height / 2
        marks = item.columns[self.steps[mark]]
        body = item.height - ROOM_HEAD - ROOM_EDGE
        y = item.y + ROOM_HEAD + (body - self._stack(marks)) / 2
        for other in marks:
            if other == mark:
                break
            y += self.height_of[other] + self._room_gap()
        return y + self.height_of[mark] / 2

    def layout(self, widths: Sequence[float], room_widths: Sequence[float], space: float) -> Layout:
        self.order()
        height = self.heights()
        columns = self._across(widths, room_widths, space)
        nodes = []
        for mark, width in enumerate(widths):
            x, whole = columns[self.steps[mark]]
            y = self._middle(mark) - ROW / 2
            nodes.append(Place(x + (whole - width) / 2, y, width, ROW))
        rooms = {}
        for item in self.items:
            if item.is_room:
                marks = [mark for column in item.columns.values() for mark in column]
                number = self.graph.nodes[marks[0]].room
                assert number is not None
                left = columns[min(item.columns)][0]
                x, whole = columns[max(item.columns)]
                width = x + whole - left + 2 * ROOM_EDGE
                rooms[number] = Place(left - ROOM_EDGE, item.y, width, item.height)
        routes = tuple(self._route(way, nodes, columns) for way in self.lanes)
        x, whole = columns[max(columns)] if columns else (0.0, 0.0)
        return Layout(tuple(nodes), rooms, routes, x + whole, height)

    def _across(
        self, widths: Sequence[float], room_widths: Sequence[float], space: float
    ) -> dict[int, tuple[float, float]]:
        """For each column its left end and its width."""
        wide: dict[int, float] = defaultdict(float)
        for mark, width in enumerate(widths):
            wide[self.steps[mark]] = max(wide[self.steps[mark]], width)
        for item in self.items:
            if item.is_room and len(item.columns) == 1:
                ((step, marks),) = item.columns.items()
                number = self.graph.nodes[marks[0]].room
                assert number is not None
                wide[step] = max(wide[step], room_widths[number] - 2 * ROOM_EDGE)
        left = ROOM_EDGE if any(item.is_room and 0 in item.columns for item in self.items) else 0.0
        gaps = max(1, len(wide) - 1)
        gap = max(30.0, min(72.0, (space - 2 * left - sum(wide.values())) / gaps))
        columns: dict[int, tuple[float, float]] = {}
        x = left
        for step in sorted(wide):
            columns[step] = x, wide[step]
            x += wide[step] + gap
        return columns

    def _route(
        self,
        way: Sequence[int],
        nodes: Sequence[Place],
        columns: dict[int, tuple[float, float]],
    ) -> tuple[tuple[float, float], ...]:
        source, target = nodes[way[0]], nodes[way[-1]]
        if self.steps[way[0]] == self.steps[way[-1]]:
            return self._upright(way[0], way[-1], source, target)
        if self.steps[way[0]] > self.steps[way[-1]]:
            return ()
        points = [(source.x + source.width, source.middle)]
        for mark in way[1:-1]:
            x, width = columns[self.steps[mark]]
            points += [(x, self._middle(mark)), (x + width, self._middle(mark))]
        return (*points, (target.x, target.middle))

    def _upright(
        self, one: int, other: int, source: Place, target: Place
    ) -> tuple[tuple[float, float], ...]:
        """From a call to the one right under or over it."""
        item = self.item_of[one]
        marks = item.columns[self.steps[one]]
        if item is not self.item_of[other] or abs(marks.index(one) - marks.index(other)) != 1:
            return ()
        x = target.x + target.width / 2
        if source.y < target.y:
            return (x, source.y + source.height), (x, target.y)
        return (x, source.y), (x, target.y + target.height)


def spread(
    wanted: Sequence[float], heights: Sequence[float], gap: float, top: float, bottom: float
) -> list[float]:
    """Upper ends of a column's nodes, as near to where they are wanted as can be.

    Args:
        wanted: upper ends, in the order in which the nodes stand.
        heights: of the nodes.
        gap: between two of them at least.
        top, bottom: between which they all have to lie, if there is room.
    """
    offsets, at = list[float](), 0.0
    for height in heights:
        offsets.append(at)
        at += height + gap
    # Blocks of nodes that touch: the sum of what they want, and how many they are.
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            other, more = blocks.pop()
            total, count = total + other, count + more
        blocks.append((total, count))
    places = [total / count for total, count in blocks for _ in range(count)]
    high = bottom - (at - gap)
    return [
        max(top, min(high, place)) + offset for place, offset in zip(places, offsets, strict=True)
    ]


def _mean(numbers: Iterable[float]) -> float | None:
    found = list(numbers)
    return sum(found) / len(found) if found else None


def _or(number: float | None, other: float) -> float:
    return other if number is None else number
