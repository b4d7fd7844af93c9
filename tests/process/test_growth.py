"""What a program leaves in the tables: as much as its queued tasks need, and nothing when done."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from process_helpers import eventually, stored

import paralab
from paralab import limits
from paralab.engine import current
from paralab.memory_summary import memory_rows

pytestmark = pytest.mark.slow

QUEUED = 20_000
MOST_BYTES = 3_000
"""Of a queued task that does nothing, its ref included."""


@paralab.remote(num_cpus=2)
def at_gate(gate: str) -> None:
    with open(gate) as file:
        file.read()


@paralab.remote
def nothing() -> None:
    pass


@paralab.remote
def one(number: int) -> Any:
    return np.full(20_000, number) if number % 100 == 0 else number


@paralab.remote
def total(*numbers: Any) -> int:
    return sum(int(np.max(number)) for number in numbers)


def nothing_is_left() -> bool:
    """Whether no process of the session knows any task or object more."""
    engine: Any = current()
    table = engine.calls.table
    kept = (table.pending, engine.ownership.owned, engine.ownership.borrowed)
    queued = [cls.queue for cls in table.by_number.values()]
    inflight = [worker.inflight for worker in table.leases.values()]
    recipes = engine.rebuilding.lineage.recipes
    return not memory_rows() and not any((*kept, *queued, *inflight, recipes)) and not stored()


def test_queued_tasks_take_little_and_leave_nothing(runtime: Any, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    holds = at_gate.remote(gate)
    first = nothing.remote()
    paralab.wait([first], timeout=0)
    before = limits.private_memory(os.getpid())
    refs = [nothing.remote() for _ in range(QUEUED)]
    engine: Any = current()
    eventually(lambda: len(engine.calls.table.pending) == QUEUED + 2)
    grown = limits.private_memory(os.getpid()) - before
    assert grown < QUEUED * MOST_BYTES
    Path(gate).write_text("")
    paralab.get([holds, first, *refs])
    assert not engine.calls.table.pending
    del holds, first, refs
    gc.collect()
    eventually(nothing_is_left)


@pytest.mark.slow
def test_a_wide_fan_in_leaves_nothing(runtime: Any) -> None:
    refs = [one.remote(number) for number in range(10_000)]
    result = total.remote(*refs)
    assert paralab.get(result) == sum(range(10_000))
    eventually(lambda: stored() == 100)
    del refs, result
    gc.collect()
    eventually(nothing_is_left)
