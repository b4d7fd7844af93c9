"""What a session leaves to others: idle processes and memory go, limits hold, seeds differ."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from process_helpers import LARGE, eventually, stored

import paralab
from leak_check import wait_ended
from paralab import limits
from paralab.engine import current
from paralab.store.arena import default_capacity

pytestmark = pytest.mark.slow

MB = 1 << 20
GB = 1 << 30


@paralab.remote
def pid() -> int:
    return os.getpid()


def workers() -> list[dict[str, Any]]:
    return current().info("workers")


def held() -> int:
    """Bytes of memory behind the store, those made ready ahead included."""
    mapping = current().mapping  # type: ignore[attr-defined]
    return os.fstat(mapping._fd).st_blocks * 512


# -- idle workers -----------------------------------------------------------------------------


def test_idle_workers_go_and_later_tasks_start_fresh_ones(shutdown_after: None) -> None:
    paralab.init(num_cpus=2, _idle_worker_seconds=0.2)
    old = set(paralab.get([pid.remote() for _ in range(20)]))
    eventually(lambda: not workers())
    assert all(wait_ended(one) for one in old), "the processes themselves have ended"
    assert not old & set(paralab.get([pid.remote() for _ in range(20)]))


def test_a_worker_with_work_stays(shutdown_after: None) -> None:
    paralab.init(num_cpus=1, _idle_worker_seconds=0.2)

    @paralab.remote
    class Gate:
        def __init__(self) -> None:
            self.asked = 0

        def ask(self) -> int:
            self.asked += 1
            return self.asked

    @paralab.remote
    def waits(gate: Any) -> int:
        while paralab.get(gate.ask.remote()) < 1000:
            pass
        return os.getpid()

    gate = Gate.remote()
    assert paralab.get(waits.remote(gate))
    assert paralab.get(gate.ask.remote()) == 1001, "an idle actor is no idle worker"


def test_a_worker_that_owns_a_live_object_stays_until_it_is_freed(shutdown_after: None) -> None:
    paralab.init(num_cpus=2, _idle_worker_seconds=0.2)

    @paralab.remote
    def keeps(size: int) -> Any:
        return os.getpid(), [paralab.put(b"x" * size)]

    for size in (10, LARGE):
        owner, box = paralab.get(keeps.remote(size))
        paralab.get([pid.remote() for _ in range(20)])
        eventually(lambda owner=owner: [worker["pid"] for worker in workers()] == [owner])
        assert len(paralab.get(box[0])) == size
        del box
        eventually(lambda: not workers())


def test_a_ref_that_is_borrowed_survives_the_borrowers_end(shutdown_after: None) -> None:
    paralab.init(num_cpus=1, _idle_worker_seconds=0.2)

    @paralab.remote
    def looks(box: list[Any]) -> int:
        return len(paralab.get(box[0]))

    ref = paralab.put(b"x" * LARGE)
    assert paralab.get(looks.remote([ref])) == LARGE
    eventually(lambda: not workers())
    assert len(paralab.get(ref)) == LARGE
    del ref
    eventually(lambda: stored() == 0)


@pytest.mark.parametrize("seconds", [0, -1, "soon", None])
def test_the_idle_time_is_checked(seconds: Any) -> None:
    with pytest.raises(ValueError, match="_idle_worker_seconds"):
        paralab.init(_idle_worker_seconds=seconds)


# -- the store's memory -----------------------------------------------------------------------


def test_an_idle_store_gives_its_memory_back(shutdown_after: None) -> None:
    paralab.init(num_cpus=1, object_store_memory=200 * MB, _idle_worker_seconds=0.4)
    kept = paralab.put(bytes(3 * MB))
    between = paralab.put(bytes(20 * MB))
    top = paralab.put(bytes(40 * MB))
    last = paralab.put(b"x" * LARGE)
    assert held() >= 60 * MB
    del between, top
    eventually(lambda: held() < 5 * MB)
    assert len(paralab.get(kept)) == 3 * MB
    assert paralab.get(last) == b"x" * LARGE
    again = paralab.put(b"y" * (40 * MB))
    assert paralab.get(again)[-5:] == b"y" * 5
    del kept, last, again
    eventually(lambda: held() == 0)


def test_a_store_in_use_keeps_its_memory_warm(shutdown_after: None) -> None:
    paralab.init(num_cpus=1, object_store_memory=200 * MB)
    for _ in range(5):
        ref = paralab.put(bytes(30 * MB))
        del ref
        eventually(lambda: stored() == 0)
        assert held() >= 30 * MB


def test_nothing_is_taken_before_there_is_a_worker(shutdown_after: None) -> None:
    paralab.init(num_cpus=1, object_store_memory=200 * MB)
    taken = held()
    is_ready = any(worker["state"] != "starting" for worker in workers())
    assert taken == 0 or is_ready
    paralab.get(pid.remote())
    if limits.memory_available() > 64 * 64 * MB:
        eventually(lambda: held() > 0)


# -- limits -----------------------------------------------------------------------------------


def test_init_follows_the_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shutdown_after: None
) -> None:
    files = {
        "proc/meminfo": f"MemTotal: {16 * GB // 1024} kB\nMemAvailable: {8 * GB // 1024} kB\n",
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": f"{2 * GB}\n",
        "sys/fs/cgroup/cpu.max": "100000 100000\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for function in (limits.memory_limit, limits.cpu_count):
        fixed = function(tmp_path)
        monkeypatch.setattr(limits, function.__name__, lambda fixed=fixed: fixed)
    context = paralab.init()
    store = default_capacity(2 * GB)
    assert 0.25 < store / (2 * GB) <= 0.3
    resources = paralab.cluster_resources()
    assert resources["CPU"] == 1
    assert resources["object_store_memory"] == store
    assert resources["memory"] == 2 * GB - store
    assert f"{store // MB} MiB" in repr(context)
    assert f"{store // MB} MiB" in context._repr_html_()
    assert "cpus=1," in repr(context)


# -- random numbers ---------------------------------------------------------------------------


class Dice:
    def throw(self) -> tuple[int, float, int]:
        try:
            import numpy as np
        except ImportError:
            return os.getpid(), random.random(), random.getrandbits(60)
        return os.getpid(), random.random(), int(np.random.randint(1 << 60))


def test_each_process_has_seeds_of_its_own(runtime: Any) -> None:
    dice = [paralab.remote(num_cpus=0)(Dice).remote() for _ in range(4)]
    pids, plain, arrays = zip(*paralab.get([one.throw.remote() for one in dice]), strict=True)
    assert len(set(pids)) == len(set(plain)) == len(set(arrays)) == 4


def test_the_drivers_seed_is_not_the_workers(runtime: Any) -> None:
    random.seed(1)
    mine = random.random()
    random.seed(1)
    throw = paralab.remote(lambda: Dice().throw()[1])
    first = paralab.get(throw.remote())
    paralab.restart_workers()
    assert len({mine, first, paralab.get(throw.remote())}) == 3


def test_a_task_may_set_its_seed(runtime: Any) -> None:
    def draw(seed: int) -> float:
        random.seed(seed)
        return random.random()

    task = paralab.remote(draw)
    assert paralab.get([task.remote(seed) for seed in range(10)]) == [draw(s) for s in range(10)]
