"""Generators: items that become refs one by one, as Ray's users know them."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest


def counting(rt: Any) -> Any:
    @rt.remote
    def count(n: int) -> Any:
        for i in range(n):  # noqa: UP028  # Ray 2.60 cannot run what delegates
            yield i

    return count


def breaking(rt: Any) -> Any:
    @rt.remote
    def broken(n: int) -> Any:
        for i in range(n):  # noqa: UP028
            yield i
        raise ValueError("no more")

    return broken


def counter(rt: Any) -> Any:
    @rt.remote
    class Counter:
        def __init__(self) -> None:
            self.made = 0

        def count(self, n: int) -> Any:
            for i in range(n):
                self.made += 1
                yield i

        @rt.method(num_returns=2)
        def pair(self) -> Any:
            yield 1
            yield 2

        def told(self) -> int:
            return self.made

    return Counter.remote()


def test_items_come_in_order_and_then_it_is_over(rt: Any) -> None:
    items = counting(rt).remote(3)
    assert type(items).__name__ == "ObjectRefGenerator"
    assert isinstance(items, rt.ObjectRefGenerator)
    assert iter(items) is items
    assert [rt.get(ref) for ref in items] == [0, 1, 2]
    with pytest.raises(StopIteration):
        next(items)
    assert items.is_finished()
    assert not items.next_ready()
    assert rt.get(items.completed()) is None
    assert list(counting(rt).remote(0)) == []


def test_refs_outlive_their_generator(rt: Any) -> None:
    items = counting(rt).remote(3)
    refs = [next(items), next(items)]
    del items
    assert rt.get(refs) == [0, 1]


def test_large_items(rt: Any) -> None:
    @rt.remote
    def blocks(n: int) -> Any:
        for i in range(n):
            yield bytes([i]) * 300_000

    for i, ref in enumerate(blocks.remote(4)):
        value = rt.get(ref)
        assert len(value) == 300_000
        assert value[0] == i


def test_refs_inside_items(rt: Any) -> None:
    @rt.remote
    def boxes(n: int) -> Any:
        for i in range(n):
            yield [rt.put(i), i]

    for i, ref in enumerate(boxes.remote(3)):
        inner, number = rt.get(ref)
        assert number == i
        assert rt.get(inner) == i


def test_refs_as_arguments_and_items_as_arguments(rt: Any) -> None:
    @rt.remote
    def add(a: int, b: list[Any]) -> int:
        return a + sum(rt.get(b))

    refs = list(counting(rt).remote(rt.put(3)))
    assert rt.get(add.remote(refs[2], refs)) == 5


def test_an_error_is_the_last_item(rt: Any) -> None:
    items = breaking(rt).remote(2)
    assert rt.get([next(items), next(items)]) == [0, 1]
    failed = next(items)
    with pytest.raises(ValueError, match="no more"):
        rt.get(failed)
    with pytest.raises(StopIteration):
        next(items)
    assert items.is_finished()
    assert rt.get(items.completed()) is None


def test_an_input_that_failed(rt: Any) -> None:
    @rt.remote
    def fail() -> None:
        raise KeyError("input")

    items = counting(rt).remote(fail.remote())
    ref = next(items)
    with pytest.raises(KeyError):
        rt.get(ref)
    with pytest.raises(StopIteration):
        next(items)


def test_methods(rt: Any) -> None:
    actor = counter(rt)
    items = actor.count.remote(4)
    told = actor.told.remote()
    assert rt.get(list(items)) == [0, 1, 2, 3]
    assert rt.get(told) == 4
    assert rt.get(actor.pair.remote()) == [1, 2]
    assert rt.get(actor.count.options(num_returns=2).remote(2)) == [0, 1]


def test_methods_of_async_actors(rt: Any) -> None:
    @rt.remote
    class Source:
        async def count(self, n: int) -> Any:
            for i in range(n):
                await asyncio.sleep(0)
                yield i

        async def broken(self) -> Any:
            yield 1
            raise ValueError("no more")

        async def plain(self) -> int:
            return 7

    source = Source.remote()
    items = [source.count.remote(n) for n in (3, 0, 5)]
    assert rt.get(source.plain.remote()) == 7
    assert [rt.get(list(each)) for each in items] == [[0, 1, 2], [], [0, 1, 2, 3, 4]]
    limited = source.count.options(_generator_backpressure_num_objects=1).remote(4)
    assert [rt.get(ref) for ref in limited] == [0, 1, 2, 3]
    good, failed = source.broken.remote()
    assert rt.get(good) == 1
    with pytest.raises(ValueError, match="no more"):
        rt.get(failed)


def test_methods_of_threaded_actors(rt: Any) -> None:
    @rt.remote(max_concurrency=2)
    class Source:
        def count(self, n: int) -> Any:
            for i in range(n):  # noqa: UP028
                yield i

    source = Source.remote()
    items = [source.count.remote(n) for n in (3, 0, 5)]
    assert [len(list(each)) for each in items] == [3, 0, 5]


def test_methods_of_an_actor_that_is_killed(rt: Any) -> None:
    actor = counter(rt)
    assert rt.get(list(actor.count.remote(2))) == [0, 1]
    rt.kill(actor)
    items = actor.count.remote(2)
    with pytest.raises(rt.exceptions.RayActorError if rt.library.__name__ == "ray" else
                       rt.exceptions.ActorDiedError):  # fmt: skip
        rt.get(next(items))
    with pytest.raises(StopIteration):
        next(items)


def test_wait_takes_generators(rt: Any) -> None:
    items, ref = counting(rt).remote(2), rt.put(1)
    ready, others = rt.wait([items, ref], num_returns=2)
    assert set(ready) == {items, ref}
    assert others == []
    assert rt.get(next(items)) == 0
    ready, _ = rt.wait([items])
    assert ready == [items]
    assert rt.get(list(items)) == [1]
    assert rt.wait([items]) == ([items], [])
    with pytest.raises(TypeError, match="expected a list"):
        rt.wait(items)
    with pytest.raises(ValueError, match="unique"):
        rt.wait([items, items])


def test_next_with_a_time_limit(rt: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("nothing is waited for")

    @rt.remote
    def last(refs: list[Any]) -> Any:
        yield 1
        rt.get(refs[0])
        yield 2

    @rt.remote
    class Holder:
        def __init__(self) -> None:
            import threading

            self.event = threading.Event()

        def hold(self) -> None:
            self.event.wait()

    holder = Holder.remote()
    items = last.remote([holder.hold.remote()])
    assert rt.get(next(items)) == 1
    assert items._next_sync(timeout_s=0.05).is_nil()
    assert not items.next_ready()
    assert not items.is_finished()
    assert rt.wait([items], timeout=0.05) == ([], [items])
    rt.kill(holder)
    ref = next(items)
    with pytest.raises(Exception):  # noqa: B017, PT011  # of a task that lost its input
        rt.get(ref)
    with pytest.raises(StopIteration):
        next(items)


def test_coroutines(rt: Any) -> None:
    async def taken(n: int) -> int:
        count = 0
        async for ref in counting(rt).remote(n):
            assert not ref.is_nil()
            count += 1
        return count

    assert asyncio.run(taken(5)) == 5
    assert asyncio.run(taken(0)) == 0


def test_back_pressure(rt: Any) -> None:
    items = counting(rt).options(_generator_backpressure_num_objects=1).remote(5)
    assert [rt.get(ref) for ref in items] == [0, 1, 2, 3, 4]
    items = counting(rt).options(_generator_backpressure_num_objects=2).remote(5)
    assert rt.get(next(items)) == 0
    assert rt.get(list(items)) == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="=0 is not allowed"):
        counting(rt).options(_generator_backpressure_num_objects=0).remote(1)


@pytest.mark.filterwarnings("ignore:num_returns='dynamic'")
def test_dynamic(rt: Any) -> None:
    count = counting(rt).options(num_returns="dynamic")
    ref = count.remote(3)
    assert type(ref).__name__ == "ObjectRef"
    refs = rt.get(ref)
    assert isinstance(refs, rt.DynamicObjectRefGenerator)
    assert len(refs) == 3
    assert [rt.get(each) for each in refs] == [0, 1, 2]
    assert len(refs) == 0
    assert len(rt.get(ref)) == 3

    @rt.remote
    def total(refs: Any) -> int:
        return sum(rt.get(list(refs)))

    assert rt.get(total.remote(ref)) == 3
    *good, failed = rt.get(breaking(rt).options(num_returns="dynamic").remote(2))
    assert rt.get(good) == [0, 1]
    with pytest.raises(ValueError, match="no more"):
        rt.get(failed)


def test_dynamic_is_deprecated(rt: Any) -> None:
    with pytest.warns(DeprecationWarning, match="num_returns='dynamic' is deprecated"):
        counting(rt).options(num_returns="dynamic")


def test_only_generators_stream(rt: Any) -> None:
    def plain() -> int:
        return 1

    with pytest.raises(ValueError, match=r"num_returns='streaming' can only be used with gen"):
        rt.remote(num_returns="streaming")(plain)
    with pytest.raises(ValueError, match=r"num_returns='streaming' can only be used with gen"):
        rt.remote(plain).options(num_returns="streaming")
    actor = counter(rt)
    with pytest.raises(ValueError, match=r"num_returns='streaming' can only be used with gen"):
        actor.told.options(num_returns="streaming").remote()


def test_a_number_of_returns_is_filled_as_far_as_items_come(rt: Any) -> None:
    count, broken = counting(rt), breaking(rt)
    assert rt.get(count.options(num_returns=1).remote(1)) == 0
    assert rt.get(count.options(num_returns=2).remote(3)) == [0, 1]
    *good, missing = count.options(num_returns=3).remote(2)
    assert rt.get(good) == [0, 1]
    with pytest.raises(ValueError, match="returned 2 objects, but num_returns=3"):
        rt.get(missing)
    *good, failed = broken.options(num_returns=3).remote(2)
    assert rt.get(good) == [0, 1]
    with pytest.raises(ValueError, match="no more"):
        rt.get(failed)


def test_what_a_generator_cannot_do(rt: Any) -> None:
    items = counting(rt).remote(2)
    assert rt.get(items) is items
    for refused in (
        lambda: rt.put(items),
        lambda: counting(rt).remote(items),
        lambda: pickle.dumps(items),
    ):
        with pytest.raises(TypeError, match="cannot return or pass a generator"):
            refused()
    with pytest.raises(TypeError):
        rt.get([items])
    with pytest.raises(NotImplementedError, match=r"gen\.send"):
        items.send(1)
    with pytest.raises(NotImplementedError, match=r"gen\.throw"):
        items.throw(ValueError)
    assert rt.get(list(items)) == [0, 1]


def test_nil(rt: Any) -> None:
    nil = rt.ObjectRef.nil()
    assert nil.is_nil()
    assert nil.hex() == "f" * 56
    assert nil == rt.ObjectRef.nil()
    assert not rt.put(1).is_nil()
