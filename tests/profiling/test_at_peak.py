"""Which lines had the memory at the peak: Fil and memray, where they are installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import paralab
from paralab.profiled import with_environment
from paralab_profiling import profile
from paralab_profiling.memory.at_peak import AtPeak
from paralab_profiling.memory.fil import Fil, problem_of, stacks_of
from paralab_profiling.memory.memray_tool import path_of
from paralab_profiling.profilers.tools import ToolError, check
from paralab_profiling.profilers.tree import Where

MB = 1_000_000
BOUND = MB // 2
WAIT = 60
INSIDE = path_of.__code__.co_filename.replace("memory/memray_tool", "profilers/inside")


def table(size: int) -> bytearray:
    return bytearray(b"x") * size


def later(size: int) -> bytearray:
    return table(size)


@paralab.remote
def work(size: int) -> int:
    kept = table(size)
    gone = later(size // 4)
    del gone
    return len(kept)


class Recorder:
    """Says what a test says."""

    def __init__(self, *found: list[tuple[list[Where], int]]) -> None:
        self.found = list(found)
        self.folders: list[str] = []

    def start(self, folder: str) -> None:
        self.folders.append(folder)
        if not self.found:
            raise ToolError("no")

    def stop(self, _folder: str) -> list[Any]:
        return self.found.pop(0)


def test_frames_are_bytes_under_the_task() -> None:
    load, read = Where("load", "f.py", 3), Where("read", "f.py", 9)
    peaks = AtPeak("fil", "load", Recorder([([load, read], 70), ([load], 30)]))
    session = peaks.begin()
    session.start()
    session.end()
    found = peaks.profile()
    assert (found.unit, found.tasks) == ("bytes", {"load": 1})
    assert (found.total_of_all, found.own("read"), found.total("load")) == (100, 70, 100)


def test_of_a_generators_steps_the_highest_counts() -> None:
    where = Where("items", "f.py", 3)
    peaks = AtPeak("fil", "items", Recorder([([where], 30)], [([where], 90)], [([where], 10)]))
    session = peaks.begin()
    for _ in range(3):
        session.start()
        session.stop()
    session.end()
    assert peaks.profile().total_of_all == 90


def test_one_call_at_a_time_and_nothing_stays() -> None:
    first, second = Recorder([]), Recorder()
    session = AtPeak("fil", "f", first).begin()
    session.start()
    with pytest.raises(ToolError, match="one call at a time"):
        AtPeak("memray", "g", second).begin().start()
    session.end()
    session.end()
    refused = AtPeak("memray", "g", second).begin()
    with pytest.raises(ToolError, match="no"):
        refused.start()
    refused.end()
    assert not any(Path(folder).exists() for folder in (*first.folders, *second.folders))


def test_report_of_fil_is_read() -> None:
    report = (
        f"{INSIDE}:9 (made);/home/me/a b.py:12 (load);/home/me/a b.py:3 (<lambda>) 3000\n"
        "/home/me/c.py:1 (x);y) 5\nnonsense\n"
    )
    (path, size), (other, five) = stacks_of(report)
    assert [(where.name, where.line) for where in path] == [("load", 12), ("<lambda>", 3)]
    assert (size, five) == (3000, 5)
    assert len(other) <= 1


def test_stack_of_memray_begins_with_the_task() -> None:
    stack = [
        ("malloc", "libc.c", 1),
        ("PyArray_New", "<unknown>", 0),
        ("table", "/home/me/f.py", 7),
        ("call", "Objects/call.c", 2),
        ("work", "/home/me/f.py", 9),
        ("_PyEval", "ceval.c", 3),
        ("made", INSIDE, 4),
        ("main", "/home/me/other.py", 5),
    ]
    path = path_of(stack)
    assert [where.name for where in path] == ["work", "call", "table", "PyArray_New", "malloc"]
    assert [where.kind for where in path[:3]] == ["yours", "library", "yours"]


def test_sentences_where_fil_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no wheels for Python 3.14" in problem_of((3, 14), "x86_64", "linux")
    assert "no wheels for riscv64" in problem_of((3, 11), "riscv64", "linux")
    assert "only for x86_64 and aarch64 on Linux" in problem_of((3, 11), "arm64", "darwin")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert "pip install filprofiler" in problem_of((3, 13), "x86_64", "linux")
    with pytest.raises(ValueError, match=r"pip install 'paralab\[memray\]'"):
        check(["memray"])


def test_timing_under_fil_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fil, "problem", lambda _self: "")
    with pytest.raises(ValueError, match="both hook"):
        check(["fil", "cprofile"])
    assert with_environment({}, ["peak"]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["fil", "memray"])
def test_line_that_made_the_peak(session: Any, tool: str) -> None:
    pytest.importorskip("filprofiler" if tool == "fil" else "memray")
    with profile(tool=tool) as found:
        paralab.get([work.remote(20 * MB) for _ in range(2)], timeout=WAIT)
    assert found.missed == {}
    assert found.tasks == {"work": 2}
    # Two tasks of one peak each: what is kept, and what was gone before the end.
    assert abs(found.total("table") - 50 * MB) <= BOUND
    assert abs(found.total("later") - 10 * MB) <= BOUND
    assert "of 50." in found.title
    assert found.total("made") == 0


@pytest.mark.slow
def test_method_in_a_worker_without_fil_says_what_to_do(session: Any) -> None:
    pytest.importorskip("filprofiler")

    @paralab.remote
    class Holder:
        def hold(self, size: int) -> int:
            return len(table(size))

    holder = Holder.remote()
    with profile(tool="fil") as found:
        assert paralab.get(holder.hold.remote(10), timeout=WAIT) == 10
    ((why, count),) = found.missed.items()
    assert "not started under Fil: give the option profile='fil'" in why
    assert count == 1
