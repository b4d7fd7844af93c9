"""The task graph as a picture: what needed what, from left to right.

Hue is the function, as everywhere; fill, outline and ✕ are the state.  Equal tasks are a pile with
their number, objects put by hand are rings, an actor is a room that its calls lie in, and the
critical path is thick.  Arguments are solid lines; what else links tasks is thinner and broken.
"""

from __future__ import annotations

from collections.abc import Sequence

from paralab_profiling.details import Details, details_of
from paralab_profiling.graph.folding import CHILD, HOLDS, NEEDS, ORDER
from paralab_profiling.graph.layout import Layout, Place, lay_out
from paralab_profiling.graph.nodes import PUT, Graph, Node, graph_of
from paralab_profiling.graph.order import PILE
from paralab_profiling.graph.words import (
    HEAD,
    columns_of,
    full_name,
    gaps_of,
    gets_of,
    headline_of,
    label_of,
    path_of,
    room_name,
    rows_of,
    text_of,
    title_of,
)
from paralab_profiling.palette import FAILURE, NOTEBOOK
from paralab_profiling.picture import Picture
from paralab_profiling.recording import Recording, expect_recording
from paralab_profiling.svg import IDLE, INK, LINE, WIDTH, Drawing, duration

LEFT, TOP = 16.0, 62.0
LETTER, SMALL_LETTER = 7.0, 5.8
"""Widths of a character in a label and in what stands below it; a little too large."""
LETTERS = (16, 10)
"""Of a function's name; fewer if the picture becomes too wide with more."""
TITLE_LETTERS = 80
"""For which the picture has room at its top."""
LEAST_WIDTH = 62.0
STRIP = 9.0
"""The part of a box that has a texture; on it no text could be read."""
RING = 15.5
MOST_IDS = 2_000
"""Tasks that can be found in the picture where another picture selects them."""
DASHES = {NEEDS: "", HOLDS: "7 3", CHILD: "1.5 3", ORDER: "1.5 3"}
OPEN = ("waiting", "queued", "sent")


def task_graph(recording: Recording) -> Picture:
    """What needed what: tasks, actors and objects put by hand, with the critical path.

    Equal tasks become one node where there are too many to be read; ``graph/folding.py`` says how.

    Args:
        recording: from :func:`paralab_profiling.take`, or from a file; unfinished tasks are drawn
            too.

    Raises:
        TypeError: it is something else.
    """
    expect_recording(recording, "task_graph")
    graph = graph_of(recording)
    # Hues go to functions in the order of their submission, whatever the picture's order is.
    for task in recording:
        NOTEBOOK.hue(task.name)
    room_widths = [LETTER * columns_of(room_name(graph, at)) + 20 for at in range(len(graph.rooms))]
    labels = [[label_of(node, most) for node in graph.nodes] for most in LETTERS]
    widths = [list(map(_width, graph.nodes, each)) for each in labels]
    layout = lay_out(graph, widths, room_widths, WIDTH - 2 * LEFT)
    order = sorted(
        range(len(graph.nodes)), key=lambda at: (graph.nodes[at].step, layout.nodes[at].y, at)
    )
    drawing = _draw(graph, layout, labels[layout.choice])
    title = f"{title_of(graph)}; {path_of(graph)}{gets_of(graph)}"
    return Picture(
        title,
        text_of(graph, order),
        drawing.finish(title, _description(graph)),
        HEAD,
        rows_of(graph, order),
        drawing.id,
        _details(graph, order, recording),
        width=drawing.width,
    )


def _details(graph: Graph, order: Sequence[int], recording: Recording) -> Details:
    by_id = recording.by_id
    shown = [_first(graph.nodes[at], graph) for at in order]
    return details_of((by_id[task] for task in shown if task in by_id), recording)


def _first(node: Node, graph: Graph) -> str:
    """The task that is selected when its node is: one of the critical path if there is one."""
    if node.is_critical:
        path = set(graph.path)
        return next(task for task in node.members if task in path)
    return node.members[0]


def _description(graph: Graph) -> str:
    steps = max((node.step for node in graph.nodes), default=-1) + 1
    return f"From left to right in {steps} steps, each after what it needs. {gaps_of(graph)}"


def _width(node: Node, label: tuple[str, str]) -> float:
    first, second = label
    if node.state == PUT:
        return 2 * RING + 4 + 6.4 * len(_put_words(node)) + (4 if node.count > 1 else 0)
    cross = 14 if node.state == "failed" else 0
    wide = max(LETTER * columns_of(first), SMALL_LETTER * len(second) + cross) + 14
    strip = STRIP if _has_strip(node) else 0
    return max(LEAST_WIDTH, wide) + strip + (PILE if node.count > 1 else 0)


def _has_strip(node: Node) -> bool:
    is_filled = node.state in ("done", "running")
    return is_filled and bool(node.name) and bool(NOTEBOOK.hue(node.name).texture)


def _put_words(node: Node) -> str:
    first, second = label_of(node)
    return f"{first.removeprefix('put').strip()} {second}".strip()


def _draw(graph: Graph, layout: Layout, labels: Sequence[tuple[str, str]]) -> Drawing:
    drawing = Drawing()
    drawing.width = max(WIDTH, round(layout.width + 2 * LEFT))
    drawing.headline(*headline_of(graph, TITLE_LETTERS))
    for room, place in layout.rooms.items():
        drawing.box(
            *(LEFT + place.x, TOP + place.y, place.width, place.height),
            "var(--panel)",
            stroke=LINE,
            radius=8,
        )
        drawing.text(LEFT + place.x + 10, TOP + place.y + 16, room_name(graph, room), "m b")
    heads = [_first(node, graph) for node in graph.nodes]
    # The critical path last, so that it lies on top.
    for link, route in sorted(
        zip(graph.links, layout.routes, strict=True), key=lambda pair: pair[0].is_critical
    ):
        if route:
            drawing.route(
                [(LEFT + x, TOP + y) for x, y in route],
                is_thick=link.is_critical,
                dash=DASHES[link.kind],
                between=(heads[link.source], heads[link.target]),
            )
    room_for_ids = MOST_IDS
    for at, node in enumerate(graph.nodes):
        others = [task for task in node.members if task != heads[at]][:room_for_ids]
        room_for_ids -= len(others)
        tasks = " ".join([heads[at], *others])
        name = full_name(node, graph)
        _draw_node(drawing, node, layout.nodes[at], tasks, name, labels[at])
    y = TOP + max(layout.height, 0) + 30
    y = _draw_legend(drawing, graph, y)
    gaps = gaps_of(graph)
    if gaps:
        y += 18
        drawing.text(LEFT, y, gaps, "s")
    drawing.height = y + 12
    return drawing


def _draw_node(
    drawing: Drawing, node: Node, place: Place, tasks: str, name: str, label: tuple[str, str]
) -> None:
    x, y = LEFT + place.x, TOP + place.y
    if node.state == PUT:
        middle, right = y + place.height / 2, x + place.width
        if node.count > 1:
            drawing.ring(right - RING, middle - 3, RING - 2)
            right -= 4
        tip = f"put: {_put_words(node)}"
        drawing.ring(right - RING, middle, RING - 2, tip=tip, task=tasks)
        drawing.text(right - RING, middle + 4, "put", "s c")
        drawing.text(right - 2 * RING - 2, middle + 4, _put_words(node), "s e")
        return
    width = place.width - (PILE if node.count > 1 else 0)
    colour = NOTEBOOK.hue(node.name).colour if node.name else INK
    tip = f"{name}: {node.state}"
    if node.total_ns:
        more = f", {duration(node.total_ns / 1e9)} in all" if node.count > 1 else ""
        tip += f", {duration(node.each_ns / 1e9)}{' each' if more else ''}{more}"
    for shift in (PILE, PILE / 2) if node.count > 1 else ():
        drawing.box(
            *(x + shift, y - shift, width, place.height), "var(--paper)", stroke=colour, radius=5
        )
    is_open = node.state in OPEN
    if is_open:
        fill = "var(--paper)"
    elif node.state == "failed":
        fill = FAILURE
    else:
        fill = colour if node.name else IDLE
    drawing.box(
        *(x, y, width, place.height),
        fill,
        stroke=INK if node.is_critical else colour,
        is_thick=node.is_critical,
        is_dashed=node.state == "waiting",
        radius=5,
        tip=tip,
        task=tasks,
    )
    if _has_strip(node):
        drawing.bar(
            x + 1, y + 4, STRIP - 2, place.height - 8, drawing.fill(NOTEBOOK.hue(node.name))
        )
        x, width = x + STRIP - 2, width - STRIP + 2
    first, second = label
    ink = "" if is_open or not (node.name or node.state == "failed") else " on"
    drawing.text(x + width / 2, y + 12.5, first, f"m b c{ink}")
    cross = 7 if node.state == "failed" else 0
    drawing.text(x + width / 2 - cross, y + 25.5, second, f"s c{ink}")
    if cross:
        drawing.cross(x + width / 2 + SMALL_LETTER * len(second) / 2 + 4, y + 21.5, 3.5)
    if node.state == "running":
        drawing.bar(x + 6, y + place.height - 4, width * 0.4, 1.8, "#fff")


def _draw_legend(drawing: Drawing, graph: Graph, y: float) -> float:
    """What the marks mean that occur; returns the height of its last line."""
    states = {node.state for node in graph.nodes}
    hue = next((NOTEBOOK.hue(node.name).colour for node in graph.nodes if node.name), INK)
    words = {
        "done": "done",
        "running": "running",
        "sent": "sent: in a worker's queue",
        "queued": "queued: a worker is missing",
        "waiting": "waiting: inputs are missing",
        "failed": "failed ✕",
    }
    entries = [(state, text) for state, text in words.items() if state in states]
    if any(node.count > 1 for node in graph.nodes):
        entries.append(("folded", "×: equal tasks, folded"))
    if any(not node.name and node.state != PUT for node in graph.nodes):
        entries.append(("mixed", "tasks of several functions, folded"))
    if PUT in states:
        entries.append((PUT, "object put by hand"))
    kinds = {link.kind for link in graph.links}
    lines = {
        NEEDS: "takes it",
        HOLDS: "takes a ref to it",
        CHILD: "submitted it",
        ORDER: "runs after",
    }
    entries += [(kind, line) for kind, line in lines.items() if kind in kinds]
    x = LEFT
    for mark, text in entries:
        width = 24 + 5.5 * len(text) + 12
        if x > LEFT and x + width > WIDTH - LEFT:
            x, y = LEFT, y + 18
        _draw_sample(drawing, mark, x, y, hue)
        drawing.text(x + 24, y, text, "s")
        x += width
    return y


def _draw_sample(drawing: Drawing, mark: str, x: float, y: float, hue: str) -> None:
    if mark in DASHES:
        drawing.route([(x, y - 4), (x + 19, y - 4)], dash=DASHES[mark])
        return
    if mark == PUT:
        drawing.ring(x + 9, y - 4, 5)
        return
    if mark == "folded":
        drawing.box(x + 3, y - 12, 15, 10, "var(--paper)", stroke=hue)
        drawing.box(x, y - 9, 15, 10, "var(--paper)", stroke=hue)
        return
    fills = {"done": hue, "running": hue, "failed": FAILURE, "mixed": IDLE}
    drawing.box(
        *(x, y - 9, 18, 10),
        fills.get(mark, "var(--paper)"),
        stroke=INK if mark == "mixed" else hue,
        is_dashed=mark == "waiting",
    )
    if mark == "running":
        drawing.bar(x + 3, y - 2.5, 8, 1.5, "#fff")
    if mark == "failed":
        drawing.cross(x + 9, y - 4, 3)
