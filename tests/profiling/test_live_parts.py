"""The live parts of tasks: sums of what has ended, the picture of them, and what the page gets."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest
from hostile import PAYLOADS, acts, markup_of, name_of
from synthetic import BEGIN, MS, pending, task

from paralab_profiling.breakdown.parts import function_parts
from paralab_profiling.breakdown.so_far import REST, SPANS, UNDER_WAY, SoFar, draw
from paralab_profiling.live.overhead import OverheadFrames
from paralab_profiling.live.watched import Count, Watched
from paralab_profiling.recording import Recording
from paralab_profiling.svg import nice_end


def so_far() -> SoFar:
    """80 tasks of 7 ms, 400 of 0.5 ms with an overhead of 0.3 ms in each part."""
    found = SoFar(2)
    found.add(task(f"2.{n}", 10 * n, 10 * n + 7, name="load") for n in range(80))
    found.add(task(f"3.{n}", 2 * n, 2 * n + 0.5, name="clean", overhead=0.3) for n in range(400))
    return found


def test_sums_are_those_of_the_picture_that_stays_without_waiting() -> None:
    tasks = [task(f"2.{n}", 10 * n + 5, 10 * n + 12, submitted=0) for n in range(8)]
    found = SoFar(2)
    found.add([*tasks, pending("2.9", 3)])
    assert found.heard == {"f": 8}
    (row,) = function_parts(Recording(tuple(tasks), 2, {}))
    parts = found.rows({"f": 8})["f"]
    assert parts["run"] == pytest.approx(8 * row.parts["run"])
    assert parts["store"] == pytest.approx(8 * row.parts["store"])
    assert parts["pickle + submit"] == pytest.approx(
        8 * (row.parts["pickle"] + row.parts["submit"])
    )
    total = 8 * (row.total_ns - sum(row.waiting.values()))
    assert sum(parts.values()) == pytest.approx(total)


def test_those_that_were_not_heard_of_count_as_the_others_did() -> None:
    found = so_far()
    assert found.rows({"load": 80, "clean": 800})["clean"]["run"] == pytest.approx(400 * MS)
    assert found.rows({"load": 80})["load"]["run"] == pytest.approx(560 * MS)
    together = found.workers_time({"load": 80, "clean": 800}, 880 * MS, 120 * MS)
    assert together["run"] == 960 * MS
    assert together[UNDER_WAY] == 120 * MS
    assert together["store"] == pytest.approx(80 * 0.1 * MS + 800 * 0.3 * MS)
    assert sum(together.values()) == pytest.approx(2 * 880 * MS)
    more = found.workers_time({"load": 80, "clean": 800}, 100 * MS, 0)
    assert more[REST] == 0, "actors that need no CPU run beside the workers"


def test_the_picture_says_on_what_it_rests() -> None:
    picture = draw(so_far(), {"load": 80, "clean": 800}, 880 * MS, 120 * MS)
    assert picture.title == "Your functions had 61 % of the workers' time so far"
    lines = picture.text.splitlines()
    assert lines[1] == "880 tasks have ended; parts: of 480 of them, times their number"
    assert max(map(len, lines)) <= 80
    assert picture.rows[1] == (
        "load", "80", "16.0 ms", "12.0 ms", "560 ms", "8.00 ms", "8.00 ms", "604 ms",
    )  # fmt: skip
    tips = [
        title.text for title in ET.fromstring(picture.svg).iter() if title.tag.endswith("title")
    ]
    assert "all workers, still running: 120 ms" in tips
    assert {f"load, {part}" for part in SPANS} <= {str(tip).partition(":")[0] for tip in tips}
    nested = SoFar(1)
    nested.add([task("2.1", 1, 5, parent="2.0")])
    assert "standing in get counts as running" in draw(nested, {"f": 1}, 9 * MS, 0).svg
    assert "had 0 %" in draw(SoFar(2), {}, MS, 0).title


def test_bars_grow_towards_a_round_end() -> None:
    assert [nice_end(at) for at in (0.0, 0.9, 1.0, 1.01, 4.9, 50.0)] == [0.001, 1, 1, 2, 5, 50]

    def width(ms: float) -> float:
        svg = draw(SoFar(1), {}, ms * MS, ms * MS).svg
        found = re.search(r'width="([\d.]+)"[^>]*><title>all workers, still', svg)
        assert found is not None
        return float(found[1])

    assert width(600) < width(900)


def test_many_functions_are_cut_and_said() -> None:
    found = SoFar(2)
    found.add(task(f"2.{n}", n, n + 1, name=f"f{n}") for n in range(30))
    picture = draw(found, {f"f{n}": 1 for n in range(30)}, 40 * MS, 0)
    assert "+ 22 functions, in the table" in picture.svg
    assert len(picture.rows) == 30


@pytest.mark.parametrize("payload", PAYLOADS, ids=name_of)
def test_names_stay_text(payload: str) -> None:
    def of(name: str) -> Any:
        found = SoFar(2)
        found.add([task("2.1", 1, 5, name=name)])
        return draw(found, {name: 1}, 9 * MS, 0)

    picture = of(payload[:10_000])
    assert acts(picture.text) == []
    assert markup_of(picture.to_html())[1] == markup_of(of("f").to_html())[1]


def test_a_frame_is_a_drawing_that_grows() -> None:
    watched = Watched(BEGIN)
    frames = OverheadFrames(watched, 2)
    waits = pending("2.2", 1)
    runs = replace(pending("2.3", 2, "running"), worker=3)
    runs = replace(runs, stamps={**runs.stamps, "sent": BEGIN + 4 * MS})
    watched.marks = {each.id: each for each in (waits, runs)}
    watched.counts = {"f": Count(done=0, running=1, waiting=1)}
    first = frames.next([waits, runs], BEGIN + 10 * MS)
    assert first["n"] == 0, "always the whole"
    assert "still running: 6.00 ms" in first["svg"]
    assert "had 30 % of" in first["svg"]
    watched.counts = {"f": Count(done=1, running=1)}
    second = frames.next([task("2.1", 1, 8, worker=3)], BEGIN + 10 * MS)
    assert "still running: 1.90 ms" in second["svg"], "the worker was not free before"
    assert "sums over 1 task that has ended" in second["svg"]
    assert len(second["svg"]) < 12_000
