"""Replays against closed forms, on made-up recordings, and one of a real run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from synthetic import BEGIN, DRIVER, MS, pending, recording, task, wait

import paralab
from paralab_profiling import take
from paralab_profiling.recording import Recording, Task
from paralab_profiling.scaling.costs import Costs, costs_of
from paralab_profiling.scaling.programs import programs_of
from paralab_profiling.scaling.replay import WORKERS, replay, replays

FREE = Costs()


def free(task_id: str, start: float, end: float, **more: Any) -> Task:
    """A task that costs nothing but its run."""
    made: Task = task(task_id, start, end, overhead=0, **more)
    return made


def independent(count: int, ms: float = 10) -> Recording:
    """``count`` equal tasks, submitted at once, recorded on one worker."""
    each = [free(f"{n}", n * ms, (n + 1) * ms, submitted=0) for n in range(count)]
    made: Recording = recording(*each, wait(0, count * ms, "0"), workers=1)
    return made


def chain(count: int, ms: float = 10) -> Recording:
    """Each takes the result of the one before; the last is fetched."""
    each = [
        free(f"{n}", n * ms, (n + 1) * ms, submitted=0, needs=(f"{n - 1}",), ready=n * ms,
             is_fetched=n == count - 1)
        for n in range(count)
    ]  # fmt: skip
    made: Recording = recording(*each, wait(0, count * ms, f"{count - 1}"), workers=1)
    return made


def tree(leaves: int, ms: float = 10) -> Recording:
    """``leaves`` tasks, then pairs of their results, down to one; recorded on one worker."""
    tasks: list[Task] = []

    def add(needs: tuple[str, ...]) -> str:
        n = len(tasks)
        tasks.append(free(f"{n}", n * ms, (n + 1) * ms, submitted=0, needs=needs, is_fetched=False))
        return f"{n}"

    level = [add(()) for _ in range(leaves)]
    while len(level) > 1:
        level = [add((a, b)) for a, b in zip(level[::2], level[1::2], strict=True)]
    made: Recording = recording(*tasks, wait(0, len(tasks) * ms, level[0]), workers=1)
    return made


def ms_of(run: Recording, workers: int, costs: Costs = FREE) -> float:
    return float(replay(run, workers, costs=costs).total_ns / MS)


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7, 10, 64])
def test_independent_tasks_take_the_fullest_lane(workers: int) -> None:
    assert ms_of(independent(10), workers) == math.ceil(10 / workers) * 10


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_a_chain_takes_the_same_with_any_workers(workers: int) -> None:
    assert ms_of(chain(7), workers) == 70


@pytest.mark.parametrize("workers", [1, 2, 4, 8, 64])
def test_a_tree_goes_level_by_level(workers: int) -> None:
    levels = [8, 4, 2, 1]
    assert ms_of(tree(8), workers) == sum(math.ceil(n / workers) for n in levels) * 10


def test_a_straggler_sets_the_end_and_its_place_matters() -> None:
    def run(lengths: list[int]) -> Recording:
        def tasks() -> Iterator[Task]:
            at = 0
            for n, length in enumerate(lengths):
                yield free(f"{n:02}", at, at + length, submitted=0)
                at += length

        made: Recording = recording(*tasks(), wait(0, sum(lengths), "00"))
        return made

    assert ms_of(run([10] * 8 + [100]), 2) == 140
    assert ms_of(run([100] + [10] * 8), 2) == 100
    assert ms_of(run([10] * 8 + [100]), 64) == 100


def test_a_driver_that_submits_slowly_is_the_bound() -> None:
    """1 ms of ``.remote()`` for each task of 1 ms: no worker but the first two is of use."""
    tasks = [
        task(f"{n}", 2 * n + 2, 2 * n + 3, submitted=2 * n, overhead=0.5, is_fetched=False)
        for n in range(50)
    ]
    run = recording(*tasks, workers=1)
    # 50 times .remote() and a pause of 1 ms between two, then load, run, store of the last.
    last = 50 * 1 + 49 * 1 + 0.5 + 1 + 0.5
    assert [ms_of(run, workers) for workers in (1, 2, 64)] == [50 + 49 + 2] * 3 == [last] * 3


def test_an_owner_takes_in_one_result_after_the_other() -> None:
    costs = Costs(owner=2 * MS)
    assert ms_of(independent(100, 1), 1, costs) == 1 + 100 * 2
    assert ms_of(independent(100, 1), 64, costs) == 1 + 100 * 2
    assert ms_of(independent(100, 4), 1, costs) == 100 * 4 + 2


def test_handing_over() -> None:
    costs = Costs(start=3 * MS, result=1 * MS, next={"f": 2 * MS})
    assert ms_of(independent(4), 1, costs) == 3 + 4 * 10 + 3 * 2 + 1
    assert ms_of(independent(4), 2, costs) == 3 + 2 * 10 + 2 + 1
    assert ms_of(chain(3), 2, costs) == 3 * (3 + 10 + 1)


def test_the_calls_of_an_actor_keep_their_order_beside_the_workers() -> None:
    calls = [
        free(f"{n}", 10 * n, 10 * n + 10, submitted=0, actor="a", kind="actor", worker=9)
        for n in range(1, 5)
    ]
    made = free("0", 5, 10, submitted=0, actor="a", kind="creation", worker=9)
    run = recording(made, *calls, free("t", 10, 50, submitted=0), wait(0, 50, "4"))
    for workers in (1, 8):
        found = replay(run, workers, costs=FREE)
        assert found.total_ns == 50 * MS
        assert [found.ran[f"{n}"][0] / MS for n in range(1, 5)] == [10, 20, 30, 40]


def test_a_parent_that_waits_lends_its_cpu() -> None:
    def run() -> Iterator[Any]:
        # Two parents: 10 ms of their own, then a child of 30 ms, then 10 ms of their own.
        for n, start in enumerate((0, 50)):
            yield free(f"p{n}", start, start + 50, submitted=0, worker=2)
            yield free(
                f"c{n}", start + 10, start + 40, submitted=start + 10, owner=2, worker=3,
                parent=f"p{n}",
            )  # fmt: skip
            yield wait(start + 10, start + 40, f"c{n}", process=2, parent=f"p{n}")
        yield wait(0, 100, "p1")

    assert ms_of(recording(*run()), 2) == 50
    # With one: both parents' beginnings, then the children, whose parents go on at once.
    assert ms_of(recording(*run()), 1) == 10 + 10 + 30 + 30 + 10


def test_get_in_the_loop_gains_nothing_from_workers() -> None:
    tasks = [free(f"{n}", 10 * n, 10 * n + 9, submitted=10 * n) for n in range(5)]
    waits = [wait(10 * n, 10 * n + 9, f"{n}") for n in range(5)]
    found = replays(recording(*tasks, *waits), costs=FREE)
    assert [each.workers for each in found] == list(WORKERS)
    assert {each.total_ns for each in found} == {49 * MS}


def test_a_slow_program_is_not_taken_for_a_slow_owner() -> None:
    """A result every 10 ms, because a task takes as long: nothing of it is the owner's."""
    tasks = [task(f"{n}", 10 * n + 1, 10 * n + 9, submitted=10 * n) for n in range(40)]
    waits = [wait(10 * n + 0.2, 10 * n + 9.3, f"{n}") for n in range(40)]
    run = recording(*tasks, *waits)
    assert costs_of(run).owner == 100_000
    assert replay(run, 2).total_ns / 1e6 == pytest.approx(400, rel=0.05)


def test_the_time_of_a_block_around_it_stays() -> None:
    run = recording(free("0", 5, 15, submitted=5), wait(5, 15, "0"))
    block = (BEGIN, BEGIN + 20 * MS)
    assert replay(run, 8, block_ns=block, costs=FREE).total_ns == 20 * MS
    (program,) = programs_of(run, block).values()
    assert program.own_ns == 10 * MS


def test_what_is_read_off_the_stamps() -> None:
    run = recording(
        task("0", 1, 11, submitted=0, is_fetched=False),
        task("1", 12, 20, submitted=0, is_fetched=False),
        task("2", 21.5, 30, submitted=0, is_fetched=False),
        task("x", 40.5, 41, submitted=39.8, is_fetched=False),
        workers=1,
    )
    costs = costs_of(run)
    # From "stored" 0.1 ms after the end until "taken" 0.1 ms before the start: 0.8 and 1.3 ms.
    assert costs.next == {"f": 1_050_000}
    assert costs.start == 400_000, "of x, which was ready at 40 and taken at 40.4"
    assert costs.result == 100_000
    assert costs.owner == 1_050_000, "it lies within the hand-over"
    assert costs_of(recording(pending("1", 0))) == FREE


def test_what_is_broken_or_has_not_ended_is_left_out() -> None:
    assert replay(recording(), 4).total_ns == 0
    assert replay(recording(pending("1", 0)), 4).total_ns == 0
    circle = recording(
        free("a", 0, 1, submitted=0, needs=("b",)), free("b", 0, 1, submitted=0, needs=("a",))
    )
    assert replay(circle, 4).stuck == 2
    with pytest.raises(ValueError, match="at least one worker, not 0"):
        replay(recording(), 0)


def test_a_real_run(runtime: Any) -> None:
    @paralab.remote
    def twice(x: int) -> int:
        return 2 * x

    paralab.get([twice.remote(twice.remote(n)) for n in range(20)])
    run = take()
    found = replays(run)
    assert all(each.stuck == 0 and len(each.ran) == 40 for each in found)
    assert all(each.total_ns > 0 for each in found)
    (program,) = programs_of(run).values()
    assert sum(step.is_submit for step in program.steps) == 40
    assert {key[0] for key in programs_of(run)} == {DRIVER}
