"""What a tool that looks at memory costs: measured with and without it, in turns, and said."""

from __future__ import annotations

import importlib.util
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

import paralab
from leak_check import LeakCheck
from paralab_profiling import Profile, merge, profile
from paralab_profiling.memory.between import Room
from paralab_profiling.memory.peak_tool import draw
from paralab_profiling.profilers import kept, words


@pytest.fixture(scope="module")
def session(leak_check: LeakCheck, request: pytest.FixtureRequest) -> Iterator[None]:
    with leak_check.postponed(request.node.nodeid):
        try:
            paralab.init(num_cpus=1)
            yield
        finally:
            paralab.shutdown()


@paralab.remote
def is_traced() -> bool:
    return tracemalloc.is_tracing()


@pytest.mark.slow
@pytest.mark.usefixtures("session")
def test_runs_without_tracemalloc_are_without_it() -> None:
    seen: list[bool] = []

    def program() -> None:
        seen.append(paralab.get(is_traced.remote(), timeout=60))

    p = profile(tool="tracemalloc").run(program, pairs=2)
    assert seen == [False, True] * 3, "it goes on for a second, unless it is ended"
    assert p.cost is not None
    assert p.cost > 0
    assert p.tasks == {"is_traced": 2}, "the first pair does not count"
    assert "× as long with it" in repr(p)


@pytest.mark.slow
@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("tool", ["peak", "objgraph", "memray"])
def test_each_says_what_it_costs(tool: str) -> None:
    if tool != "peak" and importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    p = profile(tool=tool).run(lambda: paralab.get(is_traced.remote(), timeout=60), pairs=2)
    assert p.cost is not None
    assert p.cost > 0
    assert p.tasks == {"is_traced": 2}
    assert words.cost(p.result) in " ".join(repr(p).split())
    assert words.cost(p.result) in p.picture.svg


def test_a_cost_that_was_not_measured_is_not_said() -> None:
    for tool in ("peak", "tracemalloc", "objgraph"):
        found = Profile(tool, "bytes", ())
        assert "× as long" not in repr(found)
        assert "the work takes 1.20 × as long with it" in " ".join(
            repr(replace(found, cost=1.2)).split()
        )


def test_peaks_of_several_runs_are_one_picture() -> None:
    runs = [Profile("peak", "bytes", (), extra={"machine": [[2, free]]}) for free in (10, 20)]
    assert "No task was measured" in draw(merge(runs)).title


def test_what_runs_is_not_closed() -> None:
    ended: list[str] = []
    watch = Room(dict, close=lambda: ended.append("closed")).watch()
    watch.enter()
    watch.close_if_idle()
    assert ended == []
    watch.leave()
    watch.close_if_idle()
    assert ended == ["closed"]
    assert kept.Store().close(0) == {}
