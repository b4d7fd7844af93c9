"""Measurements that are shown while they are made: what is drawn, and what is left at the end."""

from __future__ import annotations

import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS, acts, markup_of, name_of
from synthetic import BEGIN, pending, task

import paralab
from paralab_profiling import aggregate, speedup
from paralab_profiling.aggregation.so_far import AggregationSoFar
from paralab_profiling.live import following as module
from paralab_profiling.live.following import following
from paralab_profiling.live.watched import Count, Watched
from paralab_profiling.picture import Picture
from paralab_profiling.scaling.so_far import LOCAL, SpeedupSoFar


def tips(picture: Picture) -> list[str]:
    """What hovering tells of the marks."""
    found = ET.fromstring(picture.svg).iter("{http://www.w3.org/2000/svg}title")
    return [str(title.text) for title in found][1:]  # the first is the picture's


def measured() -> SpeedupSoFar:
    found = SpeedupSoFar("fib", [1, 2], 3, sizes=3)
    found.begin(6)
    for _ in range(3):
        for number, seconds in ((LOCAL, 0.1), (1, 0.2), (2, 0.11)):
            found.add(number, seconds)
    found.begin(25)
    for number, seconds in ((LOCAL, 0.6), (1, 0.6), (2, 0.3), (LOCAL, 0.4)):
        found.add(number, seconds)
    return found


def test_each_run_is_a_dot_and_what_remains_is_said() -> None:
    picture = measured().picture()
    assert picture.title == "1.67 × as fast on 2 workers so far"
    lines = picture.text.splitlines()
    # One local run of 500 ms, two of 600 ms, two of 300 ms.
    assert lines[1] == "fib: 4 of 9 runs of size 25, about 2.30 s to go; then 1 more size"
    assert lines[-1] == "size 6: 0.909 × as fast on 2 workers"
    assert tips(picture) == [
        "local, run 1: 600 ms", "local, run 2: 400 ms", "1 worker, run 1: 600 ms",
        "2 workers, run 1: 300 ms",
    ]  # fmt: skip
    assert picture.rows[0] == ("local", "2", "3", "500 ms")


def test_before_the_first_run_nothing_is_claimed() -> None:
    found = SpeedupSoFar("fib", [2], 3)
    assert found.picture().title == "No run of both kinds has ended yet"
    found.begin(None)
    found.add(2, 0.1)
    picture = found.picture()
    assert picture.title == "No run of both kinds has ended yet"
    assert picture.text.splitlines()[1] == "fib: 1 of 6 runs", (
        "how long the local ones take is open"
    )


def test_sizes_before_are_cut_and_said() -> None:
    found = SpeedupSoFar("fib", [2], 3, 20)
    for size in range(1, 21):
        found.begin(size)
        found.add(LOCAL, 0.2)
        found.add(2, 0.1)
    assert found.picture().text.splitlines()[4:6] == [
        "+ 11 sizes before", "size 12: 2.00 × as fast on 2 workers",
    ]  # fmt: skip


def filled(states: list[Any], done: int = 0, count: int = 4) -> AggregationSoFar:
    found = AggregationSoFar("add", count, 3)
    found.begin("chain")
    found.end(0.6)
    found.begin("tree")
    watched = Watched(BEGIN)
    watched.marks = {each.id: each for each in states}
    watched.counts = {"add": Count(done=done)}
    found.hear(watched)
    return found


def test_chain_and_tree_fill() -> None:
    runs, waits = pending("2.9", 2, "running"), pending("2.10", 3, "waiting")
    inside = task("2.7", 1, 2, submitted=0.5, parent="2.8")
    picture = filled([waits, runs, inside, task("2.8", 3, 4, submitted=1)], done=1).picture()
    assert tips(picture) == [
        *(f"v1–v{last}: done" for last in (2, 3, 4)),
        "v1–v2: done", "v3–v4: runs", "v1–v4: waits",
    ]  # fmt: skip
    assert picture.title == "add: no pair of runs has ended yet"
    assert picture.rows == [
        ("chain", "3", "3", "3", "1 of 3 runs, median 600 ms"),
        ("tree", "2", "1", "3", "0 of 3 runs"),
    ]


def test_the_factor_comes_with_the_first_pair() -> None:
    found = filled([])
    found.end(0.3)
    assert found.picture().title == "Tree 2.00 × as fast as the chain so far"
    assert found.note.startswith("2 of 9 runs; 3 calls each")
    found.begin("local")
    found.end(0.1)
    assert found.note.startswith("3 of 9 runs, about 2.00 s to go")


def test_many_calls_are_one_bar() -> None:
    picture = filled([], done=300, count=500).picture()
    assert tips(picture) == ["499 of 499 calls done", "300 of 499 calls done"]
    assert picture.rows[1][:4] == ("tree", "9", "300", "499")


@pytest.mark.parametrize("payload", PAYLOADS, ids=name_of)
def test_names_stay_text(payload: str) -> None:
    def of(name: str) -> list[Picture]:
        return [
            SpeedupSoFar(name, [2], 3).picture(),
            AggregationSoFar(name, 4, 3).picture(),
        ]

    for picture, honest in zip(of(payload[:10_000]), of("f"), strict=True):
        assert acts(picture.text) == []
        assert markup_of(picture.to_html())[1] == markup_of(honest.to_html())[1]


class Page:
    """In the place of a notebook's page."""

    made: list[Page]
    on_frame: Callable[[str], None]

    def __init__(self, kind: str, whole: Callable[[], dict[str, Any]]) -> None:
        assert kind == "drawn"
        self.whole = whole
        self.lock = threading.RLock()
        self.frames = [whole()["svg"]]
        self.left: list[Picture | None] = []
        self.made.append(self)

    def send(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame["svg"])
        self.on_frame(frame["svg"])

    def close(self, picture: Picture | None) -> None:
        self.left.append(picture)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[Page]:
    monkeypatch.setattr(Page, "made", [], raising=False)
    monkeypatch.setattr(Page, "on_frame", staticmethod(lambda _svg: None), raising=False)
    monkeypatch.setattr(module, "Place", Page)
    return Page.made


def test_the_widget_goes_at_the_end_and_stays_as_a_picture_after_an_error(
    pages: list[Page], runtime: Any
) -> None:
    picture = SpeedupSoFar("f", [2], 3).picture()
    with following(lambda: picture, live=True) as shown:
        shown.tell()
    (page,) = pages
    assert len(page.frames) == 2
    assert page.left == [None], "the result shows itself"
    with pytest.raises(KeyboardInterrupt), following(lambda: picture, live=True):
        raise KeyboardInterrupt
    assert pages[1].left == [picture]
    with following(lambda: picture, live=None) as shown, shown.watching(lambda _watched: None):
        shown.tell()
    assert len(pages) == 2, "this is no notebook"


@pytest.mark.slow
def test_a_speed_up_that_is_shown(pages: list[Page], runtime: Any) -> None:
    found = speedup(abs, range(3), workers=[2], repeats=3, live=True)
    assert found.gain.count == 3
    (page,) = pages
    assert page.left == [None]
    svg = page.whole()["svg"]
    assert "6 of 6 runs" in svg
    assert svg.count('class="run"') == 6


@pytest.mark.slow
def test_calls_fill_while_they_run(pages: list[Page], runtime: Any, tmp_path: Path) -> None:
    hold, go = str(tmp_path / "hold"), tmp_path / "go"

    def add(one: int, other: int) -> int:
        while Path(hold).exists() and not Path(hold).with_name("go").exists():
            time.sleep(0.01)
        return one + other

    def on_frame(svg: str) -> None:
        Path(hold).touch()  # after the warm-up, before the first run
        if "v1–v2: runs" in svg:
            go.touch()

    Page.on_frame = staticmethod(on_frame)
    found = aggregate(add, range(3), repeats=3, live=True)
    assert found.shapes.is_equal
    (page,) = pages
    assert any("v1–v2: runs" in svg and "v1–v3: waits" in svg for svg in page.frames)
    assert "9 of 9 runs" in page.whole()["svg"]
    assert page.left == [None]


def test_live_without_the_packages_says_what_to_install(
    runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_all: Any) -> None:
        raise ImportError("Live views need anywidget")

    monkeypatch.setattr(module, "Place", missing)
    with pytest.raises(ImportError, match="anywidget"):
        speedup(abs, range(3), workers=[2], repeats=3, live=True)
    paralab.get(paralab.remote(lambda: 1).remote())
