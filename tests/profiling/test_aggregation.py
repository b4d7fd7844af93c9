"""Chain against tree: shapes and times in closed form, the picture, and real sessions."""

from __future__ import annotations

import json
import math
import operator
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS
from synthetic import BEGIN, MS, put, recording, task, wait

import paralab
from paralab.shown_text import shown_name
from paralab_profiling import Aggregation, aggregate
from paralab_profiling.aggregation.differences import Difference
from paralab_profiling.aggregation.model import (
    CHAIN,
    TREE,
    Call,
    chain_calls,
    predicted_seconds,
    tree_calls,
    ways_of,
)
from paralab_profiling.scaling.model import Block

pytestmark = pytest.mark.slow

T = 100.0
"""ms of one made-up call."""


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 1000])
def test_both_shapes_make_the_same_number_of_calls(count: int) -> None:
    chain, tree = chain_calls(count), tree_calls(count)
    assert len(chain) == len(tree) == count - 1
    assert max(call.level for call in chain) + 1 == count - 1
    assert max(call.level for call in tree) + 1 == math.ceil(math.log2(count))
    for calls in (chain, tree):
        assert (calls[-1].first, calls[-1].last) == (0, count - 1)
        assert predicted_seconds(calls, 1, 0.1) == pytest.approx((count - 1) * 0.1)
        assert predicted_seconds(calls, 10**6, 0.1) == pytest.approx(
            (max(call.level for call in calls) + 1) * 0.1
        )


def test_a_value_that_is_left_over_goes_up() -> None:
    assert tree_calls(5) == [Call(0, 0, 1), Call(0, 2, 3), Call(1, 0, 3), Call(2, 0, 4)]


def test_the_example_of_eight_values_on_two_workers() -> None:
    assert predicted_seconds(tree_calls(8), 2, 0.1) == pytest.approx(0.4)
    assert predicted_seconds(tree_calls(8), 4, 0.1) == pytest.approx(0.3)
    assert predicted_seconds(chain_calls(8), 2, 0.1) == pytest.approx(0.7)


def run_of(calls: list[Call], name: str, at: float, workers: int) -> tuple[list[Any], Block]:
    """The calls level by level, without overhead; values are ``p0``, ``p1``, ..."""
    parts: list[Any] = []
    made: dict[tuple[int, int], str] = {}
    ends: dict[str, float] = {}
    start, level, lane = at, 0, 0
    for number, call in enumerate(calls):
        if call.level != level or lane == workers:
            start, level, lane = start + T, call.level, 0
        halves = next(
            ((call.first, cut), (cut + 1, call.last))
            for cut in range(call.first, call.last)
            if all(a == b or (a, b) in made for a, b in ((call.first, cut), (cut + 1, call.last)))
        )
        needs = [f"p{a}" if a == b else made[a, b] for a, b in halves]
        task_id = made[call.first, call.last] = f"{name}{at:.0f}.{number}"
        parts.append(
            task(
                *(task_id, start, start + T),
                submitted=at,
                ready=max(ends.get(need, at) for need in needs),
                needs=needs,
                worker=2 + lane,
                overhead=0,
                is_fetched=number == len(calls) - 1,
                bytes_out=1_000,
            )
        )
        ends[task_id] = start + T
        lane += 1
    parts.append(wait(at, start + T, made[0, calls[-1].last]))
    return parts, (round(BEGIN + at * MS), round(BEGIN + (start + T) * MS))


def made_up(count: int = 8, **more: Any) -> Aggregation:
    parts: list[Any] = [put(f"p{at}", -10, 1_000) for at in range(count)]
    blocks: dict[str, list[Block]] = {CHAIN: [], TREE: []}
    at = 0.0
    for _ in range(3):
        for name, calls in ((CHAIN, chain_calls(count)), (TREE, tree_calls(count))):
            found, block = run_of(calls, name, at, 2)
            parts += found
            blocks[name].append(block)
            at += T * count + 50
    whole = recording(*parts)
    chain, tree, gain = ways_of(whole, blocks, count, 2)
    same = Difference(True, 0.0)
    fields = {"shapes": same, "places": same} | more
    return Aggregation("add", count, 2, chain, tree, gain, (0.7,) * 3, recording=whole, **fields)


def test_the_figures_of_a_made_up_run() -> None:
    found = made_up()
    assert found.title == "Tree 1.75 × sooner than the chain"
    assert found.chain.middle == pytest.approx(0.7)
    assert found.tree.middle == pytest.approx(0.4)
    assert (found.chain.depth, found.tree.depth) == (7, 3)
    assert found.chain.predicted == pytest.approx(0.7)
    assert found.tree.predicted == pytest.approx(0.4)
    assert found.chain.path == pytest.approx(0.7)
    assert found.tree.path == pytest.approx(0.3)
    assert found.tree.replayed == pytest.approx(
        {1: 0.7, 2: 0.4, 4: 0.3, 8: 0.3, 16: 0.3, 32: 0.3, 64: 0.3}
    )
    assert list(found.chain.replayed.values()) == pytest.approx([0.7] * 7)
    assert found.tree.enough_workers() == 4
    # 7 calls of 100 bytes of arguments and two objects of 1,000.
    assert found.chain.bytes_read == found.tree.bytes_read == 7 * 2_100
    assert found.chain.bytes_written == 7_000
    assert len(found.tree.on_path) == 3


def test_the_text_in_80_columns() -> None:
    text = repr(made_up())
    chain, tree = (line.split() for line in text.splitlines()[5:7])
    assert " ".join(chain) == "chain 700 ms 700 ms 700 ms 700 ms 7 14.7 kB 7.00 kB"
    assert " ".join(tree) == "tree 400 ms 400 ms 400 ms 300 ms 3 14.7 kB 7.00 kB"
    assert "Replayed with overhead: tree 300 ms with 4 workers or more." in text
    assert "Chain and tree give the same result." in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_results_that_differ_are_said() -> None:
    rounding = made_up(shapes=Difference(False, 1.9e-15, True))
    assert rounding.title == "Tree 1.75 × sooner than the chain"
    assert "differ by 1.9e-15 of their size" in rounding.correctness()[0]
    wrong = made_up(shapes=Difference(False))
    assert wrong.title.endswith("but its result differs")
    assert wrong.correctness() == ["The results differ: add is not associative."]
    elsewhere = made_up(places=Difference(False)).correctness()
    assert elsewhere[1] == "The remote chain gives another result than the local loop."
    odd = made_up(shapes=Difference(False, problem="RuntimeError when they were compared"))
    assert "could not be compared: RuntimeError" in odd.correctness()[0]


def boxes_of(svg: str) -> dict[str, ET.Element]:
    return {e.attrib["data-task"]: e for e in ET.fromstring(svg).iter() if e.get("data-task")}


def test_every_call_is_drawn_where_it_ran() -> None:
    found = made_up()
    boxes = boxes_of(found.picture.svg)
    assert len(boxes) == 14
    scale = 580 / 0.7
    for way in (found.chain, found.tree):
        for each in way.tasks:
            start = (each.stamps["loaded"] - way.block[0]) / 1e9
            box = boxes[each.id]
            assert float(box.attrib["x"]) == pytest.approx(92 + start * scale, abs=0.1)
            assert float(box.attrib["width"]) == pytest.approx(0.1 * scale, abs=0.1)
            assert (box.get("stroke-width") == "2") == (
                way is found.tree and each.id in way.on_path
            )
    words = [e.text for e in ET.fromstring(found.picture.svg).iter() if e.text]
    assert {"v1–v8", "v7–v8", "700 ms", "400 ms", "depth 7", "depth 3"} <= set(words)
    assert "300 ms with 4 or more (replayed)" in words
    assert len(found.picture.rows) == 14


@pytest.mark.parametrize("count", [2, 3, 5, 11, 16, 17, 32])
def test_calls_of_the_tree_never_lie_on_each_other(count: int) -> None:
    found = made_up(count)
    boxes = boxes_of(found.picture.svg)
    places = [
        tuple(float(boxes[each.id].attrib[at]) for at in ("x", "y", "width", "height"))
        for each in found.tree.tasks
    ]
    for number, (x, y, width, height) in enumerate(places):
        for other_x, other_y, other_width, other_height in places[:number]:
            assert (
                x + width <= other_x + 0.2
                or other_x + other_width <= x + 0.2
                or y + height <= other_y
                or other_y + other_height <= y
            )
    height = float(ET.fromstring(found.picture.svg).attrib["viewBox"].split()[3])
    assert height <= 440


def test_many_values_are_drawn_as_a_band() -> None:
    picture = made_up(200).picture
    root = ET.fromstring(picture.svg)
    assert len([e for e in root.iter() if e.get("class") == "band"]) == 2
    assert picture.rows[60] == ("chain", "+ 139 more", "", "", "")
    words = [e.text for e in root.iter() if e.text]
    assert "in the function: 1.00 calls at a time on average" in words


@pytest.mark.slow
def test_ten_thousand_values_stay_small() -> None:
    count = 10_001
    parts: list[Any] = []
    blocks: dict[str, list[Block]] = {CHAIN: [], TREE: []}
    for at, name in ((0.0, CHAIN), (20_000.0, TREE)):
        parts += [
            task(f"{name}{n}", at + n, at + n + 1, submitted=at, overhead=0)
            for n in range(count - 1)
        ]
        blocks[name] = [(round(BEGIN + at * MS), round(BEGIN + (at + count) * MS))] * 3
    whole = recording(*parts)
    chain, tree, gain = ways_of(whole, blocks, count, 2)
    same = Difference(True, 0.0)
    found = Aggregation("f", count, 2, chain, tree, gain, (1.0,), same, same, whole)
    assert len(found._repr_mimebundle_()["text/html"]) < 300_000


def test_saving(tmp_path: Path) -> None:
    found = made_up()
    data = json.loads(found.save(tmp_path / "a.json").read_text())
    assert data == json.loads(json.dumps(found.to_dict()))
    assert data["tree"]["depth"] == 3
    assert found.save(tmp_path / "a.svg").read_text() == found.picture.svg
    assert "<img" in found.save(tmp_path / "a.html").read_text()
    with pytest.raises(ValueError, match=r"not '\.png'"):
        found.save(tmp_path / "a.png")


@pytest.mark.parametrize("name", PAYLOADS)
def test_names_are_text(name: str) -> None:
    picture = replace(made_up(3), name=shown_name(name)).picture
    ET.fromstring(picture.svg)
    assert "<script>alert" not in picture.to_html()
    assert not re.search(r"<[^>]*\son\w+=", picture.svg)


def test_tasks_that_were_forgotten_are_missed() -> None:
    found, block = run_of(chain_calls(4), CHAIN, 0, 2)
    with pytest.raises(ValueError, match="of the 3 calls of a chain the session remembers 2"):
        ways_of(recording(*found[:2]), {CHAIN: [block] * 3, TREE: [block] * 3}, 4, 2)


def join(left: str, right: str) -> str:
    return f"({left}{right})"


def test_on_a_real_session(runtime: Any) -> None:
    found = aggregate(operator.add, range(1, 12))
    assert (found.name, found.count, found.workers) == ("add", 11, 2)
    assert found.shapes.is_equal
    assert found.places.is_equal
    assert (found.chain.depth, found.tree.depth) == (10, 4)
    assert len(found.chain.seconds) == len(found.tree.seconds) == len(found.local) == 3
    assert {task.name for task in found.tree.tasks} == {"add"}
    assert found.tree.bytes_read > 0


def test_the_order_of_the_values_is_kept_and_what_is_not_associative_is_found(runtime: Any) -> None:
    assert aggregate(lambda a, b: a + b, "abcdefg").shapes.is_equal
    found = aggregate(paralab.remote(join), "abcde", workers=1)
    assert found.places.is_equal
    assert found.correctness() == ["The results differ: join is not associative."]


def test_the_bytes_of_large_arrays(runtime: Any) -> None:
    numpy = pytest.importorskip("numpy")
    found = aggregate(numpy.add, [numpy.ones(100_000) for _ in range(4)])
    assert found.shapes.is_equal
    for way in (found.chain, found.tree):
        assert 3 * 2 * 800_000 <= way.bytes_read < 3 * 2 * 800_000 * 1.1
        assert 3 * 800_000 <= way.bytes_written < 3 * 800_000 * 1.1


def test_what_it_refuses(runtime: Any) -> None:
    with pytest.raises(ValueError, match="at least two values, not 1"):
        aggregate(operator.add, [1])
    with pytest.raises(ValueError, match="at least 3 repeats"):
        aggregate(operator.add, [1, 2], repeats=1)
    with pytest.raises(ValueError, match="2 CPUs, so workers cannot be 3"):
        aggregate(operator.add, [1, 2], workers=3)
