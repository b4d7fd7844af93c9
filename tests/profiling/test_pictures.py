"""Runs and their pictures, on made-up events: the figures, the words, and that names are text."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import pytest
from synthetic import BEGIN, MS, recording, task

from paralab_profiling import Recording, Run, Slice, compare, runs, verdict
from paralab_profiling.bands import band_cells, band_path
from paralab_profiling.details import byte_count
from paralab_profiling.runs import run_of
from paralab_profiling.scaling.missing_time import missing_time
from paralab_profiling.svg import Drawing, duration, three_digits, ticks

TIME = 0.1


def rows(label: str = "submit all, then get", tasks: int = 8, extra: float = 0.02) -> Run:
    """Two workers that are busy all the time."""
    each = [
        Slice("parse", 7 + number % 2, number // 2 * TIME, (number // 2 + 1) * TIME)
        for number in range(tasks)
    ]
    return Run(label, tasks // 2 * TIME + extra, 2, each)


def stairs(label: str = "get in the loop", tasks: int = 8) -> Run:
    """Two workers that take turns."""
    each = [
        Slice("parse", 7 + number % 2, number * TIME, (number + 1) * TIME)
        for number in range(tasks)
    ]
    return Run(label, tasks * TIME, 2, each)


def local(seconds: float) -> Run:
    return Run("sequential", seconds, 2)


def two_lanes() -> Recording:
    """Worker 2 runs from 2 to 12 and 14 to 24 ms, worker 3 from 3 to 23; loading, storing: 1."""
    made: Recording = recording(
        task("a", 2, 12, submitted=0, overhead=1),
        task("b", 3, 23, submitted=0, overhead=1, worker=3),
        task("c", 14, 24, submitted=0, overhead=1),
    )
    return made


def block(start: float, end: float) -> tuple[int, int]:
    return round(BEGIN + start * MS), round(BEGIN + end * MS)


def texts(svg: str) -> list[str]:
    """All text in a drawing; raises if it is not well-formed XML."""
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.text]


def test_figures_of_a_run() -> None:
    assert rows().at_once == 2
    assert rows().busy == pytest.approx(0.8)
    assert stairs().at_once == 1
    assert [len(lane) for lane in rows().lanes] == [4, 4]
    assert [len(lane) for lane in rows(tasks=1).lanes] == [1, 0]
    assert local(1.0).at_once == 0


def test_a_run_out_of_a_recording_has_a_zero_of_its_own() -> None:
    run = run_of("now", two_lanes(), block(0, 30), 2)
    assert (run.label, run.seconds, run.workers) == ("now", 0.03, 2)
    assert [(s.name, s.start, s.end, s.worker) for s in run.slices] == [
        ("f", 0.002, 0.012, 2),
        ("f", 0.003, 0.023, 3),
        ("f", 0.014, 0.024, 2),
    ]
    assert run_of("later", two_lanes(), block(100, 130), 2).slices == []


def test_record_takes_the_tasks_that_started_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(block(0, 30))
    monkeypatch.setattr("paralab_profiling.runs.time.monotonic_ns", lambda: next(clock))
    monkeypatch.setattr("paralab_profiling.runs.take", two_lanes)
    monkeypatch.setattr("paralab.cluster_resources", lambda: {"CPU": 2.0}, raising=False)
    with runs.record("now") as run:
        pass
    assert (run.label, run.seconds, run.workers) == ("now", 0.03, 2)
    assert len(run.slices) == len(run.recording) == 3
    assert run.missing


def test_the_missing_time_adds_up() -> None:
    """Two workers for 30 ms: 40 ms in functions, the rest to the items."""
    found = missing_time(two_lanes(), block(0, 30), 2)
    in_ms = {item: round(seconds * 1e3 * 2, 6) for item, seconds in found.items()}
    assert in_ms == {
        "starting": 1 + 2,  # until 1 ms before the first task of each
        "loading arguments": 1 + 1 + 1,
        "idle between tasks": 0,
        "storing results": 1 + 1 + 1,
        "nothing left to do": 1,  # 24 to 25 on worker 3
        "collecting results": 2 * (30 - 25),
    }
    assert sum(in_ms.values()) + 40 == 2 * 30
    idle = missing_time(two_lanes(), block(0, 30), 3)
    assert idle["nothing left to do"] * 3 == pytest.approx(0.001 + 0.025)


def test_verdict_says_each_item_of_the_missing_time() -> None:
    remote = run_of("remote", two_lanes(), block(0, 30), 2)
    picture = verdict([local(0.04)] * 3, [remote] * 3)
    assert picture.title == "1.33 × faster"
    assert picture.text.splitlines()[-2:] == [
        "  loading arguments 1.50 ms; starting 1.50 ms; storing results 1.50 ms; nothing",
        "  left to do 500 µs; collecting results 5.00 ms",
    ]
    assert "Where the other 10.0 ms went" in texts(picture.svg)


def test_compare_says_what_it_shows() -> None:
    picture = compare(stairs(), rows())
    assert picture.title == "At most 1 against 2 tasks at a time: 800 ms against 420 ms"
    assert compare(rows()).title == "8 tasks in 420 ms, at most 2 at a time, workers 95 % busy"
    words = texts(picture.svg)
    assert picture.title in words
    assert {"get in the loop", "submit all, then get", "worker 1", "worker 2", "800 ms"} <= {*words}
    assert words.count("parse: 100 ms") == 16
    # 16 tasks and two sums.
    assert len(picture.rows) == 18
    assert all(len(line) <= 80 for line in picture.text.splitlines()[2:])
    # The stairs: where one worker is busy the other is not.
    one, other = (line[13:] for line in picture.text.splitlines()[3:5])
    assert all("█" in pair and "·" in pair for pair in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("seconds", "title"),
    [
        ([0.8, 0.9, 0.7, 0.8], "1.90 × faster"),
        ([0.2, 0.21, 0.3, 0.2], "2.05 × slower"),
        ([0.41, 0.5, 0.44], "No clear gain: 1.05 × as fast"),
    ],
)
def test_verdict_reads_its_title_off_the_numbers(seconds: list[float], title: str) -> None:
    picture = verdict([local(one) for one in seconds], [rows() for _ in seconds])
    assert picture.title == title
    assert f"in {len(seconds)} pairs of runs" in picture.text
    beyond = max(seconds) / rows().seconds > 2
    assert ("faster than locally" in picture.text.splitlines()[1]) == beyond


def test_verdict_accounts_for_all_of_the_missing_time() -> None:
    # 0.8 s of tasks on two workers in 0.42 s, 0.7 s without them: 70 ms more than half.
    picture = verdict([local(0.7)] * 3, [rows()] * 3)
    assert picture.text.splitlines()[-2:] == [
        "Where the other 70.0 ms went:",
        "  tasks ran longer than locally 50.0 ms; workers idle 20.0 ms",
    ]


def test_verdict_wants_pairs() -> None:
    with pytest.raises(ValueError, match=r"three pairs of runs.*got 2 and 2"):
        verdict([local(1.0)] * 2, [rows()] * 2)
    with pytest.raises(ValueError, match="as many local as remote; got 4 and 3"):
        verdict([local(1.0)] * 4, [rows()] * 3)
    with pytest.raises(ValueError, match="at least one run"):
        compare()


def test_names_are_text_and_never_markup() -> None:
    evil = "</text><script>alert(1)</script>\x00&\"'"
    run = Run(evil, 0.1, 1, [Slice(evil, 1, 0.0, 0.1)])
    picture = compare(run)
    for markup in (picture.svg, picture.to_html()):
        assert "<script>alert" not in markup
        assert "\x00" not in markup
    assert any("<script>alert(1)</script>" in words for words in texts(picture.svg))
    # One script, ours.
    assert picture.to_html().count("<script>") == 1


def test_many_tasks_are_folded_into_bands_and_that_is_said() -> None:
    picture = compare(rows(tasks=5000))
    words = "5,000 tasks, folded: as high as the share of time in a function"
    assert words in texts(picture.svg)
    bands = [e for e in ET.fromstring(picture.svg).iter() if e.get("class") == "band"]
    assert len(bands) == 2, "one for each worker: none looks idle"
    assert len(picture.to_html()) < 300_000


def test_many_workers_fit() -> None:
    each = [Slice("f", number, 0.0, TIME) for number in range(64)]
    for copies in (1, 100):
        picture = compare(Run("64 at once", TIME, 64, each * copies))
        height = float(ET.fromstring(picture.svg).attrib["viewBox"].split()[3])
        assert height <= 64 * 5 + 110
        assert {"worker 1", "worker 64"} <= set(texts(picture.svg))
        assert len(picture.to_html()) < 300_000


def test_calls_at_the_same_time_in_one_process_lie_above_each_other() -> None:
    calls = [Slice("ask", 1, n / 64, (n + 5) / 64) for n in range(8)]
    picture = compare(Run("async", 12 / 64, 1, calls[::-1]))
    boxes = []
    for bar in ET.fromstring(picture.svg).iter("{http://www.w3.org/2000/svg}rect"):
        if "ask" in "".join(bar.itertext()):
            boxes.append([float(bar.attrib[name]) for name in ("x", "y", "width", "height")])
    assert len(boxes) == 8
    for (x, y, width, height), *others in (boxes[at:] for at in range(8)):
        for left, top, wide, high in others:
            apart = x + width <= left or left + wide <= x or y + height <= top or top + high <= y
            assert apart, (x, y, left, top)
    assert len({y for _x, y, _width, _height in boxes}) == 5, "the sixth starts as the first ends"


def test_four_runs_do_not_fill_the_title_and_their_labels_do_not_overlap() -> None:
    each = [[Slice("f", number, 0.0, 0.1 * long) for number in range(16)] for long in (3, 1, 4, 2)]
    made = [Run(f"run {at}", each[at][0].end, 16, each[at]) for at in range(4)]
    picture = compare(*made, Run("two", 0.25, 2, each[0][:2]))
    assert picture.title == "The shortest of 5 runs: run 1 100 ms; the longest: run 2 400 ms"
    names = [
        float(text.attrib["y"])
        for text in ET.fromstring(picture.svg).iter("{http://www.w3.org/2000/svg}text")
        if "".join(text.itertext()).startswith("worker ")
    ]
    assert len(names) == 2 * 4 + 1, "first and last of each, where there is room for both"
    assert all(later - sooner >= 12 for sooner, later in pairwise(names))


def test_a_band_is_as_high_as_its_share() -> None:
    assert band_cells([(10, 12), (11, 12.5)], 10, 13) == [1.0, 2.0, 0.5]
    assert band_cells([(0, 100)], 10, 13, 3) == [1.0]
    assert band_cells([], 0, 2) == [0.0, 0.0]
    assert band_path([(0, 1)], 0, 2, 50, 10) == "M0.0 50.0V40.0h1V50.0h1V50.0z"


def test_bundle_has_text_first_and_ids_of_its_own(tmp_path: Any) -> None:
    first, second = rows()._repr_mimebundle_(), rows()._repr_mimebundle_()
    assert list(first) == ["text/plain", "text/html"]
    assert first["text/html"].startswith("<div id=")
    assert 'src="data:image/svg+xml;base64,' in first["text/html"]
    assert "alt=" in first["text/html"]
    assert first["text/html"].split('"')[1] != second["text/html"].split('"')[1]
    saved = compare(rows()).save(tmp_path / "run.svg")
    assert texts(saved.read_text())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2.0512, "2.05 s"),
        (0.0412, "41.2 ms"),
        (85e-5, "850 µs"),
        (1234.5, "1,230 s"),
        (0.99996, "1.00 s"),
        (0, "0 µs"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_three_digits() -> None:
    assert [three_digits(x) for x in (0.5, 1.7449, 99.96, -12.34)] == [
        "0.500",
        "1.74",
        "100",
        "-12.3",
    ]


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (850, "850 B"), (999.6, "1.00 kB"), (41_230, "41.2 kB"), (8e6, "8.00 MB"),
     (999_600, "1.00 MB"), (2e8, "200 MB"), (1.2345e15, "1,230 TB")],
)  # fmt: skip
def test_byte_counts(count: float, words: str) -> None:
    assert byte_count(count) == words


@pytest.mark.parametrize("seconds", [1e-6, 0.0123, 0.42, 1.0, 7.3, 3600.0])
def test_ticks_are_few_round_and_even(seconds: float) -> None:
    times = list(ticks(seconds))
    assert times[0] == 0
    assert 2 <= len(times) <= 7
    assert times[-1] <= seconds * 1.0001
    steps = [after - before for before, after in pairwise(times)]
    assert steps == pytest.approx([steps[0]] * len(steps))


def test_arrows_have_heads_of_their_colour_and_hidden_ones_a_class() -> None:
    drawing = Drawing()
    drawing.arrow(0, 0, 50, 10, is_thick=True, between=("a", "b"))
    drawing.arrow(0, 0, 50, 20, is_hidden=True, between=("a", "c"))
    drawing.arrow(0, 0, 50, 30)
    root = ET.fromstring(drawing.finish("arrows", ""))
    thick, hidden, thin = (each for each in root.iter() if "marker-end" in each.attrib)
    colours = {
        f"url(#{marker.attrib['id']})": marker[0].attrib["fill"]
        for marker in root.iter("{http://www.w3.org/2000/svg}marker")
    }
    assert [colours[each.attrib["marker-end"]] for each in (thick, hidden, thin)] == [
        each.attrib["stroke"] for each in (thick, hidden, thin)
    ]
    assert [each.get("class") for each in (thick, hidden, thin)] == [None, "sel", None]
    assert hidden.attrib["data-to"] == "c"
