"""Each chunk of a pool, an executor and joblib shows which items it has; views fold them still."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab.engine import current
from paralab.util.concurrent import Executor
from paralab.util.iter import from_items, from_iterators, from_range
from paralab.util.multiprocessing import Pool
from paralab.util.state import list_tasks, summarize_tasks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]


@pytest.fixture(scope="module")
def pool(session: None) -> Iterator[Pool]:
    with Pool(2) as made:
        yield made


def names_of(function: str) -> list[str]:
    """Of the tasks of one function, in the order of their submission."""
    rows = list_tasks(limit=10_000)
    return [row.name for row in rows if row.func_or_class_name == function]


def one(x: int) -> int:
    return x


def two(x: int, y: int) -> int:
    return x + y


def three(x: int) -> int:
    return x


def test_a_chunk_is_called_by_its_items(pool: Pool) -> None:
    pool.map(one, range(10), chunksize=4)
    pool.starmap(two, [(1, 2)] * 3, chunksize=2)
    list(pool.imap(one, range(2)))
    list(pool.imap_unordered(one, range(7), chunksize=3))
    pool.apply(one, (1,))
    assert names_of("Pool.map one") == [f"Pool.map one {at}" for at in ("[0:4]", "[4:8]", "[8:10]")]
    assert names_of("Pool.starmap two") == ["Pool.starmap two [0:2]", "Pool.starmap two [2]"]
    assert names_of("Pool.imap one") == ["Pool.imap one [0]", "Pool.imap one [1]"]
    ranges = ["[0:3]", "[3:6]", "[6]"]
    assert names_of("Pool.imap_unordered one") == [f"Pool.imap_unordered one {at}" for at in ranges]
    assert names_of("Pool.apply one") == ["Pool.apply one"]


def test_the_ranges_of_measured_chunks_are_all_there_is(pool: Pool) -> None:
    pool.map(three, range(500))
    last = 0
    for name in names_of("Pool.map three"):
        first, _, end = name.rpartition(" ")[2].strip("[]").partition(":")
        assert int(first) == last
        last = int(end or int(first) + 1)
    assert last == 500


def four(x: int) -> int:
    return x


def test_an_executor_and_joblib() -> None:
    with Executor(2) as executor:
        list(executor.map(one, range(5), chunksize=2))
        executor.submit(one, 1).result()
    ranges = ["[0:2]", "[2:4]", "[4]"]
    assert names_of("Executor.map one") == [f"Executor.map one {at}" for at in ranges]
    assert names_of("Executor.submit one") == ["Executor.submit one"]
    joblib = pytest.importorskip("joblib")
    from paralab.util.joblib import register_paralab

    register_paralab()
    with (
        joblib.parallel_config(backend="paralab"),
        joblib.Parallel(2, batch_size=3, pre_dispatch="all") as parallel,
    ):
        for _ in range(2):  # each call of it counts from 0
            parallel(joblib.delayed(two)(x, x) for x in range(12))
    ranges = ["[0:3]", "[3:6]", "[6:9]", "[9:12]"]
    assert names_of("Parallel two") == [f"Parallel two {at}" for at in ranges] * 2


def test_a_shard_is_asked_for_an_item_by_its_number() -> None:
    odd = from_range(7, 2).for_each(three).filter(lambda x: x % 2 == 1)
    work = "iter from_range.for_each(three).filter(<lambda>)"
    assert list(odd.gather_sync()) == [1, 3, 5]
    assert sorted(names_of(work)) == [
        *(f"{work} shard 0 {at}" for at in ("[0]", "end")),
        *(f"{work} shard 1 {at}" for at in ("[0]", "[1]", "end")),
    ]
    assert odd.select_shards([1]).take(1) == [3]  # one item more has been asked for
    assert names_of(work)[5:] == [f"{work} shard 1 [0]", f"{work} shard 1 [1]"]


def test_a_batch_of_a_shard_is_named_when_it_has_come() -> None:
    items = from_items(list(range(5)), 1)
    assert list(items.gather_async(batch_ms=60_000)) == [0, 1, 2, 3, 4]
    assert names_of("iter from_items") == [
        f"iter from_items shard 0 {at}" for at in ("[0:5]", "end")
    ]


def test_shards_that_take_from_shards_say_for_whom() -> None:
    @paralab.remote
    class Keeper:
        """Takes all, and lives on, so that what it has submitted can be asked for."""

        def take(self, shard: Any) -> list[Any]:
            return list(shard)

    numbers = from_iterators([range(4)], name="<i>num[bers]").union(from_range(2, 1))
    parts = numbers.repartition(2)
    assert sorted(parts.gather_sync()) == [0, 0, 1, 1, 2, 3]
    work = "iter <i>num and iter from_range.repartition(2)"
    assert f"{work} shard 1 [0]" in names_of(work)
    asked = {
        f"iter {of} shard 0 for {n} of 2 [0]" for of in ("<i>num", "from_range") for n in (0, 1)
    }
    assert asked <= {row.name for row in list_tasks(limit=10_000)}
    keeper = Keeper.remote()
    shard = numbers.for_each(three).get_shard(1)
    assert paralab.get(keeper.take.remote(shard)) == [0, 1]
    work = "iter from_range.for_each(three)"
    assert names_of(work) == [f"{work} shard 0 {at}" for at in ("[0]", "[1]", "end")]


def test_calls_of_a_stage_beside_each_other_are_numbered() -> None:
    local = from_range(3, 1).gather_sync().for_each(four, max_concurrency=2)
    assert sorted(local) == [0, 1, 2]
    assert names_of("four") == ["four [0]", "four [1]", "four [2]"]


def test_equal_work_is_counted_together_and_defined_once(pool: Pool) -> None:
    for _ in range(2):
        pool.map(len, ["a"] * 40, chunksize=2)
    summary = summarize_tasks()["cluster"]["summary"]
    assert summary["Pool.map len"]["state_counts"] == {"FINISHED": 40}
    told = current().survey("news", 10, 60.0).told
    names = {name for each in told for name, _failed, _count in each.answer["finished"]}
    assert "Pool.map len" in names
    assert not any("[0:2]" in name for name in names)


def test_prints_say_from_which_items_they_are(
    pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []

    def say(x: int) -> None:
        print("here is", x)  # noqa: T201

    def seen(count: int) -> bool:
        shown.append(capsys.readouterr().out)
        return "".join(shown).count("here is") == count

    pool.map(say, range(6), chunksize=3)
    eventually(lambda: seen(6))
    list(pool.apply(say, (9,)) or ())
    eventually(lambda: seen(7))
    for x in range(6):
        (line,) = [each for each in "".join(shown).splitlines() if each.endswith(f"here is {x}")]
        assert line.startswith(f"(Pool.map say [{x // 3 * 3}:{x // 3 * 3 + 3}] pid=")
    assert "(PoolActor pid=" in "".join(shown).splitlines()[-1]


def test_prints_say_from_which_shard_and_item_they_are(
    session: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(x: int) -> int:
        print("shard has", x)  # noqa: T201
        return x

    shown: list[str] = []

    def seen() -> bool:
        shown.append(capsys.readouterr().out)
        return "".join(shown).count("shard has") == 3

    assert list(from_range(3, 1).for_each(say).gather_sync()) == [0, 1, 2]
    eventually(seen)
    lines = [each for each in "".join(shown).splitlines() if "shard has" in each]
    for x, line in enumerate(lines):
        assert line.startswith(f"(iter from_range.for_each(say) shard 0 [{x}] pid=")


def test_a_timeline_has_the_name_of_the_call_beside_that_of_the_function(pool: Pool) -> None:
    pool.map(abs, [1, 2], chunksize=2)
    events: Any = paralab.timeline()
    (event,) = [each for each in events if each["name"] == "Pool.map abs"]
    assert event["args"]["call"] == "Pool.map abs [0:2]"
    assert all("call" not in each["args"] for each in events if each["name"] == "PoolActor.define")


def test_the_views_tell_it_and_fold_all_the_same(pool: Pool) -> None:
    from paralab_profiling import task_graph, timeline
    from paralab_profiling.details import facts_of
    from paralab_profiling.recording import Recording
    from paralab_profiling.taking import take

    pool.map(min, [(1, 2)] * 40, chunksize=10)
    recording: Recording = take(60.0)
    tasks = [task for task in recording.tasks if task.name == "Pool.map min"]
    assert [task.call for task in tasks] == [
        f"Pool.map min [{x}:{x + 10}]" for x in range(0, 40, 10)
    ]
    assert facts_of(tasks[0], recording)["task"].startswith("Pool.map min [0:10] (")
    alone = replace(recording, tasks=tuple(tasks))
    assert "Pool.map min [10:20]" in timeline(alone).to_html()
    assert "Pool.map min [" not in str(task_graph(recording))


def test_live_views_have_it_too(pool: Pool) -> None:
    from paralab_profiling.live.frames import Frames
    from paralab_profiling.live.watched import Watched

    watched = Watched(time.monotonic_ns())
    watched.hear(current().survey("news", 100, 60.0).told)  # what has ended by now does not count
    pool.map(ord, "abcd", chunksize=2)
    list(from_range(1, 1).gather_sync())
    changed = watched.hear(current().survey("news", 100, 60.0).told)
    frame = Frames(watched).next(changed, time.monotonic_ns())
    calls = {task[7][5] for task in frame["tasks"] if task[1] == "Pool.map ord"}
    assert calls == {"Pool.map ord [0:2]", "Pool.map ord [2:4]"}
    assert "iter from_range shard 0 [0]" in {task[7][5] for task in frame["tasks"]}
    assert "Pool.map ord" in {name for name, *_ in frame["counts"]}


def test_hostile_names_are_shown_as_text(pool: Pool) -> None:
    def bad(x: int) -> int:
        return x

    bad.__name__ = bad.__qualname__ = "<b>\x1b[31m\n"
    pool.map(bad, [1], chunksize=1)
    (name,) = [row.name for row in list_tasks(limit=10_000) if "<b>" in row.name]
    assert name.isprintable()
    assert name.endswith(" [0]")
