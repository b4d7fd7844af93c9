"""Pictures of frames: rings beside boxes, and what they carry for a click to zoom into."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from math import pi
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from paralab_profiling import Picture, Profile, flame, icicle, stamp, sunburst
from paralab_profiling.profilers import Tree, Where, words
from paralab_profiling.profilers.sunburst import sector
from paralab_profiling.profilers.zoom import MOST

CLEAN = Where("clean", "clean.py", 3, "task")
LOAD = Where("load", "load.py", 1, "task")
NEAREST = Where("nearest", "clean.py", 14)
DISTANCE = Where("distance", "clean.py", 31)
NORM = Where("_norm", "numpy/linalg.py", 40, "library")
SVG = "{http://www.w3.org/2000/svg}"
DRAW = [icicle, flame, sunburst]


def profile() -> Profile:
    tree = Tree()
    tree.add([CLEAN], 0.1, 8)
    tree.add([CLEAN, NEAREST], 0.1)
    tree.add([CLEAN, NEAREST, DISTANCE], 0.3)
    tree.add([CLEAN, NEAREST, DISTANCE, NORM], 0.2)
    tree.add([LOAD], 0.3, 1)
    return Profile("cprofile", "s", tree.frames())


def many(count: int) -> Profile:
    tree = Tree()
    for number in range(count):
        at = Where(f"f{number % 60}", "a.py", number)
        tree.add([CLEAN, Where(f"g{number % 40}", "b.py", 1), at, NORM], 0.001 * (1 + number % 7))
    return Profile("t", "s", tree.frames())


def drawn(picture: Picture) -> dict[str, ET.Element]:
    """The marks that can be selected, by their keys."""
    marks = {e.get("data-task", ""): e for e in ET.fromstring(picture.svg).iter()}
    marks.pop("", None)
    return marks


def tip(mark: ET.Element) -> str:
    return mark.findtext(f"{SVG}title", "")


@pytest.mark.parametrize("draw", DRAW)
def test_all_of_how_it_was_measured_is_in_the_picture(draw: object) -> None:
    assert callable(draw)
    missed = "12 of 86 looks missed, up to 140 ms in a row, before Service.all_day was seen: a call"
    missed += " into C kept the interpreter, and nothing could be seen"
    found = replace(profile(), samples=74, workers={2: 1}, extra={"notes": [missed]})
    found = replace(found, stamp=stamp().facts())
    texts = list(ET.fromstring(draw(found).svg).iter(f"{SVG}text"))
    lines = [e.text or "" for e in texts]
    assert "cprofile, 1 process, 74 samples" in lines
    assert missed in " ".join(lines)
    assert words.measured_on(found) in lines
    # 5.6 is a letter of small text.
    small = [e for e in texts if e.get("class") == "s" and e.get("x") == "16.0"]
    assert len(small) >= 4
    assert all(16 + 5.6 * len(e.text or "") <= 744 for e in small)
    heights = [float(e.attrib["y"]) for e in small]
    assert all(below - above >= 16 for above, below in pairwise(sorted(heights)))
    assert max(heights) + 4 <= float(ET.fromstring(draw(found).svg).attrib["viewBox"].split()[3])
    endless = replace(found, extra={"notes": ["word " * 10_000]})
    words_seen = " ".join(ET.fromstring(draw(endless).svg).itertext()).rpartition("2 cores")[2]
    assert 50 < words_seen.count("word") < 120, "they end, and a sign says so"
    assert "…" in words_seen


@pytest.mark.parametrize("draw", DRAW)
def test_every_frame_is_drawn_and_told(draw: object) -> None:
    assert callable(draw)
    picture = draw(profile())
    marks = drawn(picture)
    assert marks.keys() == picture.details.keys() == {f"frame{number}" for number in range(6)}
    assert [picture.details[key]["function"] for key in sorted(marks)] == [
        "all tasks", "clean", "nearest", "distance", "_norm", "load",
    ]  # fmt: skip
    assert "50 %" in picture.details["frame3"]["total"]
    assert picture.title.startswith("50 % of 1.00 s in distance")
    assert [key for key, mark in marks.items() if mark.get("stroke-width") == "2"] == ["frame3"]


def test_boxes_and_rings_of_one_profile_select_together() -> None:
    one, other, third = icicle(profile()), sunburst(profile()), sunburst(many(3))
    assert one.run == other.run != third.run
    assert one.id != other.id
    assert {key: tip(mark) for key, mark in drawn(one).items() if key != "frame0"} == {
        key: tip(mark) for key, mark in drawn(other).items() if key != "frame0"
    }


@pytest.mark.parametrize("draw", DRAW)
def test_rows_say_where_each_frame_lies(draw: object) -> None:
    assert callable(draw)
    zoom = draw(profile()).zoom
    callers = [row[0] for row in zoom["rows"]]
    assert callers == [-1, 0, 1, 2, 3, 0]
    assert all(caller < number for number, caller in enumerate(callers))
    for caller, start, width, *_ in zoom["rows"][1:]:
        around = zoom["rows"][caller]
        assert around[1] - 1e-5 <= start <= start + width <= around[1] + around[2] + 1e-5
    assert [row[2] for row in zoom["rows"]] == pytest.approx([1, 0.7, 0.6, 0.5, 0.2, 0.3])
    assert [len(row) for row in zoom["rows"]] == [6, 6, 6, 7, 6, 6], "the answer is marked"


@pytest.mark.parametrize("draw", DRAW)
def test_of_many_frames_the_largest_can_be_zoomed_into(draw: object) -> None:
    assert callable(draw)
    large = many(3000)
    picture = draw(large)
    assert len(picture.to_html()) < 300_000
    assert "too small to be drawn" in picture.svg
    rows = picture.zoom["rows"]
    assert len(rows) == MOST + 1
    totals = sorted((f.total for root in large.roots for _, f in root.walk()), reverse=True)
    assert min(row[2] for row in rows) == pytest.approx(totals[MOST - 1] / totals[0], abs=1e-6)


@pytest.mark.parametrize("draw", DRAW)
def test_nothing_measured_is_a_picture_too(draw: object) -> None:
    assert callable(draw)
    for empty in (Profile("t", "s", ()), Profile("t", "samples", many(0).roots)):
        picture = draw(empty)
        assert list(drawn(picture)) == ["frame0"]
        assert "Nothing was measured" in picture.title
    tree = Tree()
    tree.add([CLEAN], 0.0, 1)
    assert draw(Profile("t", "s", tree.frames())).title == "Nothing measured, over 1 task"


def test_the_arcs_of_a_ring_are_as_long_as_their_shares() -> None:
    marks = drawn(sunburst(profile()))
    clean, load = marks["frame1"].get("d", ""), marks["frame5"].get("d", "")
    # The large one has more than half of the circle, which an arc has to be told.
    flags = [re.findall(r"A\S+ \S+ 0 ([01] [01]) ", way) for way in (clean, load)]
    assert flags == [["1 1", "1 0"], ["0 1", "0 0"]]
    [end] = re.findall(r"A\S+ \S+ 0 1 1 ([\d.]+ [\d.]+)", clean)
    assert load.split("L")[1].startswith(end), "where one ends, the next begins"


def test_one_frame_that_is_everything_is_a_whole_ring() -> None:
    tree = Tree()
    tree.add([CLEAN, NEAREST], 1.0, 1)
    marks = drawn(sunburst(Profile("t", "s", tree.frames())))
    way = marks["frame1"].get("d", "")
    assert way.count("A") == 4
    assert marks["frame1"].get("fill-rule") == "evenodd"
    assert sector(10, 20, 0, pi / 2).count("A") == 2


def test_a_picture_is_saved_as_drawing_or_as_page(tmp_path: Path) -> None:
    picture = sunburst(profile())
    ET.parse(picture.save(tmp_path / "it.svg"))
    page = picture.save(tmp_path / "it.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.count("<script") == 1
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+|https://ui\.perfetto\.dev", "", page)
