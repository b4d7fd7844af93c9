"""The task graph: nodes and folds, where they stand, the words, and text for other tools."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import pytest
from hostile import PAYLOADS, acts, markup_of, name_of
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import pending, put, recording, task, wait

import paralab
from paralab_profiling import Picture, Recording, Task, take, task_graph, to_dot, to_mermaid
from paralab_profiling.graph.folding import MOST_IN_STEP, MOST_STEPS
from paralab_profiling.graph.layout import spread
from paralab_profiling.graph.nodes import Graph, graph_of
from paralab_profiling.graph.order import ROW
from paralab_profiling.graph.words import label_of

pytestmark = pytest.mark.slow

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


def mock_up(cleans: tuple[int, int, int] = (332, 334, 332)) -> Recording:
    """One put, three loads, many cleans, two merges of which one failed, and an actor."""
    parts: list[Any] = [put("p", 0, 200_000_000)]
    groups: list[list[str]] = []
    for at, (end, count) in enumerate(zip((14, 33, 14), cleans, strict=True)):
        parts.append(task(f"load{at}", 2, end, name="load", submitted=1, needs=("p",)))
        groups.append([f"clean{at}.{each}" for each in range(count)])
        for number, each in enumerate(groups[-1]):
            start, needs = end + 1 + number * 0.3, (f"load{at}",)
            parts.append(
                task(each, start, start + 0.2, name="clean", submitted=1.5, needs=needs,
                     overhead=0.01)
            )  # fmt: skip
    parts += [
        task("merge0", 136, 180, name="merge", submitted=3, needs=(*groups[0], *groups[1])),
        task("merge1", 117, 118, name="merge", submitted=3.1, needs=groups[2], state="failed",
             failed=True),
        actor("init", 2, 8, method="__init__", kind="creation", submitted=3.2),
        actor("add", 181, 239, submitted=3.3, needs=("merge0",)),
        pending("best", 3.4, state="waiting", name="Scores.best", kind="actor", actor="A",
                needs=("merge1",)),
    ]  # fmt: skip
    made: Recording = recording(*parts)
    return made


def actor(task_id: str, start: float, end: float, method: str = "add", **more: Any) -> Task:
    fields = {"kind": "actor", "actor": "A", "worker": 9, "name": f"Scores.{method}"} | more
    made: Task = task(task_id, start, end, **fields)
    return made


def tree(leaves: int = 8) -> Recording:
    """Additions two by two, and a worker for each."""
    row = [task(f"v{at}", 1, 9, name="value", submitted=0.1 + at / 1e3) for at in range(leaves)]
    parts, level = list(row), 1
    while len(row) > 1:
        at = 10 * level
        row = [
            task(f"{one.id}+", at + 1, at + 9, name="add", submitted=level, needs=(one.id, two.id))
            for one, two in zip(row[::2], row[1::2], strict=True)
        ]
        parts, level = parts + row, level + 1
    made: Recording = recording(*parts)
    return made


def chain(length: int) -> Recording:
    made: Recording = recording(
        *(
            task(f"s{at}", 10 * at + 1, 10 * at + 9, name="step", submitted=0.1 + at / 1e3,
                 needs=(f"s{at - 1}",) if at else ())
            for at in range(length)
        )
    )  # fmt: skip
    return made


def labels(graph: Graph) -> list[str]:
    return [" ".join(label_of(node)) for node in graph.nodes]


def texts(picture: Picture) -> list[str]:
    return [each.text or "" for each in ET.fromstring(picture.svg).iter(f"{SVG}text")]


def boxes(picture: Picture) -> dict[str, Box]:
    """Left, top, right and bottom of each node's mark, by the first of its tasks."""
    found = {}
    for mark in ET.fromstring(picture.svg).iter():
        of = mark.get("data-task", "").split(" ")[0]
        if of and mark.tag == f"{SVG}rect":
            x, y, width, height = (float(mark.get(k, "")) for k in ("x", "y", "width", "height"))
            found[of] = x, y, x + width, y + height
        elif of:
            x, y, r = (float(mark.get(k, "")) for k in ("cx", "cy", "r"))
            found[of] = x - r, y - r, x + r, y + r
    return found


def routes(picture: Picture) -> dict[tuple[str, str], Any]:
    found = ET.fromstring(picture.svg).iter(f"{SVG}path")
    return {(e.get("data-from", ""), e.get("data-to", "")): e for e in found if e.get("data-from")}


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def middle(box: Box) -> float:
    return (box[1] + box[3]) / 2


def check_drawing(picture: Picture) -> None:
    """Nothing overlaps, and nothing leaves the picture."""
    root = ET.fromstring(picture.svg)
    _x, _y, width, height = map(float, root.get("viewBox", "").split())
    found = list(boxes(picture).values())
    assert all(b[0] >= 0 and b[1] >= 40 and b[2] <= width and b[3] <= height for b in found)
    assert not [pair for pair in combinations(found, 2) if overlap(*pair)]
    for route in routes(picture).values():
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", route.get("d"))]
        assert all(0 <= x <= width for x in numbers[::2])
        assert all(40 <= y <= height for y in numbers[1::2])


def test_the_mock_up() -> None:
    picture = task_graph(mock_up())
    assert picture.title == (
        "1,005 tasks, 1 actor, 1 failed, 1 not started; critical path 4 steps, 133 of 238 ms"
    )
    assert labels(graph_of(mock_up())) == [
        "put 200 MB", "load 12.0 ms", "load 31.0 ms", "load 12.0 ms",
        "clean ×332 200 µs each", "clean ×334 200 µs each", "clean ×332 200 µs each",
        "merge 44.0 ms", "merge failed", "__init__ 6.00 ms", "add 58.0 ms", "best waiting",
    ]  # fmt: skip
    assert {"actor Scores", "clean ×334", "critical path 4 steps (thick), 133 of 238 ms"} <= {
        *texts(picture)
    }
    check_drawing(picture)
    where = boxes(picture)
    columns = [["p"], ["load0", "load1", "load2"], ["clean0.0", "clean1.333", "clean2.0"],
               ["merge0", "merge1"], ["init", "add", "best"]]  # fmt: skip
    for left, right in pairwise(columns):
        assert max(where[at][2] for at in left) < min(where[at][0] for at in right)
    for column in columns:
        heights = [where[at][1] for at in column]
        assert heights == sorted(heights)


def test_the_critical_path_is_thick_and_the_failure_crossed() -> None:
    picture = task_graph(mock_up())
    root = ET.fromstring(picture.svg)
    thick = {
        r.get("data-task", "").split(" ")[0] for r in root.iter() if r.get("stroke-width") == "2"
    }
    assert thick >= {"load1", "clean1.333", "merge0", "add"}
    assert not thick & {"load0", "merge1", "best", "clean0.0"}
    wide = {pair for pair, route in routes(picture).items() if route.get("stroke-width") == "2.2"}
    assert wide == {("load1", "clean1.333"), ("clean1.333", "merge0"), ("merge0", "add")}
    fills = {r.get("data-task"): r.get("fill") for r in root.iter(f"{SVG}rect")}
    assert fills["merge1"] == "#d5372b"
    strokes = [(e.get("stroke"), e.get("stroke-width")) for e in root.iter(f"{SVG}path")]
    assert strokes.count(("#fff", "2")) == 2, "and the legend's"


def test_a_fold_is_found_by_each_of_its_tasks() -> None:
    root = ET.fromstring(task_graph(mock_up()).svg)
    of = {t for mark in root.iter() for t in mark.get("data-task", "").split()}
    run = mock_up()
    assert of == {each.id for each in run.tasks} | {each.id for each in run.puts}


def test_calls_lie_in_their_room_and_nothing_else() -> None:
    # The calls of an actor at steps 1, 3 and 5, and work between them.
    parts = [actor("init", 1, 2, method="__init__", kind="creation", submitted=0.1)]
    taken: tuple[str, ...] = ()
    for turn in range(3):
        at = 10.0 * turn + 3
        parts.append(actor(f"get{turn}", at, at + 1, submitted=turn + 0.2, needs=taken))
        taken = tuple(f"work{turn}.{each}" for each in range(3))
        parts += [
            task(each, at + 2, at + 6, name="work", submitted=turn + 0.3, needs=(f"get{turn}",))
            for each in taken
        ]
    picture = task_graph(recording(*parts))
    check_drawing(picture)
    (room,) = (
        r for r in ET.fromstring(picture.svg).iter(f"{SVG}rect") if r.get("fill") == "var(--panel)"
    )
    x, y, width, height = (float(room.get(k, "")) for k in ("x", "y", "width", "height"))
    inside = x, y, x + width, y + height
    for task_id, box in boxes(picture).items():
        is_call = task_id in ("init", "get0", "get1", "get2")
        assert overlap(box, inside) == is_call, task_id
        assert not is_call or (x < box[0] and y < box[1] and box[2] < x + width), task_id
    assert ("init", "get0") in routes(picture)
    assert ("init", "get1") not in routes(picture), "that it comes first is plain"


def test_a_call_never_stands_left_of_the_one_before_it() -> None:
    run = recording(
        actor("init", 1, 2, method="__init__", kind="creation", submitted=0.1),
        task("a", 1, 9, submitted=0.2),
        actor("first", 10, 11, submitted=0.3, needs=("a",)),
        actor("then", 12, 13, method="best", submitted=0.4),
        actor("other", 3, 4, submitted=0.5, owner=7),
    )
    picture = task_graph(run)
    check_drawing(picture)
    where = boxes(picture)
    assert where["first"][0] < where["then"][2]
    assert where["first"][3] < where["then"][1], "below it"
    assert routes(picture)["first", "then"].get("stroke-dasharray") == "1.5 3"
    assert where["other"][2] < where["first"][0], "another process need not wait for that"
    steps = {node.members[0]: node.step for node in graph_of(run).nodes}
    assert steps == {"init": 0, "a": 0, "first": 1, "then": 1, "other": 0}


def test_calls_fold_where_their_turn_is_the_same() -> None:
    calls = [actor(f"c{at}", 20 + at, 20.5 + at, submitted=1 + at / 1e4) for at in range(200)]
    late = [task("a", 1, 9, submitted=0.5), replace(calls[100], needs=("a",))]
    graph = graph_of(recording(*late, *calls[:100], *calls[101:]))
    assert sorted((node.step, node.count) for node in graph.nodes) == [
        (0, 1), (0, 100), (1, 1), (1, 99),
    ]  # fmt: skip


def test_a_small_tree_stays_whole_and_is_even() -> None:
    graph = graph_of(tree())
    assert all(node.count == 1 for node in graph.nodes)
    picture = task_graph(tree())
    check_drawing(picture)
    where = boxes(picture)
    for addition in (each for each in tree() if each.needs):
        both = [middle(where[need]) for need in addition.needs]
        assert middle(where[addition.id]) == pytest.approx(sum(both) / 2, abs=0.2)


def test_more_leaves_fold_in_pairs_then_by_level() -> None:
    assert labels(graph_of(tree(16)))[:8] == ["value ×2 8.00 ms each"] * 8
    levels = labels(graph_of(tree(256)))
    assert levels[0].startswith("value ×")
    assert len(levels) < 60


def test_a_long_chain_shows_its_ends() -> None:
    assert labels(graph_of(chain(8))) == ["step 8.00 ms"] * 8
    assert labels(graph_of(chain(1000))) == [
        *["step 8.00 ms"] * 3, "step + 995 more", *["step 8.00 ms"] * 2,
    ]  # fmt: skip
    assert [node.steps for node in graph_of(chain(1000)).nodes] == [1, 1, 1, 995, 1, 1]


def test_a_chain_folds_where_each_step_takes_a_value_of_its_own() -> None:
    parts = [task(f"v{at}", 1, 2, name="value", submitted=at / 1e4) for at in range(1000)]
    parts += [
        task(f"a{at}", 10 * at, 10 * at + 5, name="add", submitted=1 + at / 1e4,
             needs=(f"a{at - 1}" if at > 1 else "v0", f"v{at}"))
        for at in range(1, 1000)
    ]  # fmt: skip
    graph = graph_of(recording(*parts))
    assert labels(graph)[0] == "value ×1,000 1.00 ms each"
    assert [each for each in labels(graph) if "more" in each] == ["add + 994 more"]
    assert sum(node.count for node in graph.nodes) == 1999


def test_equal_actors_fold_with_their_rooms() -> None:
    parts = []
    for at in range(30):
        more: dict[str, Any] = {"actor": f"A{at}", "worker": 9 + at}
        parts.append(actor(f"i{at}", 1, 2, "__init__", kind="creation", submitted=at / 1e3, **more))
        parts.append(actor(f"a{at}", 3, 4, submitted=1 + at / 1e3, **more))
    graph = graph_of(recording(*parts))
    (room,) = graph.rooms
    assert (room.name, len(room.actors)) == ("Scores", 30)
    assert labels(graph) == [
        "__init__ 1.00 ms", "__init__ ×29 1.00 ms each", "add 1.00 ms", "add ×29 1.00 ms each",
    ], "the one on the critical path stands by itself"  # fmt: skip
    assert "actor Scores ×30" in texts(task_graph(recording(*parts)))
    few = graph_of(recording(*parts[:6]))
    assert [len(room.actors) for room in few.rooms] == [1, 1, 1]


def test_failures_are_never_folded_away() -> None:
    parts = [
        task(f"{at}", at + 1, at + 2, submitted=at / 1e4, state="failed" if at == 777 else "done")
        for at in range(1000)
    ]
    assert labels(graph_of(recording(*parts))) == ["f ×999 1.00 ms each", "f failed"]


def test_links_that_are_no_arguments_are_thinner_and_said() -> None:
    run = recording(
        task("a", 1, 90),
        task("b", 10, 20, submitted=5, parent="a", owner=2, worker=3),
        task("c", 30, 40, submitted=6, parent="a", owner=2, worker=3, needs=("b",)),
        task("d", 30, 40, submitted=7, parent="a", owner=2, worker=3, holds=("c",)),
    )
    kinds = {(link.source, link.target): link.kind for link in graph_of(run).links}
    assert kinds == {(0, 1): "child", (1, 2): "needs", (2, 3): "holds"}, "c hangs on b alone"
    picture = task_graph(run)
    dashes = {pair: route.get("stroke-dasharray") for pair, route in routes(picture).items()}
    assert dashes == {("a", "b"): "1.5 3", ("b", "c"): None, ("c", "d"): "7 3"}
    assert {"submitted it", "takes it", "takes a ref to it"} <= {*texts(picture)}


def test_unfinished_tasks_are_told_apart_without_colour() -> None:
    run = task("c", 10, 20, name="clean", submitted=0.3, needs=("a",), worker=3)
    begun = {at: ns for at, ns in run.stamps.items() if at in ("submitted", "pickled", "packed")}
    picture = task_graph(
        recording(
            task("a", 1, 9, submitted=0.1),
            replace(run, state="running", stamps=begun),
            pending("d", 0.4, state="queued", needs=("a",)),
            pending("e", 0.5, state="sent", needs=("a",)),
            pending("f", 0.6, state="waiting", needs=("c", "d")),
        )
    )
    assert picture.title.startswith("5 tasks, 1 running, 3 not started; critical path 1 step, ")
    marks = {r.get("data-task"): r for r in ET.fromstring(picture.svg).iter(f"{SVG}rect")}
    assert [at for at, mark in marks.items() if at and mark.get("stroke-dasharray")] == ["f"]
    papers = [at for at, r in marks.items() if at and r.get("fill") == "var(--paper)"]
    assert papers == ["d", "e", "f"]
    assert {"running", "queued", "sent", "waiting"} <= {*texts(picture)}
    assert "waiting: inputs are missing" in texts(picture)


def test_get_in_a_loop_is_said() -> None:
    parts = [task(f"{n}", 10 * n + 1, 10 * n + 9, submitted=10 * n + 0.5) for n in range(4)]
    waits = [wait(10 * n + 0.7, 10 * n + 9.3, f"{n}") for n in range(4)]
    picture = task_graph(recording(*parts, *waits))
    assert picture.title == (
        "4 tasks; critical path 4 steps, 32.0 of 38.8 ms; before 3 of them the program stood in get"
    )
    assert not routes(picture), "nothing is handed on"


def test_the_finding_is_how_long_the_longest_chain_is() -> None:
    chain = recording(task("a", 1, 9), task("b", 10, 19, needs=("a",)), task("c", 1, 9, worker=3))
    picture = task_graph(chain)
    heads = [e.text for e in ET.fromstring(picture.svg).iter() if e.get("class") == "h"]
    assert heads == [picture.title]
    assert picture.title.startswith("3 tasks; critical path 2 steps, 17.0 of ")
    assert "thick: the critical path" in texts(picture)
    # One that the picture has no room for is divided.
    assert len(task_graph(mock_up()).title) > 80
    begin = {"1,005 tasks, 1 actor, 1 failed, 1 not started"}
    assert begin <= {*texts(task_graph(mock_up()))}
    # Nothing ran: nothing is thick.
    assert {"0 tasks", "nothing ran"} <= {*texts(task_graph(recording()))}


def test_what_is_missing_is_said() -> None:
    run = recording(task("a", 1, 2, needs=("before", "long ago"), unnamed=3), dropped=12)
    words = (
        "+ 5 inputs that are not in the recording; 12 older tasks, puts and waits were forgotten"
    )
    assert words in texts(task_graph(run))
    assert words in task_graph(run).text


def test_a_circle_in_a_broken_file_ends() -> None:
    run = recording(task("a", 1, 2, needs=("b",)), task("b", 3, 4, needs=("a", "b"), parent="b"))
    assert len(graph_of(run).links) == 1
    check_drawing(task_graph(run))


def test_nothing_and_one() -> None:
    assert task_graph(recording()).title == "0 tasks; nothing ran"
    assert task_graph(recording(task("a", 1, 2))).title == (
        "1 task; critical path 1 step, 1.00 of 1.70 ms"
    )
    unknown = recording(actor("a", 1, 2))
    assert "actor Scores" in texts(task_graph(unknown)), "without its constructor"


def test_the_list_for_a_terminal() -> None:
    lines = task_graph(mock_up()).text.splitlines()
    assert lines[1] == "critical path 4 steps (━), 133 of 238 ms"
    assert lines[6:10] == [
        "    3 ━  load                                        31.0 ms  ← 1",
        "    4    load                                        12.0 ms  ← 1",
        "step 3",
        "    5    clean ×332                              200 µs each  ← 2",
    ]
    assert lines[-1].split() == ["12", "┄", "Scores.best", "waiting", "←", "9"]
    assert all(len(line) <= 80 for line in lines[2:])
    rows = task_graph(mock_up()).rows
    assert rows[5] == ("6", "3", "clean ×334", "done", "200 µs", "66.8 ms", "3", "yes")


def test_wide_signs_have_room() -> None:
    run = recording(
        task("a", 1, 2, name="数据清洗并合并所有结果", submitted=0.1),
        task("b", 3, 4, name="g", needs=("a",), submitted=0.2),
    )
    where = boxes(task_graph(run))
    assert where["a"][2] - where["a"][0] >= 11 * 2 * 7
    lines = task_graph(run).text.splitlines()
    first, second = (line for line in lines if "1.00 ms" in line and "critical" not in line)
    assert len(first) + 11 == second.index("1.00 ms") + 7, "in a terminal they take two columns"


def test_many_functions_in_one_step_and_many_steps_are_cut_and_said() -> None:
    wide = recording(
        *(task(f"{n}", n + 1, n + 2, name=f"f{n}", submitted=n / 1e4) for n in range(200))
    )
    assert max(labels(graph_of(wide)), key=len) == "188 tasks others"
    turns = [
        task(f"{n}", n + 1, n + 2, name=f"f{n % 2}", submitted=n / 1e4, needs=(f"{n - 1}",))
        for n in range(500)
    ]
    graph = graph_of(recording(*turns))
    assert "485 tasks in 485 steps" in labels(graph)
    picture = task_graph(recording(*turns))
    assert "tasks of several functions, folded" in texts(picture)
    check_drawing(picture)
    assert picture.width > 760
    assert f"width:{picture.width:.0f}px;max-width:none" in picture.to_html()


@st.composite
def programs(draw: st.DrawFn) -> Recording:
    """Any tasks, each of which may take some of those before it."""
    count = draw(st.integers(1, 80))
    parts: list[Any] = [put("p0", 0), put("p1", 0)]
    states = st.sampled_from(["done", "done", "done", "failed"])
    for at in range(count):
        ids = [part.id for part in parts]
        some = st.lists(st.sampled_from(ids[-draw(st.integers(1, 40)) :]), max_size=3, unique=True)
        in_room = draw(st.sampled_from(["", "", "", "X", "Y"]))
        more: dict[str, Any] = {"actor": in_room, "kind": "actor"} if in_room else {}
        parent = draw(st.none() | st.sampled_from(ids))
        name = draw(st.sampled_from("fgh"))
        parts.append(
            task(f"{at}", at + 1, at + 1.5, name=f"{in_room}.{name}" if in_room else name,
                 submitted=0.5 + at / 1e3, needs=draw(some), holds=draw(some),
                 parent=parent if parent and parent[0] != "p" else None, state=draw(states),
                 worker=2 + at % 2, **more)
        )  # fmt: skip
    made: Recording = recording(*parts)
    return made


@settings(max_examples=25, deadline=None)
@given(programs())
def test_any_program_is_drawn(run: Recording) -> None:
    graph = graph_of(run)
    assert graph.path_ns <= graph.whole_ns
    members = [member for node in graph.nodes for member in node.members]
    assert sorted(members) == sorted([t.id for t in run] + [p.id for p in run.puts])
    by_id = run.by_id
    for node in graph.nodes:
        assert {by_id[m].state if m in by_id else "put" for m in node.members} == {node.state}
    for link in graph.links:
        one, other = graph.nodes[link.source], graph.nodes[link.target]
        assert one.step < other.step or link.kind == "order"
    assert max(node.step for node in graph.nodes) < MOST_STEPS
    picture = task_graph(run)
    check_drawing(picture)
    again = task_graph(run)
    assert picture.svg.replace(picture.id, "") == again.svg.replace(again.id, "")
    assert all(len(line) <= 80 for line in picture.text.splitlines()[2:])


@pytest.mark.parametrize("back", [10, 10_000])
def test_ten_thousand_tasks_fit(back: int) -> None:
    parts = [
        task(f"{at}", at + 1, at + 1.5, name=f"function{at * 7 % 13}", submitted=at / 1e5,
             needs=tuple({f"{at * step % max(1, min(at, back)) + max(0, at - back)}"
                          for step in (3, 5, 11)}) if at else ())
        for at in range(10_000)
    ]  # fmt: skip
    graph = graph_of(recording(*parts))
    assert sum(node.count for node in graph.nodes) == 10_000
    rows = [node.step for node in graph.nodes]
    assert max(map(rows.count, rows)) <= MOST_IN_STEP + 1
    picture = task_graph(recording(*parts))
    check_drawing(picture)
    assert len(picture.to_html()) < 300_000


def test_a_row_that_fits_stands_where_it_wants() -> None:
    assert spread([10, 60], [20, 20], 5, 0, 100) == [10, 60]
    assert spread([30, 30], [20, 20], 10, 0, 100) == [15, 45], "both give way by as much"
    assert spread([-50, 95], [20, 20], 10, 0, 100) == [0, 80]
    assert spread([], [], 10, 0, 100) == []
    heights = spread([50, 40, 10, 70], [ROW] * 4, 8, 0, 500)
    assert all(b - a >= ROW + 8 for a, b in pairwise(heights))


def test_text_for_graphviz() -> None:
    run = recording(put("p", 0), task("a", 2, 3, name='say "\\N" & <b>', needs=("p",)))
    assert to_dot(run).splitlines() == [
        "digraph tasks {",
        "  rankdir=LR;",
        "  node [shape=box, fontname=monospace];",
        r'  n0 [label="put\n1.00 kB", shape=ellipse, style=solid, penwidth=1];',
        r'  n1 [label="say \"\\N\" &amp; <b>\n1.00 ms", shape=box, style=solid, penwidth=3];',
        "  n0 -> n1 [style=solid, penwidth=1];",
        "}",
    ]
    whole = to_dot(mock_up(), is_folded=False)
    assert whole.count("label=") == 1008, "1,006 tasks, a put and a room"
    assert "subgraph cluster_0 {" in whole


def test_text_for_mermaid() -> None:
    run = recording(put("p", 0), task("a", 2, 3, name='"] & <b>`', needs=("p",)))
    assert to_mermaid(run).splitlines() == [
        "flowchart LR",
        '  n0(["put<br/>1.00 kB"])',
        '  n1["#34;#93; #38; #60;b#62;#96;<br/>1.00 ms"]',
        "  n0 --> n1",
        "  classDef critical stroke-width:3px",
        "  class n1 critical",
    ]
    words = to_mermaid(mock_up())
    assert 'subgraph actor0["actor Scores"]' in words
    assert words.count("==>") == 3


@pytest.mark.parametrize("payload", PAYLOADS, ids=name_of)
def test_names_are_text_and_never_markup(payload: str) -> None:
    def run(name: str) -> Recording:
        made: Recording = recording(
            task("a", 1, 2, name=name),
            actor("b", 3, 4, name=f"{name[:9_000]}.{name[:9_000]}", needs=("a",)),
            task("c", 5, 6, name="f" + name[:9_000], state="failed", error=name[:9_000]),
        )
        return made

    picture, honest = task_graph(run(payload)), task_graph(run("a"))
    assert markup_of(picture.to_html())[:2] == markup_of(honest.to_html())[:2]
    root = ET.fromstring(picture.svg)
    assert {node.tag for node in root.iter()} <= {
        *(node.tag for node in ET.fromstring(honest.svg).iter()), f"{SVG}circle", f"{SVG}pattern",
    }  # fmt: skip
    assert not {a for node in root.iter() for a in node.attrib if a.startswith("on")}
    assert not acts("".join(root.itertext()))
    assert not acts(picture.text)
    assert len(picture.to_html()) < 300_000
    for words in (to_dot(run(payload)), to_mermaid(run(payload))):
        assert not acts(words)
        assert len(words.splitlines()) < 30
    mermaid = re.sub('<br/>|-->|==>|[\\[\\]"()]', "", to_mermaid(run(payload)))
    assert not re.search("[<>`]", mermaid)


def test_a_real_session(runtime: Any) -> None:
    @paralab.remote
    def part(x: list[int]) -> int:
        return x[0]

    @paralab.remote
    class Total:
        def add(self, *values: int) -> int:
            return sum(values)

    values = paralab.put([1, 2, 3])
    total: Any = Total.remote()
    parts = [part.remote(values) for _ in range(20)]
    assert paralab.get(total.add.remote(*parts)) == 20
    run = take()
    picture = task_graph(run)
    assert picture.title.startswith("21 tasks, 1 actor; critical path ")
    graph = graph_of(run)
    assert [label_of(node)[0] for node in graph.nodes] == ["put", "__init__", "part ×20", "add"]
    kinds = {(link.source, link.target): link.kind for link in graph.links}
    assert kinds == {(0, 2): "needs", (1, 3): "order", (2, 3): "needs"}
    check_drawing(picture)
    assert {"actor Total", "part ×20", "add"} <= {*texts(picture)}
