"""The task graph in words: labels, a list for a terminal, a table, and text for other tools.

DOT is Graphviz's language, Mermaid the one that GitHub and many notebooks draw.  Whatever a
function is called stays text in both: in DOT quotes, backslashes and ``&`` have a meaning inside a
string, in Mermaid so many characters have one that all but letters, digits and a few signs are
given by their numbers.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

from paralab.shown_text import shown_name
from paralab_profiling.details import byte_count
from paralab_profiling.graph.folding import CHILD, HOLDS, ORDER
from paralab_profiling.graph.nodes import PUT, Graph, Link, Node, graph_of, short_name
from paralab_profiling.recording import Recording
from paralab_profiling.svg import duration

COLUMNS = 80
HEAD = ("no.", "step", "what", "state", "run time each", "all", "takes from", "critical path")
NAMED = 6
"""Nodes that are named of those that one takes from."""
MARKS = {"failed": "✕", "running": "▶", "waiting": "┄", "queued": "┄", "sent": "┄", PUT: "○"}
_LINES = {HOLDS: "dashed", CHILD: "dotted", ORDER: "dotted"}


def label_of(node: Node, most: int = 16) -> tuple[str, str]:
    """What stands in a node: what it is and how many, and its time or state.

    Args:
        node: of a graph.
        most: how many characters of the function's name there is room for.
    """
    count = f" ×{node.count:,}" if node.count > 1 else ""
    if node.state == PUT:
        return f"put{count}", byte_count(node.bytes)
    if not node.name:
        what = f"in {node.steps:,} steps" if node.steps > 1 else "others"
        return f"{node.count:,} tasks", what if node.state == "done" else f"{what}, {node.state}"
    name = short_name(node.name, most)
    if node.is_run:
        return name, f"+ {node.count:,} more"
    if node.state == "done":
        each = duration(node.each_ns / 1e9)
        return f"{name}{count}", f"{each} each" if count else each
    return f"{name}{count}", node.state


def title_of(graph: Graph) -> str:
    """The finding: how many there are of what."""
    parts = [_many(graph.tasks, "task"), _many(graph.actors, "actor") if graph.actors else ""]
    started = {state: graph.states.get(state, 0) for state in ("failed", "running")}
    parts += [f"{count:,} {state}" for state, count in started.items() if count]
    rest = sum(graph.states.get(state, 0) for state in ("waiting", "queued", "sent"))
    parts.append(f"{rest:,} not started" if rest else "")
    return ", ".join(part for part in parts if part)


def path_of(graph: Graph, mark: str = "") -> str:
    """How long the critical path is; ``mark`` is what shows it."""
    if not graph.path:
        return "nothing has ended yet" if graph.states else "nothing ran"
    path, whole = duration(graph.path_ns / 1e9), duration(graph.whole_ns / 1e9)
    if path.split()[1] == whole.split()[1]:
        path = path.split()[0]
    shown = f" ({mark})" if mark else ""
    return f"critical path {_many(len(graph.path), 'step')}{shown}, {path} of {whole}"


def gets_of(graph: Graph) -> str:
    """Where the program, not a task, was what others waited for; "" if nowhere."""
    if not graph.path or not graph.by_get:
        return ""
    return f"; before {graph.by_get:,} of them the program stood in get"


def headline_of(graph: Graph, most: int) -> tuple[str, str]:
    """The finding and the line below it; what ``most`` letters have no room for is in the line."""
    title = f"{title_of(graph)}; {path_of(graph)}"
    if not graph.path or len(title) > most:
        return title_of(graph), path_of(graph, "thick") + gets_of(graph)
    return title, f"thick: the critical path{gets_of(graph)}"


def gaps_of(graph: Graph) -> str:
    """What is missing in the picture; "" if nothing is."""
    parts = []
    if graph.unknown:
        parts.append(f"+ {_many(graph.unknown, 'input')} that are not in the recording")
    if graph.dropped:
        parts.append(f"{graph.dropped:,} older tasks, puts and waits were forgotten")
    return "; ".join(parts)


def text_of(graph: Graph, order: Sequence[int]) -> str:
    """The graph for a terminal.

    Args:
        graph: what needed what.
        order: the numbers of its nodes, in the order of the list.
    """
    number = {node: at for at, node in enumerate(order, 1)}
    sources = _sources(graph)
    lines = [title_of(graph), path_of(graph, "━") + gets_of(graph), gaps_of(graph)]
    step = -1
    for at in order:
        node = graph.nodes[at]
        if node.step != step:
            step = node.step
            lines.append(f"step {step + 1}")
        first, second = label_of(node)
        room = "" if node.room is None else f"{short_name(graph.rooms[node.room].name)}."
        marks = ("━" if node.is_critical else " ") + MARKS.get(node.state, " ")
        what = room + first
        padding = " " * (34 - columns_of(what))
        line = f"{number[at]:>5} {marks} {what}{padding} {second:>16}"
        if sources[at]:
            line += f"  ← {_named(sources[at], number, 3)}"
        lines.append(_cut(line))
    return "\n".join(line for line in lines if line)


def rows_of(graph: Graph, order: Sequence[int]) -> list[tuple[str, ...]]:
    """The graph as a table with the columns :data:`HEAD`."""
    number = {node: at for at, node in enumerate(order, 1)}
    sources = _sources(graph)
    rows: list[tuple[str, ...]] = []
    for at in order:
        node = graph.nodes[at]
        has_run = node.total_ns > 0
        rows.append(
            (
                str(number[at]),
                str(node.step + 1),
                full_name(node, graph),
                node.state,
                duration(node.each_ns / 1e9) if has_run else "",
                duration(node.total_ns / 1e9) if has_run else "",
                _named(sources[at], number, NAMED),
                "yes" if node.is_critical else "",
            )
        )
    return rows


def full_name(node: Node, graph: Graph, most: int = 60) -> str:
    """What a node is, longer than there is room for in it."""
    if node.state == PUT or not node.name:
        name, more = label_of(node)
        return f"{name}, {more}"
    count = f" ×{node.count:,}" if node.count > 1 else ""
    actors = 1 if node.room is None else len(graph.rooms[node.room].actors)
    on = f" on {actors:,} actors" if actors > 1 else ""
    return f"{shown_name(node.call or node.name, most)}{count}{on}"


def to_dot(recording: Recording, *, is_folded: bool = True) -> str:
    """The task graph in Graphviz's language, to be drawn by ``dot``.

    Args:
        recording: what ran.
        is_folded: whether equal tasks are one node, as in ``task_graph``.
    """
    graph = graph_of(recording, is_folded=is_folded)
    lines = ["digraph tasks {", "  rankdir=LR;", "  node [shape=box, fontname=monospace];"]
    for room, inside in _by_room(graph).items():
        indent = "  "
        if room is not None:
            lines += [f"  subgraph cluster_{room} {{", f"    label={_dot(room_name(graph, room))};"]
            indent = "    "
        for at in inside:
            node = graph.nodes[at]
            # Two backslashes in a label are one; "\n" is a new line.
            label = "\\n".join(_dot(line)[1:-1] for line in _both(node))
            shape = "ellipse" if node.state == PUT else "box"
            style = "dashed" if node.state in ("waiting", "queued", "sent") else "solid"
            width = 3 if node.is_critical else 1
            lines.append(
                f'{indent}n{at} [label="{label}", shape={shape}, style={style}, penwidth={width}];'
            )
        lines += ["  }"] if room is not None else []
    for link in graph.links:
        style = _LINES.get(link.kind, "solid")
        width = 3 if link.is_critical else 1
        lines.append(f"  n{link.source} -> n{link.target} [style={style}, penwidth={width}];")
    return "\n".join([*lines, "}", ""])


def to_mermaid(recording: Recording, *, is_folded: bool = True) -> str:
    """The task graph in Mermaid's language, which GitHub draws in a ``mermaid`` code block.

    Args:
        recording: what ran.
        is_folded: whether equal tasks are one node, as in ``task_graph``.  Mermaid refuses more
            than 500 links unless it is told otherwise.
    """
    graph = graph_of(recording, is_folded=is_folded)
    lines = ["flowchart LR"]
    for room, inside in _by_room(graph).items():
        indent = "  "
        if room is not None:
            lines.append(f'  subgraph actor{room}["{_mermaid(room_name(graph, room))}"]')
            indent = "    "
        for at in inside:
            node = graph.nodes[at]
            label = "<br/>".join(_mermaid(line) for line in _both(node))
            start, end = ("([", "])") if node.state == PUT else ("[", "]")
            lines.append(f'{indent}n{at}{start}"{label}"{end}')
        lines += ["  end"] if room is not None else []
    lines += [f"  n{link.source} {_arrow(link)} n{link.target}" for link in graph.links]
    classes = {
        "critical": ("stroke-width:3px", [n.is_critical for n in graph.nodes]),
        "open": ("stroke-dasharray:4 3", [MARKS.get(n.state) == "┄" for n in graph.nodes]),
    }
    for name, (style, chosen) in classes.items():
        members = ",".join(f"n{at}" for at, is_one in enumerate(chosen) if is_one)
        if members:
            lines += [f"  classDef {name} {style}", f"  class {members} {name}"]
    return "\n".join([*lines, ""])


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese signs and many emoji take two."""
    if text.isascii():
        return len(text)
    return sum(1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)


def _cut(line: str) -> str:
    if columns_of(line) <= COLUMNS:
        return line
    while columns_of(line) >= COLUMNS:
        line = line[:-1]
    return f"{line}…"


def _both(node: Node) -> tuple[str, str]:
    first, second = label_of(node)
    return first, f"{second} ✕" if node.state == "failed" else second


def _arrow(link: Link) -> str:
    if link.is_critical:
        return "==>"
    return "-.->" if link.kind in _LINES else "-->"


def _by_room(graph: Graph) -> Mapping[int | None, list[int]]:
    found: dict[int | None, list[int]] = defaultdict(list)
    for at, node in enumerate(graph.nodes):
        found[node.room].append(at)
    return found


def room_name(graph: Graph, room: int) -> str:
    """What an actor's room is called."""
    actors = len(graph.rooms[room].actors)
    count = f" ×{actors:,}" if actors > 1 else ""
    return f"actor {short_name(graph.rooms[room].name)}{count}"


def _dot(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{text}"'


def _mermaid(text: str) -> str:
    plain = "._ ×+,()µ✕"
    return "".join(c if c.isalnum() or c in plain else f"#{ord(c)};" for c in text)


def _sources(graph: Graph) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in graph.nodes]
    for link in graph.links:
        if link.kind != ORDER:
            found[link.target].append(link.source)
    return found


def _named(nodes: Sequence[int], number: Mapping[int, int], most: int) -> str:
    found = sorted(number[node] for node in nodes)
    more = f" + {len(found) - most:,}" if len(found) > most else ""
    return ", ".join(str(each) for each in found[:most]) + more


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
