"""The timeline as a drawing, as text and as a table: figures, places, and that names are text."""

from __future__ import annotations

import json
import re
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest
from hostile import PAYLOADS, acts, markup_of, name_of
from synthetic import MS, pending, recording, task, wait

import paralab
from paralab_profiling import Picture, Recording, perfetto, take, timeline
from paralab_profiling.timelines.layout import LEFT, RIGHT, clear_of, points_of

pytestmark = pytest.mark.slow

SVG = "{http://www.w3.org/2000/svg}"


def example() -> Recording:
    """``a`` and ``b`` beside each other, then ``c``, on an actor, which took both."""
    run: Recording = recording(
        task("a", 10, 60, name="load", submitted=0, overhead=2),
        task("b", 10, 30, name="load", worker=3, submitted=0, overhead=2),
        task("c", 64, 94, name="Scores.add", worker=4, submitted=0, needs=("a", "b"), overhead=2,
             kind="actor", actor="s"),
        wait(7, 100, "c"),
    )  # fmt: skip
    return replace(run, processes={**run.processes, 4: "actor Scores (4)"})


def marks(picture: Picture, attribute: str) -> dict[str, ET.Element]:
    found = ET.fromstring(picture.svg).iter()
    return {each.attrib[attribute]: each for each in found if attribute in each.attrib}


def x(ms: float, of: float = 100.0) -> float:
    return LEFT + (RIGHT - LEFT) * ms / of


def test_the_finding_and_what_kept_it() -> None:
    picture = timeline(example())
    assert picture.title == "100 ms, workers 35 % busy"
    assert " ".join(" ".join(picture.text.splitlines()[1:3]).split()) == (
        "driver blocked in get 93.0 ms; worker 2 waits 30.0 ms while one Scores.add runs"
    )
    words = [text.text for text in ET.fromstring(picture.svg).iter(f"{SVG}text")]
    assert picture.title in words
    assert {"driver", "worker 1", "worker 2", "actor Scores (4)"} <= {*words}
    assert {"50 % busy", "20 % busy", "30 % busy", "93 % blocked"} <= {*words}
    assert "blocked in get(Scores.add)" in words
    assert "critical path: 2 tasks run 80.0 ms of 100 ms" in words


def test_it_opens_in_perfetto() -> None:
    assert json.loads(timeline(example()).trace) == perfetto(example())


def test_bars_are_to_scale_and_the_critical_ones_outlined() -> None:
    bars = marks(timeline(example()), "data-task")
    places = {
        name: (float(bar.attrib["x"]), float(bar.attrib["width"])) for name, bar in bars.items()
    }
    assert places["a"] == pytest.approx((x(10), x(60) - x(10)), abs=0.06)
    assert places["b"] == pytest.approx((x(10), x(30) - x(10) - 0.6), abs=0.06)
    assert places["c"] == pytest.approx((x(64), x(94) - x(64)), abs=0.06)
    assert [name for name, bar in bars.items() if "stroke" in bar.attrib] == ["a", "c"]
    tops = [float(bars[name].attrib["y"]) for name in "abc"]
    assert tops == sorted(tops)
    assert len({*tops}) == 3, "each on a lane of its own"
    assert bars["b"][0].text == "load: runs 20.0 ms, before 3.00 ms, store 2.00 ms"


def test_arrows_go_along_the_critical_path() -> None:
    picture = timeline(example())
    (arrow,) = [p for p in ET.fromstring(picture.svg).iter(f"{SVG}path") if "data-from" in p.attrib]
    assert (arrow.attrib["data-from"], arrow.attrib["data-to"]) == ("a", "c")
    numbers = [float(n) for n in arrow.attrib["d"].replace("M", "").replace("C", " ").split()]
    assert (numbers[0], numbers[-2]) == pytest.approx((x(60), x(64)), abs=0.06)
    assert picture.details["c"]["takes"] == "a, b"


def test_arrows_to_what_a_task_submitted_are_hidden() -> None:
    run = recording(
        task("a", 1, 80, submitted=0),
        task("b", 20, 50, submitted=10, owner=2, worker=3, parent="a"),
        task("c", 20, 60, submitted=11, owner=2, worker=4, parent="a"),
        wait(12, 61, "b", process=2, parent="a", count=2),
    )
    root = ET.fromstring(timeline(run).svg)
    arrow, other = [p for p in root.iter(f"{SVG}path") if "data-from" in p.attrib]
    if "class" not in arrow.attrib:
        arrow, other = other, arrow
    assert (other.attrib["data-from"], other.attrib["data-to"]) == ("a", "c")
    assert "class" not in other.attrib, "it is on the critical path"
    assert arrow.attrib["class"] == "sel"
    assert (arrow.attrib["data-from"], arrow.attrib["data-to"]) == ("a", "b")
    start = float(arrow.attrib["d"][1:].split()[0])
    assert start == pytest.approx(x(10, 80.3), abs=0.06), "where it was submitted"
    assert [row for row in timeline(run).rows if "waits 49.0 ms" in row[-1]]


def test_failed_and_unfinished_tasks_are_told_by_more_than_colour() -> None:
    running = replace(pending("r", 5, "running"), worker=3)
    lost = replace(pending("l", 5), failed=True, state="failed")
    run = recording(task("a", 1, 90, failed=True, state="failed"), running, pending("q", 5), lost)
    picture = timeline(run)
    bars = marks(picture, "data-task")
    assert bars["r"].attrib["stroke-dasharray"]
    assert bars["a"].attrib["fill"] == "#d5372b"
    crosses = [p for p in ET.fromstring(picture.svg).iter(f"{SVG}path")
               if p.get("stroke") == "#fff" and p.get("fill") == "none"]  # fmt: skip
    assert len(crosses) == 1
    assert "1 failed ✕; 1 failed without having run; 2 not ended" in picture.text.replace("\n", " ")
    assert "failed ✕" in [row[-1] for row in picture.rows]


def test_short_tasks_are_a_band_of_the_share_in_which_they_run() -> None:
    tasks = [
        task(f"{n}", n / 10, n / 10 + 0.05, submitted=0, overhead=0, name="clean")
        for n in range(10_000)
    ]
    run = recording(*tasks, wait(1, 1_000, "0", count=10_000), workers=1)
    begin = time.process_time()
    picture = timeline(run)
    assert time.process_time() - begin < 20, "nothing in it is quadratic"
    assert picture.title == "1.00 s, workers 50 % busy"
    pale, band = [p for p in ET.fromstring(picture.svg).iter(f"{SVG}path")
               if p[:1] and "clean" in (p[0].text or "")]  # fmt: skip
    assert band[0].text == ("9,999 × clean, together 500 ms; the height is the share of the time")
    assert marks(picture, "data-task").keys() == {"9999"}, "the end, on the critical path"
    assert band.attrib["d"].startswith(f"M{LEFT:g} "), "it begins at zero"
    assert "v-14h" in band.attrib["d"], "half of 28"
    assert pale.attrib["fill-opacity"]
    assert pale.attrib["d"] == band.attrib["d"], "there is no overhead"
    assert len(picture.to_html()) < 300_000
    assert all(len(line) <= 80 for line in picture.text.splitlines())


def test_the_overhead_of_short_tasks_is_pale_above_them() -> None:
    tasks = [task(f"{n}", n + 0.5, n + 0.75, submitted=n - 3, overhead=0.25) for n in range(1_000)]
    picture = timeline(recording(*tasks, workers=1))
    paths = [p for p in ET.fromstring(picture.svg).iter(f"{SVG}path")
             if p[:1] and "999 × f" in (p[0].text or "")]  # fmt: skip
    heights = [{*re.findall(r"v-(\d+)h", p.attrib["d"])} for p in paths]
    assert {int(high) for high in heights[1]} <= set(range(3, 9)), "about a quarter of 28"
    assert "25" in heights[0] or "24" in heights[0], "in the queue, unpickle, run, store: 0.875"
    assert "workers 62 % at work on overhead" in picture.text.replace("\n ", "")


def test_a_big_run_of_all_kinds_stays_small() -> None:
    name = "<script>alert('&')</script>" * 20
    tasks = [
        task(
            f"1.{n}", n // 14 + n % 14 / 20, n // 14 + 0.4 + n % 7, worker=2 + n % 14,
            name=f"{n % 20}{name}", submitted=n / 100, needs=(f"1.{n - 1}",) if n else (),
            failed=n % 50 == 3, kind="actor", actor=f"{n % 14}",
        )
        for n in range(10_000)
    ]  # fmt: skip
    waits = [wait(n, n + 0.9, f"1.{n}", count=3) for n in range(700)]
    picture = timeline(recording(*tasks, *waits, workers=14))
    assert len(picture.to_html()) < 300_000
    assert len(picture.rows) <= 61
    assert "+ 3 more lanes, less busy" in picture.text


def test_many_calls_at_once_are_a_shape_that_says_how_many() -> None:
    tasks = [task(f"{n}", 1 + n / 100, 50, submitted=0, kind="actor", actor="x") for n in range(40)]
    words = [t.text for t in ET.fromstring(timeline(recording(*tasks)).svg).iter(f"{SVG}text")]
    assert "40 × f, up to 40 at once" in words


def test_nothing_has_run() -> None:
    picture = timeline(recording())
    assert picture.title == picture.text.splitlines()[0] == "No task has been recorded"
    assert ET.fromstring(picture.svg).tag == f"{SVG}svg"


@pytest.mark.parametrize("payload", PAYLOADS, ids=name_of)
def test_names_are_text_and_never_markup(payload: str) -> None:
    name = payload[:3_000]
    run = recording(
        task("a", 1, 60, name=name, submitted=0, failed=True, error=name),
        task("b", 61, 90, name=f"f.{name}", needs=("a",)),
        wait(1, 90, "b"),
    )
    picture = timeline(replace(run, processes={1: "driver", 2: f"actor {name} (2)"}))
    texts = [each.text for each in ET.fromstring(picture.svg).iter() if each.text]
    assert texts
    plain = timeline(recording(task("a", 1, 60, submitted=0), task("b", 61, 90, needs=("a",)),
                               wait(1, 90, "b")))  # fmt: skip
    assert markup_of(picture.svg)[0] <= markup_of(plain.svg)[0] | {"path", "circle"}
    assert markup_of(picture.to_html())[:2] == markup_of(plain.to_html())[:2]
    assert not acts(picture.text.replace("\n", ""))
    assert all(len(line) <= 80 for line in picture.text.splitlines())


def test_text_stays_in_the_picture() -> None:
    run = recording(
        *(task(f"{n}", 10, 60, name="w" * 90, submitted=n, worker=2 + n) for n in range(9)),
        wait(1, 70, "0"),
    )
    run = replace(run, processes={n: f"actor {'W' * 90} ({n})" for n in range(1, 11)})
    picture = timeline(run)
    for text in ET.fromstring(picture.svg).iter(f"{SVG}text"):
        style, words = text.attrib["class"].split(), text.text or ""
        wide = len(words) * (8.5 if "h" in style else 6.95 if "m" in style else 5.6)
        left = float(text.attrib["x"]) - wide * ("e" in style) - wide / 2 * ("c" in style)
        assert left >= 0, words
        assert left + wide <= 760, words


def test_a_real_session(runtime: Any) -> None:
    @paralab.remote
    def leaf(x: int) -> int:
        return x

    @paralab.remote
    def outer(x: int) -> int:
        return int(paralab.get(leaf.options(num_cpus=0).remote(x)))

    @paralab.remote
    class Counter:
        def add(self, x: int) -> int:
            return x

    counter: Any = Counter.remote()
    assert paralab.get(counter.add.remote(outer.remote(1))) == 1
    run = take()
    picture = timeline(run)
    marked = marks(picture, "data-task")
    assert {task.id for task in run} == marked.keys(), "four calls, none hides another"
    lanes = [row[0] for row in picture.rows if row[1].startswith("all")]
    assert lanes[0] == "driver"
    assert any(lane.startswith("actor Counter") for lane in lanes)
    assert sum(lane.startswith("worker") for lane in lanes) == 2, "outer waits, so leaf has another"
    by_name = {task.name.rpartition(".")[2]: task.id for task in run}
    assert "critical path" in picture.text
    assert "waits" in next(row[-1] for row in picture.rows if f"({by_name['outer']})" in row[1])
    assert f"{(run.span_ns[1] - run.span_ns[0]) / MS:.3g}"[:2] in picture.title


def test_labels_make_room_for_arrows_where_they_can() -> None:
    across = list(points_of(100, 20, 300, 60))
    assert across[0] == (100, 20)
    assert across[-1] == (300, 60)
    assert clear_of([], 0, 200, 40, 50) == 100, "the middle"
    x = clear_of([(100, 40), (140, 41)], 0, 200, 40, 50)
    assert x + 28 < 100, "left of both"
    assert x - 25 >= 0
    assert clear_of([(100, 60)], 0, 200, 40, 50) == 100, "it goes by below"
    assert clear_of([(100, 40)], 80, 130, 40, 50) == 105, "there is no room"
