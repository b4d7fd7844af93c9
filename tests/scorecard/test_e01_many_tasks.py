"""E1: a million no-op tasks queued at once; all run, and all memory that they took is freed."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab.engine import current
from process_memory import forget_peak, peak, resident
from scorecard_tasks import same


def nothing_left() -> bool:
    """Whether the driver keeps account of no object and no call any more."""
    core: Any = current()
    return not core.ownership.owned and not core.calls.table.pending


@pytest.fixture
def gate(tmp_path: Any) -> str:
    """A file from which tasks read until somebody has written."""
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    return path


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_queued_tasks_all_run(runtime: object, scorecard: Any) -> None:
    count = 1_000_000 if scorecard.full else 20_000
    paralab.get([same.remote(n) for n in range(500)])
    forget_peak()
    before = resident()
    start = time.perf_counter()
    refs = [same.remote(n) for n in range(count)]
    results = paralab.get(refs)
    seconds = time.perf_counter() - start
    assert results == list(range(count))
    used = peak() - before
    del refs, results
    eventually(nothing_left)
    what = f"{count:,} no-op tasks"
    peer = "Ray: 5,430 on 64 cores"
    scorecard.figure(
        "E1", f"{what}, from the first .remote()", round(count / seconds), "/s", peer, short="{}"
    )
    scorecard.figure(
        "E1",
        f"{what}: memory of the driver at most",
        peak() >> 20,
        "MiB",
        short="at most {} in the driver",
    )
    scorecard.figure("E1", f"{what}: memory for each", round(used / count), "bytes")
    assert peak() < 6 << 30


def test_tasks_that_cannot_begin_take_what_their_specs_need(runtime: object, gate: str) -> None:
    @paralab.remote(num_cpus=2)
    def hold() -> str:
        with open(gate) as file:
            return file.read()

    held = hold.remote()
    before = resident()
    count = 10_000
    with open(gate, "w") as file:  # returns once the task holds both CPUs
        refs = [same.remote(n) for n in range(count)]
        core: Any = current()
        core.baton.pump()
        used = resident() - before
        assert paralab.wait(refs, timeout=0)[0] == []
        file.write("go on")
    assert paralab.get(held) == "go on"
    assert paralab.get(refs) == list(range(count))
    assert used / count < 2_500
    del refs, held
    eventually(nothing_left)
