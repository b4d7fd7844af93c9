"""``util.iter``: parallel iterators."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import importlib
import itertools
from typing import Any

import pytest


@pytest.fixture
def it(rt: Any) -> Any:
    return importlib.import_module(f"{rt.library.__name__}.util.iter")


def test_sources_and_how_they_are_shown(it: Any) -> None:
    assert repr(it.from_items([1, 2, 3, 4])) == "ParallelIterator[from_items[int, 4, shards=2]]"
    shown = "ParallelIterator[from_range[10, shards=3, repeat=True]]"
    assert repr(it.from_range(10, 3, repeat=True)) == shown
    many = it.from_iterators([range(3), range(4)])
    assert repr(many) == str(many) == "ParallelIterator[from_iterators[shards=2]]"
    assert repr(it.from_iterators([range(3)], name="xx")) == "ParallelIterator[xx]"
    assert it.from_range(10, 3).num_shards() == 3


def test_how_items_are_dealt_out(it: Any) -> None:
    numbers = it.from_range(10, 3)
    assert [list(shard) for shard in numbers.shards()] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    dealt = it.from_items(list(range(10)), 3)
    assert [list(shard) for shard in dealt.shards()] == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]
    made = it.from_iterators([lambda: iter([1, 2]), lambda: iter([3])])
    assert list(made.gather_sync()) == [1, 3, 2]


def test_gather_sync_takes_the_shards_in_turn(it: Any) -> None:
    gathered = it.from_range(10, 3).gather_sync()
    assert (
        repr(gathered) == "LocalIterator[ParallelIterator[from_range[10, shards=3]].gather_sync()]"
    )
    assert list(gathered) == [0, 3, 6, 1, 4, 7, 2, 5, 8, 9]
    assert list(gathered) == [], "it is an iterator"
    with pytest.raises(TypeError, match="gather_sync"):
        iter(it.from_range(4))


@pytest.mark.parametrize("arguments", [{}, {"num_async": 3}, {"batch_ms": 5}])
def test_gather_async_takes_what_is_ready(it: Any, arguments: dict[str, int]) -> None:
    assert sorted(it.from_range(10, 2).gather_async(**arguments)) == list(range(10))
    with pytest.raises(ValueError, match="queue depth must be positive"):
        it.from_range(4).gather_async(num_async=0)


def test_stages_run_in_the_shards(it: Any) -> None:
    numbers = it.from_range(4)
    shown = []
    for stage, expected in (
        (numbers.for_each(lambda x: 2 * x), [0, 4, 2, 6]),
        (numbers.filter(lambda x: x % 2 == 0), [0, 2]),
        (numbers.batch(2), [[0, 1], [2, 3]]),
        (numbers.batch(2).flatten(), [0, 2, 1, 3]),
        (numbers.combine(lambda x: [x, x]), [0, 2, 0, 2, 1, 3, 1, 3]),
        (numbers.transform(lambda items: (x + 1 for x in items)), [1, 3, 2, 4]),
    ):
        assert list(stage.gather_sync()) == expected
        shown.append(repr(stage).partition("shards=2]")[2])
    assert shown == [
        ".for_each()]",
        ".filter()]",
        ".batch(2)]",
        ".batch(2).flatten()]",
        ".combine()]",
        ".transform()]",
    ]


def test_several_calls_of_a_stage_at_a_time(it: Any) -> None:
    doubled = it.from_range(6).for_each(lambda x: 2 * x, max_concurrency=2)
    assert sorted(doubled.gather_sync()) == [0, 2, 4, 6, 8, 10]


def test_local_shuffle(it: Any) -> None:
    shuffled = it.from_range(40).local_shuffle(8, seed=0)
    shown = "from_range[40, shards=2].local_shuffle(shuffle_buffer_size=8, seed=0)"
    assert repr(shuffled) == f"ParallelIterator[{shown}]"
    items = list(shuffled.get_shard(0))
    assert sorted(items) == list(range(20))
    assert items != list(range(20))


def test_repartition(it: Any) -> None:
    parts = it.from_range(8, 2).repartition(4)
    assert repr(parts) == "ParallelIterator[from_range[8, shards=2].repartition[num_partitions=4]]"
    assert parts.num_shards() == 4
    assert [sorted(shard) for shard in parts.shards()] == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert sorted(it.from_range(8, 2).repartition(3, batch_ms=5).gather_sync()) == list(range(8))


def test_batch_across_shards(it: Any) -> None:
    rounds = it.from_range(6, 3).batch_across_shards()
    shown = "LocalIterator[ParallelIterator[from_range[6, shards=3]].batch_across_shards()]"
    assert repr(rounds) == shown
    assert list(rounds) == [[0, 2, 4], [1, 3, 5]]


def test_union_and_a_choice_of_shards(it: Any) -> None:
    both = it.from_range(2).union(it.from_range(3, 1))
    first, second = "from_range[2, shards=2]", "from_range[3, shards=1]"
    inner = f"ParallelIterator[{first}], ParallelIterator[{second}]"
    assert repr(both) == f"ParallelIterator[ParallelUnion[{inner}]]"
    assert both.num_shards() == 3
    assert sorted(both.gather_sync()) == [0, 0, 1, 1, 2]
    with pytest.raises(TypeError, match="must be of type ParallelIterator"):
        it.from_range(2).union([1])
    chosen = it.from_range(6, 3).select_shards([0, 2])
    assert list(chosen.gather_sync()) == [0, 4, 1, 5]
    with pytest.raises(AssertionError, match="Invalid actor index"):
        it.from_range(6, 3).select_shards([7])
    with pytest.raises(ValueError, match="union"):
        both.select_shards([0])


def test_take_and_show(it: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert it.from_range(6, 3).take(4) == [0, 2, 4, 1]
    endless = it.from_range(6, 3, repeat=True)
    assert endless.take(8) == [0, 2, 4, 1, 3, 5, 0, 2]
    it.from_range(6, 3).show(2)
    assert capsys.readouterr().out.split() == ["0", "2"]


def test_a_shard_by_its_number(it: Any) -> None:
    shard = it.from_range(6, 3).get_shard(1)
    assert repr(shard) == "LocalIterator[from_range[6, shards=3].shard[1]]"
    assert list(shard) == [2, 3]
    assert list(it.from_range(6, 3).get_shard(1, batch_ms=5, num_async=2)) == [2, 3]
    with pytest.raises(ValueError, match="Shard index out of range"):
        it.from_range(6, 3).get_shard(5)


def test_shards_and_iterators_travel(rt: Any, it: Any) -> None:
    @rt.remote(num_cpus=0)
    def items(iterator: Any) -> list[int]:
        return list(iterator)

    @rt.remote(num_cpus=0)
    def gathered(iterator: Any) -> list[int]:
        return list(iterator.gather_sync())

    numbers = it.from_range(6)
    assert rt.get([items.remote(shard) for shard in numbers.shards()]) == [[0, 1, 2], [3, 4, 5]]
    assert rt.get(gathered.remote(it.from_range(6))) == [0, 3, 1, 4, 2, 5]


def test_stages_of_a_local_iterator(it: Any) -> None:
    def local() -> Any:
        return it.from_range(6).gather_sync()

    assert list(local().for_each(lambda x: 2 * x)) == [0, 6, 2, 8, 4, 10]
    assert list(local().filter(lambda x: x > 2)) == [3, 4, 5]
    assert list(local().batch(4)) == [[0, 3, 1, 4], [2, 5]]
    assert list(local().batch(2).flatten()) == [0, 3, 1, 4, 2, 5]
    assert list(local().combine(lambda x: [x] * (x % 3))) == [1, 4, 2, 2, 5, 5]
    assert sorted(local().shuffle(3, seed=1)) == list(range(6))
    assert local().take(3) == [0, 3, 1]
    assert next(local()) == 0


def test_several_local_iterators(it: Any) -> None:
    def local() -> Any:
        return it.from_range(6).gather_sync()

    first, second = local().duplicate(2)
    assert next(first) == next(second) == 0
    assert list(zip(first, second, strict=True)) == [(n, n) for n in (3, 1, 4, 2, 5)]
    with pytest.raises(ValueError, match="Number of copies"):
        local().duplicate(1)
    assert sorted(local().union(local())) == sorted([*range(6)] * 2)
    in_turn = local().union(local(), deterministic=True)
    assert list(itertools.islice(in_turn, 4)) == [0, 0, 3, 3]
    with pytest.raises(ValueError, match="must be of type LocalIterator"):
        local().union(5)


def test_who_made_an_item(it: Any) -> None:
    pairs = list(it.from_range(4).gather_async().zip_with_source_actor())
    assert sorted(item for _actor, item in pairs) == [0, 1, 2, 3]
    assert len({actor for actor, _item in pairs}) == 2


def test_an_error_in_a_stage_comes_to_who_takes(it: Any) -> None:
    def fail(x: int) -> int:
        raise ValueError(f"no {x}")

    with pytest.raises(ValueError, match="no "):
        list(it.from_range(3).for_each(fail).gather_sync())


def test_actors_of_one_s_own(rt: Any, it: Any) -> None:
    class Letters(it.ParallelIteratorWorker):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(lambda: iter("ab"), True)

    remote = rt.remote(num_cpus=0)(Letters)
    letters = it.from_actors([remote.remote(), remote.remote()])
    assert repr(letters) == "ParallelIterator[from_actors[shards=2]]"
    assert letters.take(5) == ["a", "a", "b", "b", "a"]
