"""Peak memory: what the kernel tells, what is kept of many tasks, and the picture of it."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from synthetic import task

from paralab_profiling.memory.peak import CannotMeasureError, Figures, PeakMeter, forget, read
from paralab_profiling.memory.peak_drawing import draw_peaks
from paralab_profiling.memory.peaks import TaskPeak, highest, load_of, peak_of, with_stored
from paralab_profiling.recording import Put, Recording

MB = 1_000_000
BOUND = 2 * MB
"""The kernel counts pages, and each CPU tells what it has counted in portions."""


def peak(name: str, task: str, private: int, stored: int = 0, at_once: int = 1) -> TaskPeak:
    figures = Figures(30 * MB, 30 * MB + private, 0, at_once)
    return TaskPeak(name, task, 1, figures, stored)


def fill(size: int) -> mmap.mmap:
    """So much memory, each page of it new: none that this process had freed before."""
    held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, size, mmap.PAGESIZE):
        held[at] = 1
    return held


@pytest.mark.parametrize("size", [4 * MB, 20 * MB, 60 * MB])
def test_peak_is_that_of_a_known_allocation(size: int) -> None:
    meter = PeakMeter()
    running = meter.begin()
    held = fill(size)
    del held
    figures = meter.end(running)
    assert abs(figures.private - size) <= BOUND
    assert figures.at_once == 1
    assert not meter.running


ONE_AFTER_ANOTHER = """
from paralab_profiling.memory.peak import PeakMeter
meter = PeakMeter()
for _ in range(3):
    running = meter.begin()
    held = bytearray(b"x") * 20_000_000
    del held
    print(meter.end(running).private)
"""


@pytest.mark.slow
def test_what_one_task_has_freed_does_not_hide_what_the_next_one_takes() -> None:
    # In a new process, as a worker is: in this one much may lie free between what is in use.
    paths = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_ANOTHER], env=os.environ | {"PYTHONPATH": paths},
        check=True, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    figures = [int(line) for line in done.stdout.split()]
    assert len(figures) == 3
    assert all(abs(figure - 20 * MB) <= BOUND for figure in figures), figures


def test_peak_of_the_task_before_is_forgotten() -> None:
    meter = PeakMeter()
    running = meter.begin()
    held = fill(40 * MB)
    del held
    meter.end(running)
    assert meter.end(meter.begin()).added <= BOUND


def test_calls_that_run_together_have_one_figure() -> None:
    meter = PeakMeter()
    first = meter.begin()
    held = fill(20 * MB)
    second = meter.begin()  # must not make the first one's peak forgotten
    del held
    one, other = meter.end(first), meter.end(second)
    assert one.at_once == other.at_once == 2
    assert abs(one.added - 20 * MB) <= BOUND
    assert one.before == other.before
    assert meter.end(meter.begin()).at_once == 1


def test_threads_may_begin_and_end_as_they_like() -> None:
    meter = PeakMeter()
    found: list[Figures] = []
    together = threading.Barrier(3)

    def call() -> None:
        running = meter.begin()
        together.wait(60)
        found.append(meter.end(running))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [figures.at_once for figures in found] == [3, 3, 3]


def test_elsewhere_than_on_linux_a_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasureError, match="takes Linux's /proc/self/status"):
        read(str(tmp_path / "status"))
    with pytest.raises(CannotMeasureError, match="cannot be measured here"):
        forget(str(tmp_path / "no folder" / "clear_refs"))
    (tmp_path / "status").write_text("Name: something else\n")
    with pytest.raises(CannotMeasureError, match="cannot be measured here"):
        read(str(tmp_path / "status"))


def test_only_the_highest_of_each_function_are_kept() -> None:
    many = [peak("load", f"1.{n}", n * MB) for n in range(100)] + [peak("clean", "2.1", MB)]
    kept = highest(many, 3)
    assert [(each.name, each.task) for each in kept] == [
        ("load", "1.99"), ("load", "1.98"), ("load", "1.97"), ("clean", "2.1"),
    ]  # fmt: skip
    assert highest([*kept, *many[:50]], 3) == kept  # joining what is kept loses nothing


def test_rows_are_plain_data() -> None:
    one = peak("load", "1.2", 5 * MB, 3 * MB, 2)
    assert peak_of(json.loads(json.dumps(one.to_row()))) == one
    wrongs: list[Any] = [[], ["load"], [*one.to_row(), 1], ["load", "1.2", "x", 1, 2, 3, 1, 0]]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="no peak of a task"):
            peak_of(wrong)


def test_store_bytes_come_from_the_events() -> None:
    sizes = {"1.1": 5 * MB, "1.2": 80, "1.3": 0}
    tasks = tuple(task(which, 1, 2, bytes_out=size) for which, size in sizes.items())
    puts = (
        Put(id="1.4", owner=1, parent="1.2", bytes=3 * MB, start=1, end=2),
        Put(id="1.5", owner=1, parent="1.1", bytes=2 * MB, start=1, end=2),
        Put(id="1.6", owner=1, parent="1.3", bytes=200, start=1, end=2),
        Put(id="1.7", owner=1, parent=None, bytes=9 * MB, start=1, end=2),
    )
    peaks = [peak("f", f"1.{n}", MB) for n in (1, 2, 3)]
    found = with_stored(peaks, Recording(tasks, 2, puts=puts))
    assert [each.stored for each in found] == [7 * MB, 3 * MB, 0]


def test_as_many_at_once_as_there_are_workers_and_tasks() -> None:
    peaks = [peak("merge", "1.1", 600 * MB, 200 * MB), peak("load", "1.2", MB)]
    load = load_of(peaks, {"merge": 5, "load": 9}, 4, 3_000 * MB)
    assert load is not None
    assert (load.count, load.private, load.stored, load.fits) == (4, 2400 * MB, 800 * MB, False)
    load = load_of(peaks, {"merge": 1}, 4, 3_000 * MB)
    assert load is not None
    assert (load.count, load.fits) == (1, True)
    assert load_of([], {}, 4, MB) is None


def test_title_is_the_finding_with_its_number() -> None:
    peaks = highest([peak("merge", "1.1", 612 * MB, 200 * MB), peak("load", "1.2", 96 * MB)])
    few = draw_peaks(peaks, {"merge": 1, "load": 1}, 2, 9_000 * MB)
    assert few.title == "merge peaks at 812 MB"
    assert "(computed)" not in few.svg
    many = draw_peaks(peaks, {"merge": 20, "load": 1}, 2, 1_500 * MB)
    assert many.title == "merge peaks at 812 MB; 2 at once do not fit into the 1.50 GB left"
    for words in ("merge × 20", "1.62 GB (computed)", "available"):
        assert words in many.svg
    assert "1.62 GB computed" in many.text
    assert many.rows[0][:4] == ("1.1", "merge", "612 MB", "200 MB")
    assert draw_peaks([], {}, 2, MB).title == "No task was measured"


def test_picture_says_when_a_figure_is_of_several_calls() -> None:
    drawn = draw_peaks([peak("add", "1.1", MB, 0, 3)], {"add": 1}, 2, 9_000 * MB)
    assert "3 calls together" in drawn.svg
    assert "calls that ran together have one figure" in " ".join(drawn.text.split())


def test_hostile_names_stay_text() -> None:
    name = "<script>alert(1)</script>\x1b[2J" * 20
    drawn = draw_peaks([peak(name, "1.1", MB)], {name: 3}, 2, 2 * MB, stamp="<b>\x1b[2J")
    assert "<script>alert" not in drawn.to_html()
    assert "<b>" not in drawn.svg
    assert "\x1b" not in drawn.text + drawn.svg
