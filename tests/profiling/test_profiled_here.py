"""Profiling without processes: local mode, and what stands in for a session's messages."""

from __future__ import annotations

import cProfile
import importlib.util
import platform
import sys
import threading
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import paralab
from paralab import profiled
from paralab_profiling import profile
from paralab_profiling.memory import fil, peak
from paralab_profiling.profilers import sampling
from paralab_profiling.profilers.counting import Counts, short_name
from paralab_profiling.profilers.places import place_of
from paralab_profiling.profilers.sampling import path_of
from paralab_profiling.profilers.tools import ToolError

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def leaf(number: int) -> int:
    return number + 1


@paralab.remote
def work(count: int) -> int:
    return sum(leaf(number) for number in range(count))


@paralab.remote
def parent(tasks: int, count: int) -> int:
    return sum(paralab.get([work.remote(count) for _ in range(tasks)]))


@paralab.remote
class Adder:
    def __init__(self, start: int) -> None:
        self.sum = leaf(start)

    def add(self, count: int) -> int:
        self.sum += sum(leaf(number) for number in range(count))
        return self.sum


def test_without_processes_a_call_inside_another_one_is_part_of_it(shutdown_after: None) -> None:
    paralab.init(local_mode=True)
    with profile("cprofile") as p:
        paralab.get(parent.remote(2, 5))
        adder = Adder.remote(1)
        paralab.get(adder.add.remote(3))
    assert p.tasks == {"parent": 1, "Adder.__init__": 1, "Adder.add": 1}
    assert sum(p.missed.values()) == 2
    assert p.calls("leaf") == 10 + 1 + 3
    assert p.refresh().tasks == p.tasks


def test_a_call_that_cannot_be_counted_takes_nothing_along() -> None:
    counts = Counts("leaf")

    def count() -> None:
        session = counts.begin()
        session.start()
        leaf(1)
        session.stop()
        session.end()

    count()
    own = cProfile.Profile()
    own.enable()
    try:
        with pytest.raises(ToolError, match="another profiler"):
            counts.begin().start()
    finally:
        own.disable()
    count()
    found = counts.profile()
    assert found.tasks == {"leaf": 2}
    assert found.calls("leaf") == 2


def test_the_runtime_finds_the_profilers_by_their_entry_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    named = project["entry-points"][profiled.GROUP]["profilers"]
    module = importlib.import_module(named)
    monkeypatch.setattr(profiled, "_provided", [])
    profiled._installed.cache_clear()
    try:
        monkeypatch.setattr(profiled, "entry_points", lambda group: [])
        with pytest.raises(ImportError, match="option profile= needs profilers"):
            work.options(profile="cprofile")
        profiled._installed.cache_clear()
        found = EntryPoint("profilers", named, profiled.GROUP)
        monkeypatch.setattr(profiled, "entry_points", lambda group: [found])
        assert profiled.provider() is module
        with pytest.raises(ValueError, match="no profiler 'x'"):
            work.options(profile="x")
    finally:
        profiled._installed.cache_clear()


def test_cprofile_counts_the_calls_of_its_own_thread_alone() -> None:
    ticks, is_over = [0], threading.Event()

    def tick() -> None:
        ticks[0] += 1

    def elsewhere() -> None:
        while not is_over.is_set():
            tick()

    def counted() -> int:
        before, calls = ticks[0], 0
        while ticks[0] < before + 1_000:  # so the other thread runs meanwhile
            calls = leaf(calls)
        with pytest.raises(ValueError, match="invalid literal"):
            int("x")
        return calls

    thread = threading.Thread(target=elsewhere)
    thread.start()
    counts = Counts("counted")
    calls = 0
    try:
        for _ in range(3):
            session = counts.begin()
            session.start()
            try:
                calls += counted()
            finally:
                session.stop()
            session.end()
    finally:
        is_over.set()
        thread.join()
    found = counts.profile()
    (root,) = found.roots
    assert (root.name, root.calls) == ("counted", 3)
    assert found.calls("leaf") == calls
    assert "tick" not in {each.name for each in found.functions}
    assert {each.calls for each in found.functions if "counted" in each.name} == {3}
    assert 0 < root.total <= found.seconds


@pytest.mark.parametrize("tool", ["pyinstrument", "objgraph", "memray", "fil"])
def test_a_tool_that_is_not_installed_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_names: None)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(fil, "NEWEST", sys.version_info[:2])
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    for begin in (profile, lambda name: work.options(profile=name)):
        with pytest.raises(ValueError, match=f"'{tool}' cannot run here: .*pip install"):
            begin(tool)


def test_peaks_are_refused_where_the_system_tells_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied() -> None:
        raise peak.CannotMeasureError("this system does not tell")

    monkeypatch.setattr(peak, "forget", denied)
    with pytest.raises(ValueError, match="'peak' cannot run here: this system does not tell"):
        profile("peak")


def test_a_worker_without_the_tool_runs_the_call_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("pyinstrument")

    def lacks_it() -> None:
        raise ModuleNotFoundError("No module named 'pyinstrument'")

    monkeypatch.setattr(sampling, "_profiler_class", lacks_it)
    paralab.init(local_mode=True)
    try:
        with profile("pyinstrument") as p:
            assert paralab.get(work.remote(3)) == 6
    finally:
        paralab.shutdown()
    why = "its worker cannot import the profiler: No module named 'pyinstrument'"
    assert p.missed == {why: 1}
    assert p.title == "Nothing was measured: 1 task could not be profiled"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("<built-in method builtins.sum>", "sum"),
        ("<built-in method math.hypot>", "math.hypot"),
        ("<method 'random' of '_random.Random' objects>", "Random.random"),
        ("<method 'append' of 'list' objects>", "list.append"),
        ("<odd>", "<odd>"),
    ],
)
def test_what_is_built_in_has_a_name_that_can_be_read(code: str, name: str) -> None:
    assert short_name(code) == name


def test_functions_are_told_apart_by_whose_they_are() -> None:
    assert place_of(importlib.__file__ or "") == ("importlib/__init__.py", "library")
    assert place_of(profiled.__file__) == ("paralab/profiled.py", "runtime")
    assert place_of("/x/lib/python3/site-packages/numpy/core.py") == ("numpy/core.py", "library")
    assert place_of("<built-in>") == ("", "library")
    assert place_of(str(Path.cwd() / "mine.py")) == ("mine.py", "yours")
    home = str(Path.home() / "elsewhere" / "mine.py")
    assert place_of(home)[1] == "yours"
    assert str(Path.home()) not in place_of(home)[0]


def test_a_sampled_stack_begins_below_what_measures() -> None:
    inside = importlib.import_module("paralab_profiling.profilers.inside").__file__
    kept = importlib.import_module("paralab_profiling.profilers.kept").__file__

    def frame(name: str, file: str | None, line: int = 1) -> str:
        return f"{name}\x00{file}\x00{line}\x01l7"

    above = [frame("run", paralab.engine.__file__), frame("made", inside)]
    mine = frame("mine", "/m.py", 3)
    waits = [frame("get", paralab.api.__file__), frame("poll", "<built-in>")]
    assert [each.name for each in path_of([*above, mine, *waits])] == ["mine", "get"]
    assert path_of([*above, frame("end", kept), mine]) == []
    assert path_of([mine]) == []
    assert [each.name for each in path_of([mine], is_task=False)] == ["mine"]
