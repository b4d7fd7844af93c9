"""``util.queue.Queue``."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
import queue
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture
def module(rt: Any) -> Any:
    return import_module(f"{rt.library.__name__}.util.queue")


def test_order_and_size(rt: Any, module: Any) -> None:
    q = module.Queue()
    assert q.empty()
    for n in range(3):
        q.put(n)
    assert (len(q), q.size(), q.qsize()) == (3, 3, 3)
    assert not q.full()
    assert [q.get() for _ in range(3)] == [0, 1, 2]


def test_limits(rt: Any, module: Any) -> None:
    q = module.Queue(maxsize=1)
    q.put(1)
    assert q.full()
    with pytest.raises(module.Full):
        q.put_nowait(2)
    with pytest.raises(queue.Full):
        q.put(2, block=False)
    assert q.get(timeout=60) == 1
    with pytest.raises(module.Empty):
        q.get_nowait()
    with pytest.raises(queue.Empty):
        q.get(block=False)


def test_timeouts(rt: Any, module: Any) -> None:
    q = module.Queue(maxsize=1)
    with pytest.raises(module.Empty):
        q.get(timeout=0.05)
    q.put(1)
    with pytest.raises(module.Full):
        q.put(2, timeout=0.05)
    with pytest.raises(ValueError, match="non-negative"):
        q.put(2, timeout=-1)
    with pytest.raises(ValueError, match="non-negative"):
        q.get(timeout=-1)
    assert q.get() == 1


def test_batches(rt: Any, module: Any) -> None:
    q = module.Queue(maxsize=3)
    q.put_nowait_batch([1, 2])
    with pytest.raises(module.Full):
        q.put_nowait_batch([3, 4])
    assert q.size() == 2
    with pytest.raises(module.Empty):
        q.get_nowait_batch(3)
    assert q.get_nowait_batch(2) == [1, 2]
    assert q.get_nowait_batch(0) == []
    with pytest.raises(TypeError, match="must be an Iterable"):
        q.put_nowait_batch(5)
    with pytest.raises(TypeError, match="must be an int"):
        q.get_nowait_batch("x")
    with pytest.raises(ValueError, match="nonnegative"):
        q.get_nowait_batch(-1)


def test_async(rt: Any, module: Any) -> None:
    if not hasattr(rt.library.ObjectRef, "__await__"):
        pytest.skip("refs cannot be awaited yet")
    q = module.Queue(maxsize=1)

    async def both() -> Any:
        await q.put_async(1)
        with pytest.raises(module.Full):
            await q.put_async(2, block=False)
        found = await q.get_async()
        with pytest.raises(module.Empty):
            await q.get_async(block=False)
        with pytest.raises(module.Empty):
            await q.get_async(timeout=0.05)
        return found

    assert asyncio.run(both()) == 1


def test_between_tasks(rt: Any, module: Any) -> None:
    @rt.remote
    def add(q: Any, items: list[int]) -> None:
        for item in items:
            q.put(item)

    q = module.Queue(actor_options={"num_cpus": 0})
    rt.get([add.remote(q, [1, 2]), add.remote(q, [3])])
    assert sorted(q.get() for _ in range(3)) == [1, 2, 3]


def test_a_get_waits_for_a_put(rt: Any, module: Any) -> None:
    if getattr(rt, "engine", "ray") in ("local", "pickled"):
        pytest.skip("nothing runs beside the one who waits")

    @rt.remote
    def take(q: Any) -> Any:
        return q.get(timeout=60)

    q = module.Queue()
    waits = take.remote(q)
    q.put("at last")
    assert rt.get(waits) == "at last"


@pytest.mark.parametrize("force", [False, True])
def test_shutdown(rt: Any, module: Any, force: bool) -> None:
    q = module.Queue()
    actor = q.actor
    q.put(1)
    q.shutdown(force=force)
    assert q.actor is None
    with pytest.raises(AttributeError):
        q.put(2)
    with pytest.raises(rt.library.exceptions.RayActorError):
        rt.get(actor.qsize.remote())
