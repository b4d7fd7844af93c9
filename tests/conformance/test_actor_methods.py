"""How methods are found and called: by themselves, under a name that is taken, as generators."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def calls_itself(rt: Any) -> Any:
    @rt.remote(num_cpus=0)
    class CallsItself:
        def start(self, value: Any) -> Any:
            me = rt.get_runtime_context().current_actor
            return [me.double.remote(value) for _ in range(3)]

        def start_by(self, me: list[Any], value: Any) -> Any:
            return [me[0].double.remote(rt.put(value))]

        def wait_for(self, value: Any) -> Any:
            me = rt.get_runtime_context().current_actor
            return rt.get(me.double.remote(value), timeout=60)

        def stream(self, count: int) -> Any:
            me = rt.get_runtime_context().current_actor
            return [rt.get(ref) for ref in me.items.remote(count)]

        def items(self, count: int) -> Any:
            for i in range(count):  # noqa: UP028 - Ray sends into what it is given
                yield i

        def double(self, value: Any) -> Any:
            return 2 * value

    return CallsItself


def test_an_actor_that_calls_itself_and_gives_the_refs_on(rt: Any, calls_itself: Any) -> None:
    actor = calls_itself.remote()
    small = rt.get(actor.start.remote("ab"), timeout=60)
    assert rt.get(small, timeout=60) == ["abab"] * 3
    large = rt.get(actor.start.remote(b"x" * 300_000), timeout=60)
    assert [len(value) for value in rt.get(large, timeout=60)] == [600_000] * 3
    [by_handle] = rt.get(actor.start_by.remote([actor], 4), timeout=60)
    assert rt.get(by_handle, timeout=60) == 8
    assert rt.get(actor.double.remote(5), timeout=60) == 10


def test_an_actor_with_threads_waits_for_its_own_call(rt: Any, calls_itself: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("one call at a time")
    actor = calls_itself.options(max_concurrency=2).remote()
    assert rt.get([actor.wait_for.remote(n) for n in (1,)], timeout=60) == [2]
    assert rt.get(actor.stream.remote(5), timeout=60) == [0, 1, 2, 3, 4]


def test_an_async_actor_awaits_its_own_call(rt: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("one call at a time")

    @rt.remote(num_cpus=0)
    class Async:
        async def outer(self, value: int) -> int:
            inner = await rt.get_runtime_context().current_actor.inner.remote(value)
            return int(inner) + 1

        async def inner(self, value: int) -> int:
            return 10 * value

    assert rt.get(Async.remote().outer.remote(4), timeout=60) == 41


def test_an_attribute_does_not_hide_the_method_of_its_name(rt: Any) -> None:
    @rt.remote(num_cpus=0)
    class Switch:
        def __init__(self) -> None:
            vars(self)["on"] = True

        def on(self) -> str:
            return "the method"

        def value(self) -> Any:
            return self.on

    switch = Switch.remote()
    assert rt.get([switch.on.remote(), switch.value.remote()], timeout=60) == ["the method", True]


def test_a_generator_method_of_one_value(rt: Any) -> None:
    @rt.remote(num_cpus=0)
    class Source:
        def values(self, count: int) -> Any:
            for i in range(count):
                yield [i]

    one = Source.remote().values.options(num_returns=1)
    assert rt.get(one.remote(1), timeout=60) == [0]


def test_an_actor_too_large_for_a_group_is_named_in_full(rt: Any) -> None:
    @rt.remote(num_cpus=1, num_gpus=8)
    class TooLarge:
        pass

    group = rt.util.placement_group([{"CPU": 1}])
    try:
        strategies = rt.util.scheduling_strategies
        place = strategies.PlacementGroupSchedulingStrategy(placement_group=group)
        with pytest.raises(ValueError, match=r"Cannot schedule test_\w+\.<locals>\.TooLarge with"):
            TooLarge.options(scheduling_strategy=place).remote()
    finally:
        rt.util.remove_placement_group(group)


def test_a_bundle_has_a_name_that_groups_use_themselves(rt: Any) -> None:
    with pytest.raises(rt.exceptions.RaySystemError, match="bundle is a system reserved resource"):
        rt.util.placement_group([{"bundle": 1}])
