"""``util.ActorPool``."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

from typing import Any

import pytest


def pool_of(rt: Any, count: int) -> Any:
    @rt.remote(num_cpus=0)
    class Worker:
        def double(self, x: int) -> int:
            return 2 * x

        def fail(self, x: int) -> int:
            raise ValueError(x)

    from importlib import import_module

    pool = import_module(f"{rt.library.__name__}.util").ActorPool
    return pool([Worker.remote() for _ in range(count)])


def double(actor: Any, value: int) -> Any:
    return actor.double.remote(value)


def test_map(rt: Any) -> None:
    pool = pool_of(rt, 2)
    assert list(pool.map(double, range(5))) == [0, 2, 4, 6, 8]
    assert sorted(pool.map_unordered(double, range(5))) == [0, 2, 4, 6, 8]
    assert list(pool.map(double, [])) == []


def test_map_drops_what_was_submitted_before(rt: Any) -> None:
    pool = pool_of(rt, 1)
    pool.submit(double, 9)
    assert list(pool.map(double, [1, 2])) == [2, 4]


def test_results_in_order_of_submission(rt: Any) -> None:
    pool = pool_of(rt, 2)
    for value in range(4):
        pool.submit(double, value)
    assert not pool.has_free()
    assert [pool.get_next() for _ in range(4)] == [0, 2, 4, 6]
    assert not pool.has_next()
    with pytest.raises(StopIteration, match="No more results to get"):
        pool.get_next()
    with pytest.raises(StopIteration, match="No more results to get"):
        pool.get_next_unordered()


def test_unordered_results_cannot_be_taken_in_order(rt: Any) -> None:
    pool = pool_of(rt, 1)
    for value in range(3):
        pool.submit(double, value)
    assert pool.get_next_unordered() == 0
    assert pool.get_next() == 2
    assert pool.get_next(timeout=60) == 4


def test_an_error_is_raised_and_the_actor_goes_on(rt: Any) -> None:
    pool = pool_of(rt, 1)
    pool.submit(lambda actor, value: actor.fail.remote(value), 1)
    pool.submit(double, 2)
    with pytest.raises(ValueError, match="1"):
        pool.get_next()
    assert pool.get_next() == 4


def test_push_and_pop(rt: Any) -> None:
    pool = pool_of(rt, 1)
    assert pool.has_free()
    actor = pool.pop_idle()
    assert pool.pop_idle() is None
    pool.push(actor)
    with pytest.raises(ValueError, match="already belongs"):
        pool.push(actor)
    pool.submit(double, 1)
    with pytest.raises(ValueError, match="already belongs"):
        pool.push(actor)
    pool.submit(double, 2)
    pool.push(pool_of(rt, 1).pop_idle())
    assert sorted([pool.get_next(), pool.get_next()]) == [2, 4]


def test_a_dead_actor_leaves_the_pool(rt: Any) -> None:
    pool = pool_of(rt, 2)
    actors = [pool.pop_idle(), pool.pop_idle()]
    rt.kill(actors[0])
    for actor in actors:
        pool.push(actor)
    for value in range(3):
        pool.submit(double, value)
    results = []
    while pool.has_next():
        try:
            results.append(pool.get_next())
        except Exception as error:
            results.append(type(error).__name__)
    assert max(map(str, results)) == "ActorDiedError"
    assert len(results) == 3
    assert pool.pop_idle() == actors[1]
    assert pool.pop_idle() is None
