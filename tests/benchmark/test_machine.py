"""CPU clocks, affinity, memory and the search for marked processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from paralab.benchmark import machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@contextmanager
def waiting_child(mark: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process under ``mark`` that says it is there and then reads until its input closes."""
    code = "import sys; print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, machine.MARK: mark},
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield child
        finally:
            child.kill()


def test_the_cpu_clock_is_the_one_of_the_process() -> None:
    before = time.process_time()
    seen = machine.cpu_seconds([os.getpid()])
    assert before <= seen <= time.process_time()


def test_the_cpu_clock_of_another_process() -> None:
    with waiting_child("clock") as child:
        assert 0 < machine.cpu_seconds([child.pid]) < 60
    with pytest.raises(OSError, match=r"."):
        machine.cpu_seconds([child.pid])


def test_pinning_is_undone() -> None:
    everywhere = os.sched_getaffinity(0)
    cores = machine.two_cores()
    with waiting_child("pin") as child:
        with machine.pinned([child.pid]) as done:
            assert done == (cores is not None)
            if cores is not None:
                assert os.sched_getaffinity(0) == {cores[0]}
                assert os.sched_getaffinity(child.pid) == {cores[1]}
        assert os.sched_getaffinity(child.pid) == everywhere
    assert os.sched_getaffinity(0) == everywhere


def test_one_core_is_not_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    with machine.pinned([]) as done:
        assert not done


def test_marked_processes_are_found_and_killed() -> None:
    mark = f"test-{os.getpid()}"
    with waiting_child(mark) as child, waiting_child("another mark") as other:
        assert machine.marked_processes(mark) == [child.pid]
        assert machine.end_marked(mark, 0.0) == 1
        assert child.wait() == -9
        assert other.poll() is None
    assert machine.marked_processes(mark) == []


def test_processes_that_end_by_themselves_are_not_killed() -> None:
    mark = f"test-ending-{os.getpid()}"
    with waiting_child(mark) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert machine.end_marked(mark, 30.0) == 0
        assert child.wait() == 0


def test_pss() -> None:
    with waiting_child("pss") as child:
        assert 100_000 < machine.pss_bytes([child.pid]) < 1_000_000_000


def test_facts() -> None:
    facts = machine.facts()
    assert facts["cpus"] == len(os.sched_getaffinity(0))
    assert len(facts["load"]) == 3
    assert "grpcio" in facts["versions"]
