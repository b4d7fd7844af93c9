"""E13: tasks that wait for tasks, deep and wide: no deadlock, and few processes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

import paralab
from paralab.engine import current
from scorecard_tasks import after, deep, fib, parent, read, total

SOFT_LIMIT = 64


def workers() -> int:
    return len(current().info("workers"))


def watched(ref: Any) -> tuple[Any, int, float]:
    """The value of ``ref``, the most workers at any moment until then, and the seconds."""
    start = time.perf_counter()
    most = 0
    while paralab.wait([ref], timeout=0.1)[1]:
        most = max(most, workers())
    value = paralab.get(ref)
    return value, max(most, workers()), round(time.perf_counter() - start, 2)


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_chain_of_waiting_tasks(runtime: object, scorecard: Any) -> None:
    depth = 500 if scorecard.full else 60
    value, most, seconds = watched(deep.remote(depth))
    assert value == depth
    assert most <= depth + 8
    what = f"get in get, {depth} deep"
    short = f"{what}, {most} workers: {{}}"
    scorecard.figure("E13", what, seconds, "s", "Ray: a process a level", short=short)
    scorecard.figure("E13", f"{what}: worker processes", most)


def gathered(scorecard: Any, what: str, ref: Any, expected: object) -> None:
    value, most, seconds = watched(ref)
    assert value == expected
    assert most <= SOFT_LIMIT
    scorecard.figure("E13", what, seconds, "s", short=f"{what}, {most} workers: {{}}")
    scorecard.figure("E13", f"{what}: worker processes", most)


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_many_parents(runtime: object, scorecard: Any) -> None:
    count = 5_000 if scorecard.full else 300
    ref = total.remote(*[parent.remote(n) for n in range(count)])
    what = f"{count:,} tasks that each wait for one"
    gathered(scorecard, what, ref, (count, sum(range(count))))


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_many_behind_one_gate(runtime: object, scorecard: Any, tmp_path: Path) -> None:
    count = 5_000 if scorecard.full else 300
    path = tmp_path / "gate"
    os.mkfifo(path)
    gate = [read.remote(str(path))]
    refs = [after.remote(gate, n) for n in range(count)]
    # As many wait as are let: those beyond have no process, so they cannot be counted.
    while workers() < SOFT_LIMIT:
        paralab.wait(refs, timeout=0.05)
    ref = total.remote(*refs)
    path.write_text("0")
    what = f"{count:,} tasks that wait for the same one"
    gathered(scorecard, what, ref, (count, sum(range(count))))


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_recursion_on_two_cpus(runtime: object, scorecard: Any) -> None:
    n, expected = (20, 6765) if scorecard.full else (12, 144)
    gathered(scorecard, f"fib({n}), a task for each call", fib.remote(n), expected)
