"""Every tool on tasks, on an actor's constructor and methods, and over several workers, merged.

What each finds is tested where the tool is; here, that none of them misses a kind of call.
"""

from __future__ import annotations

import importlib.util
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab_profiling import Profile, attach, profile
from paralab_profiling.attaching import AttachError, outside
from paralab_profiling.profilers.tools import TOOLS, check

pytestmark = pytest.mark.slow

SECONDS = 60.0
ATTEMPTS = 3
MB = 1 << 20
PACKAGES = {"pyinstrument": "pyinstrument", "objgraph": "objgraph", "memray": "memray"} | {
    "fil": "filprofiler"
}
FINDS = {
    "pyinstrument": "computes",
    "cprofile": "computes",
    "peak": "meets",
    "tracemalloc": "test_every_tool.py",
    "objgraph": "Kept",
    "fil": "allocates",
    "memray": "allocates",
}
"""What each says, among others."""


class Kept:
    """What an actor's method leaves behind."""


def computes() -> int:
    end, found = time.thread_time() + 0.03, 0
    while time.thread_time() < end:
        found += 1
    return found


def allocates() -> int:
    return len(bytearray(8 * MB))


def meet(folder: str, me: str, others: list[str]) -> None:
    """Waits until all have come, so that each has a process of its own."""
    Path(folder, me).touch()
    while not all(os.path.exists(os.path.join(folder, each)) for each in others):
        threading.Event().wait(0.01)


@paralab.remote
def meets(folder: str, me: str, others: list[str]) -> int:
    meet(folder, me, others)
    return computes() + allocates()


@paralab.remote
class Keeper:
    def __init__(self) -> None:
        self.kept = [Kept()]

    def keeps(self, folder: str, me: str, others: list[str]) -> int:
        meet(folder, me, others)
        self.kept += [Kept() for _ in range(100)]
        return computes() + allocates()


def test_each_tool_is_tried() -> None:
    assert set(FINDS) == set(TOOLS)


@pytest.mark.parametrize("tool", FINDS)
def test_tasks_and_actors_of_several_workers_are_one_profile(
    session: Any, tmp_path: Path, tool: str
) -> None:
    if tool in PACKAGES and importlib.util.find_spec(PACKAGES[tool]) is None:
        pytest.skip(f"{tool} is not installed")
    check([tool])
    with profile(tool=tool) as p:
        keeper = Keeper.options(num_cpus=0).remote()
        for number in range(2):
            each = [f"{name}{number}" for name in ("a", "b", "c")]
            refs = [meets.remote(str(tmp_path), name, each) for name in each[:2]]
            refs.append(keeper.keeps.remote(str(tmp_path), each[2], each))
            paralab.get(refs, timeout=SECONDS)
    assert not p.missed
    assert p.tasks == {"meets": 4, "Keeper.__init__": 1, "Keeper.keeps": 2}
    assert sum(p.workers.values()) == 7
    assert len(p.workers) >= 3, "an actor and two tasks ran at once"
    assert FINDS[tool] in repr(p)


@paralab.remote
def runs_until(gate: str, begun: str) -> None:
    Path(begun).touch()
    while not os.path.exists(gate):
        computes()


@paralab.remote
class Runner:
    def runs_until(self, gate: str, begun: str) -> None:
        Path(begun).touch()
        while not os.path.exists(gate):
            computes()


def looked_at(method: str) -> Profile:
    """What ``attach`` sees of all workers.

    py-spy stops a process for each look, and gives up on one that somebody else has stopped just
    then, as a busy machine's keepers do; it is asked again.
    """
    for attempt in range(ATTEMPTS):
        try:
            return attach(None, 0.5, method=method)
        except AttachError as error:
            if method == "py-spy" and "may not" in str(error):
                pytest.skip(str(error))
            if method != "py-spy" or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


@pytest.mark.usefixtures("attached_may_take_long")
@pytest.mark.parametrize("method", ["sampler", "py-spy"])
def test_attach_sees_tasks_and_actors_of_several_workers(
    session: Any, tmp_path: Path, method: str
) -> None:
    if method == "py-spy":
        try:
            outside._program()
        except AttachError as error:
            pytest.skip(str(error))
    gate, begun = tmp_path / "gate", [tmp_path / name for name in "abc"]
    runner = Runner.options(num_cpus=0).remote()
    refs = [runs_until.remote(str(gate), str(each)) for each in begun[:2]]
    refs.append(runner.runs_until.remote(str(gate), str(begun[2])))
    try:
        eventually(lambda: all(each.exists() for each in begun), SECONDS)
        p = looked_at(method)
    finally:
        gate.touch()
        paralab.get(refs, timeout=SECONDS)
    if method == "sampler":  # py-spy sees no calls: its roots are what the node knows of a process
        assert {root.name for root in p.roots} >= {"runs_until", "Runner.runs_until"}
    assert p.total("runs_until") > 0
    assert len(p.workers) >= 3
    assert p.total("computes") > 0
