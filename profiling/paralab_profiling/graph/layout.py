"""Where the nodes of a task graph stand: in columns by their step, from left to right.

The order in each column is known (``graph/order.py``).  Each node moves to the mean height of its
neighbours, as far as order and distance let it: in a column that is a least-squares fit with a
given order, solved by pooling (Ayer and others, "An empirical distribution function for sampling
with incomplete information", 1955).  Columns are as wide as what stands in them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from paralab_profiling.graph.nodes import Graph
from paralab_profiling.graph.order import (
    PILE,
    ROOM_EDGE,
    ROOM_HEAD,
    ROUNDS,
    ROW,
    Item,
    Layers,
    mean_of,
)

LEAST_GAP, MOST_GAP = 22.0, 72.0
"""Between two columns."""


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
        choice: which of the possible widths it has.
    """

    nodes: tuple[Place, ...]
    rooms: dict[int, Place]
    routes: tuple[tuple[tuple[float, float], ...], ...]
    width: float
    height: float
    choice: int


def lay_out(
    graph: Graph,
    widths: Sequence[Sequence[float]],
    room_widths: Sequence[float],
    space: float,
) -> Layout:
    """Places for all nodes, rooms and links of a graph.

    Args:
        graph: folded, so that it has at most a few hundred nodes.
        widths: of the nodes; several possible ones, of which the first that fit are taken.
        room_widths: least widths of the rooms, by their number.
        space: how wide it should be; it is wider if there is no other way.
    """
    layers = _Page(graph)
    layers.order()
    height = layers.heights()
    found = (layers.layout(at, each, room_widths, space, height) for at, each in enumerate(widths))
    return next(each for each in found if each.width <= space or each.choice + 1 == len(widths))


class _Page(Layers):
    """An ordered graph that gets its places."""

    def heights(self) -> float:
        """Gives each item its height on the page; returns the height of all."""
        bottoms: dict[int, float] = defaultdict(float)
        for item in self.items:
            item.y = max(bottoms[step] for step in item.columns)
            for step in item.columns:
                bottoms[step] = item.y + item.height + self.gap
        height = max(bottoms.values(), default=0.0) - self.gap
        columns = self.columns()
        for turn in range(ROUNDS):
            for step in sorted(columns, reverse=turn % 2 == 1):
                self._align(columns[step], height, turn >= ROUNDS / 2)
            for item in self.items if turn % 2 else reversed(self.items):
                if item.is_room:
                    self._move_room(item, columns, height, turn >= ROUNDS / 2)
        return height

    def _align(self, column: Sequence[Item], height: float, is_straight: bool) -> None:
        """Moves the free nodes of a column, between its rooms, to where they would like to be."""
        top, free = 0.0, list[Item]()
        for item in [*column, None]:
            if item is not None and not item.is_room:
                free.append(item)
                continue
            bottom = height if item is None else item.y - self.gap
            wanted = [self._wanted(each, is_straight) for each in free]
            heights = [each.height for each in free]
            for each, y in zip(free, spread(wanted, heights, self.gap, top, bottom), strict=True):
                each.y = y
            if item is not None:
                top, free = item.y + item.height + self.gap, []

    def _wanted(self, item: Item, is_straight: bool) -> float:
        """Where it would be nearest to its neighbours; as it is if it has none.

        The side with more neighbours decides, so that a tree is even.  If both have as many, the
        one whose neighbours have fewer others does, so that a line through one is straight.
        """
        found: list[float] = []
        for marks in item.columns.values():
            for mark in marks:
                at = self._middle(mark) - item.y
                sides: list[tuple[int, int, list[float]]] = []
                for side, back in ((self.before, self.after), (self.after, self.before)):
                    others = [other for other in side[mark] if self.item_of[other] is not item]
                    rivals = max((len(back[other]) for other in others), default=0)
                    places = [self._middle(other) - at for other in others]
                    sides.append((-len(others), rivals if is_straight else 0, places))
                best = min(side[:2] for side in sides)
                found += [y for *rank, places in sides if tuple(rank) == best for y in places]
        mean = mean_of(found)
        return item.y if mean is None else mean

    def _move_room(
        self, room: Item, columns: dict[int, list[Item]], height: float, is_straight: bool
    ) -> None:
        low, high = 0.0, height - room.height
        for step in room.columns:
            column = columns[step]
            at = next(number for number, item in enumerate(column) if item is room)
            if at:
                low = max(low, column[at - 1].y + column[at - 1].height + self.gap)
            if at + 1 < len(column):
                high = min(high, column[at + 1].y - self.gap - room.height)
        room.y = max(low, min(high, self._wanted(room, is_straight)))

    def _middle(self, mark: int) -> float:
        """At which height a mark stands."""
        item = self.item_of[mark]
        if not item.is_room:
            return item.y + item.height / 2
        marks = item.columns[self.steps[mark]]
        body = item.height - ROOM_HEAD - ROOM_EDGE
        y = item.y + ROOM_HEAD + (body - self.stack(marks)) / 2
        for other in marks:
            if other == mark:
                break
            y += self.height_of[other] + self.room_gap()
        return y + self.height_of[mark] / 2

    def layout(
        self,
        choice: int,
        widths: Sequence[float],
        room_widths: Sequence[float],
        space: float,
        height: float,
    ) -> Layout:
        """The places with some of the possible widths; order and heights are known by now."""
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
        return Layout(tuple(nodes), rooms, routes, x + whole, height, choice)

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
        gap = max(LEAST_GAP, min(MOST_GAP, (space - 2 * left - sum(wide.values())) / gaps))
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
            piled = PILE if self.graph.nodes[other].count > 1 else 0
            return (x, source.y + source.height), (x, target.y - piled)
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
