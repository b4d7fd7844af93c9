"""E19: a worker is stopped for a while and goes on: nothing is done twice.

A stopped process is not a dead one, so its task is not given to another: it ends when the process
goes on.  All that waits moves to other workers, but for what lies in the stopped one's own queue:
that is asked for, and its answer is the proof that it did not begin it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab


def write(path: str, n: int) -> int:
    """Writes a line, which cannot be taken back."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, f"{n}\n".encode())
    os.close(descriptor)
    return n


@paralab.remote
def commit(path: str, n: int) -> int:
    return write(path, n)


@paralab.remote
class Committer:
    def commit(self, path: str, n: int) -> int:
        return write(path, n)

    def pid(self) -> int:
        return os.getpid()


@paralab.remote
def stop_here(path: str, n: int, pid: str) -> int:
    """Commits, stops its own process, and commits again when that goes on."""
    write(path, n)
    Path(pid).write_text(f"{os.getpid()}\n")
    os.kill(os.getpid(), signal.SIGSTOP)
    return write(path, -n)


def lines_of(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().splitlines()]


def stopped(told: Path) -> int:
    """The process whose number stands in a file, if it has come to a stop."""
    said = told.read_text() if told.exists() else ""
    if not said.endswith("\n"):
        return 0
    state = Path(f"/proc/{int(said)}/stat").read_text().rpartition(")")[2].split()[0]
    return int(said) if state == "T" else 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_stopped_worker_does_nothing_twice(
    scorecard: Any, tmp_path: Path, shutdown_after: None
) -> None:
    paralab.init(num_cpus=2)
    path = tmp_path / "ledger"
    path.touch()
    count = 400
    paralab.get([commit.remote(str(path), 0) for _ in range(100)])  # their time is known now
    path.write_text("")
    told = tmp_path / "pid"
    before = [commit.remote(str(path), n) for n in range(1, count)]
    stopping = stop_here.remote(str(path), count, str(told))
    after = [commit.remote(str(path), n) for n in range(count + 1, 2 * count)]
    begun = time.monotonic()
    # Whatever is not in the stopped worker's own queue is done by the other one meanwhile.
    others = before + after
    ready, left = paralab.wait(others, num_returns=len(others) - 50, timeout=60)
    assert len(ready) >= len(others) - 50
    pid = eventually(lambda: stopped(told), 60)
    if scorecard.full:
        threading.Event().wait(10)
    ready, left = paralab.wait(others, num_returns=len(others), timeout=0.2)
    took = time.monotonic() - begun
    assert count in lines_of(path)
    assert -count not in lines_of(path)
    os.kill(pid, signal.SIGCONT)
    assert paralab.get(stopping, timeout=60) == -count
    assert paralab.get(others, timeout=60) == [*range(1, count), *range(count + 1, 2 * count)]
    times = Counter(lines_of(path))
    assert set(times.values()) == {1}
    assert len(times) == 2 * count
    scorecard.figure(
        "E19",
        f"{len(others)} tasks while a worker is stopped for {took:.1f} s: done twice; "
        f"{len(left)} waited in its queue",
        sum(each - 1 for each in times.values()),
        short=f"{{}} of {len(others)} tasks done twice, {took:.1f} s",
    )


def test_a_stopped_actor_does_nothing_twice(tmp_path: Path, shutdown_after: None) -> None:
    paralab.init(num_cpus=2)
    path = tmp_path / "ledger"
    path.touch()
    actor = Committer.options(max_restarts=-1, max_task_retries=-1).remote()
    pid = paralab.get(actor.pid.remote())
    os.kill(pid, signal.SIGSTOP)
    try:
        refs = [actor.commit.remote(str(path), n) for n in range(100)]
        assert paralab.get(commit.remote(str(path), -1)) == -1
        assert paralab.wait(refs, num_returns=1, timeout=0.1)[0] == []
    finally:
        os.kill(pid, signal.SIGCONT)
    assert paralab.get(refs, timeout=60) == list(range(100))
    assert lines_of(path) == [-1, *range(100)]
    assert paralab.get(actor.pid.remote()) == pid
