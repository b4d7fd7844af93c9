"""Generators on several processes: who is told what, what is freed, and what a death leaves."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from process_helpers import LARGE, eventually, interrupted_in, stored

import paralab
from paralab.engine import current
from paralab.exceptions import (
    ActorDiedError,
    GetTimeoutError,
    TaskCancelledError,
    WorkerCrashedError,
)

pytestmark = pytest.mark.usefixtures("session")


@paralab.remote
def count(n: int, size: int = 0) -> Any:
    for i in range(n):
        yield bytes([i % 256]) * size if size else i


def owned() -> int:
    """How many objects this process owns, actors included."""
    gc.collect()
    engine: Any = current()
    return len(engine.ownership.owned)


@paralab.remote
def endless(folder: str, size: int) -> Any:
    """Leaves a file for each item, and one when it is closed."""
    i = 0
    try:
        while True:
            Path(folder, str(i)).touch()
            yield bytes(size) if size else i
            i += 1
    finally:
        Path(folder, "closed").touch()


def made(folder: Path) -> int:
    return len([each for each in folder.iterdir() if each.name.isdigit()])


@pytest.mark.parametrize("how", ["del", "close"])
@pytest.mark.parametrize("size", [0, LARGE])
def test_a_generator_that_nobody_listens_to_stops(tmp_path: Path, how: str, size: int) -> None:
    before = owned()
    items = endless.options(_generator_backpressure_num_objects=3).remote(str(tmp_path), size)
    first = next(items)
    done = items.completed()
    if how == "close":
        items.close()
        items.close()
        assert items.is_finished()
        with pytest.raises(StopIteration):
            next(items)
    del items
    assert paralab.get(done, timeout=60) is None
    assert (tmp_path / "closed").exists()
    assert paralab.get(first) == (bytes(size) if size else 0)
    del first, done
    eventually(lambda: owned() <= before)
    eventually(lambda: stored() == 0)


def test_unlimited_ones_stop_as_well(tmp_path: Path) -> None:
    items = endless.remote(str(tmp_path), 0)
    done = items.completed()
    assert [paralab.get(next(items)) for _ in range(3)] == [0, 1, 2]
    del items
    assert paralab.get(done, timeout=60) is None
    assert (tmp_path / "closed").exists()


def test_one_that_waits_for_a_worker_is_closed_before_it_begins(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    @paralab.remote(num_cpus=2)
    def blocked() -> str:
        return gate.read_text()

    ref = blocked.remote()
    items = endless.remote(str(tmp_path), 0)
    done = items.completed()
    del items
    paralab.available_resources()  # asked behind the end of the last ref: that has been noticed
    gate.write_text("open")
    assert paralab.get(ref, timeout=60) == "open"
    assert paralab.get(done, timeout=60) is None
    assert made(tmp_path) <= 1


def test_back_pressure_is_exact(tmp_path: Path) -> None:
    items = endless.options(_generator_backpressure_num_objects=2).remote(str(tmp_path), 0)
    for taken in range(1, 6):
        next(items)
        eventually(lambda taken=taken: made(tmp_path) >= taken + 2)
        # The worker has paused, so it answers nobody's questions but the engine's.
        current().info("workers")
        assert made(tmp_path) == taken + 2


def test_a_paused_generator_lends_its_cpu(tmp_path: Path) -> None:
    paused = [
        endless.options(_generator_backpressure_num_objects=1).remote(str(tmp_path), 0)
        for _ in range(4)
    ]
    assert paralab.get(list(count.remote(3)), timeout=60) == [0, 1, 2]
    for items in paused:
        assert paralab.get(next(items), timeout=60) in (0, 1)


def test_large_items_are_not_copied_and_are_freed() -> None:
    numpy = pytest.importorskip("numpy")

    @paralab.remote
    def arrays(n: int) -> Any:
        for i in range(n):
            yield numpy.full(LARGE, i, dtype=numpy.uint8)

    before = owned()

    def look(ref: Any, i: int) -> None:
        array = paralab.get(ref)
        assert not array.flags.writeable
        assert array[0] == array[-1] == i

    for i, ref in enumerate(arrays.remote(5)):
        look(ref, i)
        del ref
    eventually(lambda: stored() == 0)
    eventually(lambda: owned() <= before)


def test_refs_inside_items_are_held_and_let_go() -> None:
    @paralab.remote
    def boxes(n: int) -> Any:
        for _ in range(n):
            yield [paralab.put(bytes(LARGE))]

    before = owned()
    items = boxes.remote(3)
    kept = [next(items) for _ in range(2)]
    paralab.get(items.completed())
    del items
    assert [len(paralab.get(paralab.get(each)[0])) for each in kept] == [LARGE] * 2
    del kept
    eventually(lambda: stored() == 0)
    eventually(lambda: owned() <= before)


def test_many_small_items() -> None:
    total = 0
    for ref in count.remote(20_000):
        total += paralab.get(ref)
    assert total == sum(range(20_000))


@paralab.remote
def die_at(marks: str, where: int, n: int) -> Any:
    """Kills its process before item ``where``, in its first attempt."""
    for i in range(n):
        if i == where and not os.path.exists(marks):
            Path(marks).touch()
            # Only what has reached the caller counts as seen: let it all go there.
            current().info("workers")
            os.kill(os.getpid(), signal.SIGKILL)
        yield i, os.getpid()


@pytest.mark.parametrize("limit", [-1, 1, 2])
def test_a_worker_that_dies_is_replaced_and_nothing_is_seen_twice(
    tmp_path: Path, limit: int
) -> None:
    task = die_at.options(max_retries=1, _generator_backpressure_num_objects=limit)
    got = [paralab.get(ref) for ref in task.remote(str(tmp_path / "mark"), 3, 6)]
    assert [i for i, _pid in got] == list(range(6))
    assert len({pid for _i, pid in got}) <= 2


def test_a_worker_that_dies_with_large_items(tmp_path: Path) -> None:
    @paralab.remote(max_retries=1)
    def blocks(mark: str) -> Any:
        for i in range(6):
            if i == 3 and not os.path.exists(mark):
                Path(mark).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield bytes([i]) * LARGE

    got = [paralab.get(ref) for ref in blocks.remote(str(tmp_path / "mark"))]
    assert [value[0] for value in got] == list(range(6))
    assert {len(value) for value in got} == {LARGE}
    del got
    eventually(lambda: stored() == 0)


def test_a_worker_that_dies_for_good(tmp_path: Path) -> None:
    items = die_at.options(max_retries=0).remote(str(tmp_path / "mark"), 2, 6)
    *good, lost = items
    assert [i for i, _pid in paralab.get(good)] == list(range(len(good)))
    assert lost == items.completed()
    with pytest.raises(WorkerCrashedError, match="SIGKILL"):
        paralab.get(lost)
    assert items.is_finished()


def test_retried_errors_do_not_repeat_items(tmp_path: Path) -> None:
    @paralab.remote(retry_exceptions=[KeyError], max_retries=2)
    def flaky(folder: str) -> Any:
        attempt = len(os.listdir(folder))
        Path(folder, str(attempt)).touch()
        for i in range(6):
            if i == 2 * attempt + 2 and attempt < 2:
                raise KeyError(i)
            yield i, attempt

    got = paralab.get(list(flaky.remote(str(tmp_path))))
    assert got == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2)]


def test_an_actor_that_dies_in_mid_stream() -> None:
    @paralab.remote
    class Source:
        def items(self) -> Any:
            yield os.getpid()
            current().info("workers")
            yield "second"
            signal.pause()

    source = Source.remote()
    items = source.items.remote()
    pid = paralab.get(next(items))
    assert paralab.get(next(items)) == "second"
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ActorDiedError):
        paralab.get(next(items))
    assert list(items) == []


def test_cancelling_a_generator_that_runs(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    @paralab.remote
    def waits() -> Any:
        yield 1
        gate.read_text()
        yield 2

    items = waits.remote()
    assert paralab.get(next(items)) == 1
    paralab.cancel(items)
    with pytest.raises(TaskCancelledError):
        paralab.get(next(items), timeout=60)
    assert list(items) == []
    with pytest.raises(TaskCancelledError):
        paralab.get(items.completed())


def test_cancelling_an_endless_generator(tmp_path: Path) -> None:
    items = endless.remote(str(tmp_path), 0)
    next(items)
    paralab.cancel(items)
    *_, last = items
    with pytest.raises(TaskCancelledError):
        paralab.get(last)
    assert (tmp_path / "closed").exists()


def test_a_task_reads_a_generator_of_its_own() -> None:
    @paralab.remote
    def total(n: int) -> int:
        return sum(paralab.get(ref) for ref in count.remote(n))

    assert paralab.get([total.remote(n) for n in (10, 100, 1000)]) == [45, 4950, 499500]


def test_threads_and_coroutines_at_once() -> None:
    results: dict[int, int] = {}

    def read(number: int) -> None:
        results[number] = sum(paralab.get(ref) for ref in count.remote(300))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()

    async def taken(n: int) -> int:
        return len([ref async for ref in count.remote(n)])

    async def several() -> list[int]:
        return list(await asyncio.gather(*(taken(n) for n in (0, 5, 200))))

    assert asyncio.run(several()) == [0, 5, 200]
    for thread in threads:
        thread.join()
    assert set(results.values()) == {sum(range(300))}


def test_a_time_limit_and_an_interrupted_wait(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    @paralab.remote
    def gated() -> Any:
        yield 1
        yield gate.read_text()

    items = gated.remote()
    assert paralab.get(next(items)) == 1
    assert items._next_sync(0).is_nil()
    assert items._next_sync(0.01).is_nil()
    assert paralab.wait([items], timeout=0) == ([], [items])
    with pytest.raises(GetTimeoutError):
        paralab.get(items.completed(), timeout=0.01)

    async def waits() -> bool:
        ref = await items._next_async(0.01)
        return bool(ref.is_nil())

    assert asyncio.run(waits())
    with pytest.raises(KeyboardInterrupt), interrupted_in("_next_sync"):
        next(items)
    gate.write_text("open")
    assert paralab.get(next(items)) == "open"
    assert list(items) == []


def test_the_record_has_the_items() -> None:
    task = count.options(name="recorded")
    assert len(list(task.remote(7, LARGE))) == 7
    events = paralab.timeline() or []
    (event,) = [each for each in events if each["name"] == "recorded"]
    assert event["args"]["items"] == 7
    assert event["args"]["bytes_out"] > 7 * LARGE
    stamps = event["args"]["stamps_ns"]
    assert stamps["ended"] > stamps["loaded"]


def test_a_generator_outlives_its_session_as_an_error() -> None:
    items = count.remote(3)
    paralab.shutdown()
    paralab.init(num_cpus=2)
    with pytest.raises(ValueError, match="session"):
        next(items)
    with pytest.raises(ValueError, match="session"):
        paralab.wait([items])
    del items
    assert paralab.get(list(count.remote(2))) == [0, 1]
