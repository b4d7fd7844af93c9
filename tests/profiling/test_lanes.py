"""Who did what when, on made-up runs: lanes, rows, shares, and what a driver was doing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from synthetic import BEGIN, DRIVER, MS, pending, put, recording, task, wait

from paralab_profiling import Recording, Task
from paralab_profiling.timelines.lanes import Lane, lanes_of
from paralab_profiling.timelines.spans import length
from paralab_profiling.timelines.words import note_of

pytestmark = pytest.mark.slow


def lane(run: Recording, name: str) -> Lane:
    (found,) = [each for each in lanes_of(run).lanes if each.name == name]
    return found


def test_time_begins_with_the_first_submission() -> None:
    run = recording(task("a", 10, 30, submitted=4), put("p", 1), wait(5, 99, "a"))
    lanes = lanes_of(run)
    assert lanes.begin == BEGIN + 4 * MS
    assert lanes.ns == round(26.3 * MS), "from 4 until it was fetched"
    assert [each.name for each in lanes.lanes] == ["driver", "worker 1", "unused CPU"]
    (bar,) = lane(run, "worker 1").bars
    assert (bar.start, bar.end) == (6 * MS, 26 * MS)
    assert (bar.begin, bar.stored) == (round(5.85 * MS), round(26.1 * MS))
    driver = lane(run, "driver")
    assert driver.calls == ((0, round(0.2 * MS)),), "the put was before zero"
    assert driver.still == ((1 * MS, lanes.ns),)
    assert not driver.bars


def test_waits_inside_a_run_are_not_its_own_time() -> None:
    run = recording(
        task("a", 0, 100, submitted=-1),
        task("b", 20, 80, submitted=10, owner=2, worker=3, parent="a"),
        wait(12, 50, "b", process=2, parent="a"),
        wait(40, 90, "b", process=2, parent="a"),
        wait(95, 200, "b", process=2, parent="a"),
    )
    first = lane(run, "worker 1")
    (bar,) = first.bars
    assert bar.waits == ((13 * MS, 91 * MS), (96 * MS, 101 * MS))
    assert bar.own == ((1 * MS, 13 * MS), (91 * MS, 96 * MS))
    assert length(first.busy) == 17 * MS
    assert first.still == bar.waits
    assert not lane(run, "driver").still, "a worker waited, not the driver"
    assert lanes_of(run).share == pytest.approx((17 + 60) * MS / (2 * lanes_of(run).ns))


def test_a_task_in_the_queue_of_its_worker_begins_when_that_is_free() -> None:
    first, second = task("a", 10, 20, submitted=0), task("b", 21, 30, submitted=1)
    stamps = dict(second.stamps) | {"received": BEGIN + 9 * MS}
    one, other = lane(recording(first, replace(second, stamps=stamps)), "worker 1").bars
    assert (one.row, other.row) == (0, 0)
    assert other.begin == one.stored == round(20.1 * MS)


def calls(count: int, **more: Any) -> list[Task]:
    return [
        task(f"{n}", 10 + n, 20 + n, submitted=n, kind="actor", actor="x", **more)
        for n in range(count)
    ]


def test_calls_at_the_same_time_have_rows_of_their_own() -> None:
    run = recording(*calls(3), task("z", 25, 30, submitted=3, kind="actor", actor="x"))
    lanes = lanes_of(run)
    actor = lane(run, "worker 1")
    assert actor.kind == "actor"
    assert actor.rows == 3
    assert [bar.row for bar in actor.bars] == [0, 1, 2, 0]
    assert length(actor.busy) == 17 * MS, "10 to 22 and 25 to 30, however many ran"
    assert (lanes.whose, round(lanes.share, 3)) == ("actors", round(17 / 30.3, 3))


def test_what_has_not_ended_and_what_never_ran() -> None:
    running = pending("b", 2, "running")
    stamps = dict(running.stamps) | {"sent": BEGIN + 3 * MS}
    running = replace(running, worker=2, stamps=stamps)
    lost = replace(pending("d", 4), failed=True, state="failed")
    run = recording(task("a", 1, 9, submitted=0), running, pending("c", 3), lost)
    bars = {bar.task.id: bar for bar in lane(run, "worker 1").bars}
    assert list(bars) == ["a", "b"]
    assert bars["b"].row == 0
    assert (bars["b"].start, bars["b"].end) == (bars["a"].stored, lanes_of(run).ns)
    assert bars["b"].own == (), "nobody knows yet what of it is work"


def test_words_for_what_a_driver_waits_for() -> None:
    run = recording(
        put("p", 0),
        task("a", 1, 9, name="load", submitted=0),
        task("b", 11, 19, name="merge", submitted=1, is_fetched=False),
        wait(2, 9.2, "a"),
        wait(9.5, 12, "b"),
        wait(12, 13, "b", count=1_001),
        wait(13, 14, "p"),
        wait(14, 15, None),
        wait(15, 16, "a", count=2, call="wait"),
        wait(16, 17, "a", call=""),
        wait(17, 18, None, call=""),
    )
    assert [each.words for each in lane(run, "driver").blocked] == [
        "blocked in get(load)",
        "blocked in get(merge)",
        "blocked in get(merge + 1,000 more)",
        "blocked in get(what was put)",
        "blocked in get",
        "blocked in wait(load + 1 more)",
        "blocked, waits for load",
        "blocked",
    ]
    assert note_of(lanes_of(run)).startswith("driver blocked 1")
    told = replace(run, waits=tuple(each for each in run.waits if each.call))
    assert note_of(lanes_of(told)).startswith("driver blocked in get and wait 1")


def test_the_busiest_of_many_lanes_are_kept() -> None:
    tasks = [task(f"{n}", 1, 2 + (n * 7) % 20, worker=2 + n, submitted=n / 100) for n in range(20)]
    lanes = lanes_of(recording(*tasks, workers=24))
    assert len(lanes.lanes) == 12
    assert lanes.left_out == 10
    assert lanes.lanes[0].name == "driver"
    kept = {bar.task.id for _, bar in lanes.bars}
    assert kept == {f"{n}" for n in range(20) if (n * 7) % 20 >= 9}
    numbers = [each.process for each in lanes.lanes]
    assert numbers == sorted(numbers)


def test_an_idle_worker_is_told_with_what_ran_meanwhile() -> None:
    run = recording(
        task("a", 1, 60, name="load", submitted=0),
        task("b", 1, 12, worker=3, submitted=0),
        task("c", 61, 70, worker=3, submitted=0),
    )
    gap = lanes_of(run).gap
    assert gap is not None
    assert (gap.lane.name, gap.task.name) == ("worker 2", "load")
    assert gap.ns == round((60 - 12.1) * MS)
    assert lanes_of(recording(task("a", 1, 60))).gap is None
    blocked = wait(2, 59, "b", process=2, parent="a")
    gap = lanes_of(replace(run, waits=(blocked,))).gap
    assert gap is None or gap.ns < 12 * MS, "who waits keeps nobody waiting"


def test_more_at_once_than_cpus_is_no_more_than_all() -> None:
    tasks = [task(f"{n}", 1, 10, worker=2 + n, submitted=0, overhead=0) for n in range(4)]
    assert lanes_of(recording(*tasks, workers=2)).share == pytest.approx(0.9)


def test_what_ran_more_is_told() -> None:
    first, second = task("a", 1, 10, submitted=0), task("b", 1, 30, worker=3, submitted=0)
    actor = replace(second, kind="actor", actor="x")
    for run, whose, busy in (
        (recording(first, actor), "actors", 29),
        (recording(first, second), "workers", (9 + 29) / 2),
        (recording(replace(first, kind="actor", actor="x"), second), "workers", 29 / 2),
    ):
        lanes = lanes_of(run)
        assert lanes.whose == whose
        assert lanes.share == pytest.approx(busy / 30.3)


def test_a_driver_that_runs_tasks_itself() -> None:
    """Local mode."""
    run = recording(task("a", 1, 9, worker=DRIVER, submitted=0), workers=1)
    lanes = lanes_of(run)
    (only,) = lanes.lanes
    assert (only.kind, len(only.bars)) == ("driver", 1)
    assert (lanes.whose, round(lanes.share, 3)) == ("driver", round(8 / 9.3, 3))


def test_nothing() -> None:
    lanes = lanes_of(recording())
    assert (lanes.ns, lanes.share, lanes.lanes) == (0, 0.0, ())
