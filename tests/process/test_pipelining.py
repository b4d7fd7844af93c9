"""Short tasks are queued on a worker; none of them waits behind a long one for long."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab

pytestmark = pytest.mark.usefixtures("session")


@paralab.remote
def mostly_short(number: int, slow: int, gate: str) -> int:
    if number == slow:
        Path(gate).read_text()  # the long task under test
    return number


@paralab.remote
def waits_a_little() -> None:
    time.sleep(0.05)


def records(name: str) -> list[dict[str, Any]]:
    events = paralab.timeline() or []
    return [event for event in events if event["name"].endswith(name)]


def stamps(event: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = event["args"]["stamps_ns"]
    return found


def test_what_is_queued_behind_a_long_task_goes_elsewhere(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    paralab.get([mostly_short.remote(number, -1, "") for number in range(500)])
    refs = [mostly_short.remote(number, 50, str(tmp_path / "gate")) for number in range(400)]
    long = refs.pop(50)
    others = [number for number in range(400) if number != 50]
    assert paralab.get(refs, timeout=60) == others, "all of them while the long one runs"
    assert paralab.wait([long], timeout=0) == ([], [long])
    (tmp_path / "gate").write_text("goes on")
    assert paralab.get(long) == 50


def test_nothing_is_queued_behind_a_task_of_unknown_length() -> None:
    refs = [waits_a_little.remote() for _ in range(6)]
    paralab.get(refs)
    lanes: dict[int, list[dict[str, int]]] = {}
    for event in records("waits_a_little"):
        lanes.setdefault(event["tid"], []).append(stamps(event))
    assert sum(map(len, lanes.values())) == 6
    for lane in lanes.values():
        lane.sort(key=lambda stamp: stamp["received"])
        for one, other in pairwise(lane):
            assert other["received"] > one["ended"]


def test_a_short_queue_spreads_over_the_workers() -> None:
    @paralab.remote
    def where(seconds: float) -> int:
        time.sleep(seconds)
        return int(paralab.get_runtime_context().get_worker_id()[16:24], 16)

    paralab.get([where.remote(0.0005) for _ in range(20)])
    # One worker may come so late that the other has done them all: but not every time.
    eventually(lambda: len(set(paralab.get([where.remote(0.0005) for _ in range(8)]))) == 2)


def test_a_reply_does_not_wait_for_the_calls_behind_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    @paralab.remote
    class Slow:
        def compute(self) -> None:
            """Takes so long that the I/O thread takes over and falls asleep."""
            until = time.monotonic() + 0.05
            while time.monotonic() < until:
                pass

        def read(self) -> str:
            return (tmp_path / "fifo").read_text()

    slow = Slow.remote()
    computed, read = slow.compute.remote(), slow.read.remote()
    paralab.get(computed, timeout=60)
    (tmp_path / "fifo").write_text("read")
    assert paralab.get(read) == "read"


def test_max_calls_holds_for_what_is_queued_already() -> None:
    @paralab.remote(max_calls=2)
    def pid() -> int:
        return os.getpid()

    for _ in range(5):
        pids = paralab.get([pid.remote() for _ in range(6)])
        assert max(map(pids.count, pids)) <= 2
