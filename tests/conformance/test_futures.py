"""Refs as futures, as Ray's users know them."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def task(rt: Any) -> Any:
    @rt.remote
    def double(x: int) -> int:
        if x < 0:
            raise ValueError(f"{x} is negative")
        return 2 * x

    return double


@pytest.fixture
def held(rt: Any, tmp_path: Path) -> Any:
    """A task that waits until the test writes what it is to return; and how to do that."""
    if rt.engine in ("local", "pickled"):
        pytest.skip("there, nothing is ever waited for")
    path = str(tmp_path / "fifo")
    os.mkfifo(path)

    @rt.remote
    def read() -> str:
        with open(path) as fifo:
            return fifo.read()

    def write(text: str) -> None:
        with open(path, "w") as fifo:
            fifo.write(text)

    return read, write


def test_await(rt: Any, task: Any) -> None:
    async def main() -> None:
        assert await task.remote(1) == 2
        assert await rt.put([1]) == [1]
        with pytest.raises(ValueError, match="-1 is negative") as caught:
            await task.remote(-1)
        assert isinstance(caught.value, rt.exceptions.RayTaskError)

    asyncio.run(main())


def test_gather_wait_for_and_as_completed(rt: Any, task: Any) -> None:
    async def main() -> None:
        refs = [task.remote(n) for n in range(50)]
        assert await asyncio.gather(*refs) == [2 * n for n in range(50)]
        values = await asyncio.gather(task.remote(1), task.remote(-1), return_exceptions=True)
        assert values[0] == 2
        assert isinstance(values[1], ValueError)
        assert await asyncio.wait_for(task.remote(3), 60) == 6
        done = [await each for each in asyncio.as_completed(refs[:10])]
        assert sorted(done) == [2 * n for n in range(10)]
        futures = [asyncio.ensure_future(ref) for ref in refs[:3]]
        ready, pending = await asyncio.wait(futures)
        assert {future.result() for future in ready} == {0, 2, 4}
        assert not pending
        assert await asyncio.wrap_future(task.remote(4).future()) == 8

    asyncio.run(main())


def test_the_loop_goes_on_while_a_ref_is_awaited(rt: Any, held: Any) -> None:
    read, write = held

    async def main() -> None:
        ref = read.remote()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ref, 0.01)
        write("now")  # neither the ref nor its task is lost
        assert await ref == "now"
        waiter = asyncio.ensure_future(ref)
        waiter.cancel()
        assert await ref == "now"

    asyncio.run(main())


def test_loops_in_several_threads(rt: Any, task: Any) -> None:
    ref = task.remote(21)
    found: list[int] = []

    def run() -> None:
        async def main() -> None:
            found.append(sum(await asyncio.gather(ref, *(task.remote(n) for n in range(20)))))

        for _ in range(3):
            asyncio.run(main())

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [42 + 380] * 9


def test_futures_for_threads(rt: Any, task: Any) -> None:
    ref = task.remote(1)
    future = ref.future()
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(timeout=60) == 2
    assert future.object_ref == ref
    failing = task.remote(-1).future()
    with pytest.raises(ValueError, match="negative"):
        failing.result(timeout=60)
    assert isinstance(failing.exception(), rt.exceptions.RayTaskError)
    futures = [task.remote(n).future() for n in range(20)]
    done = concurrent.futures.as_completed(futures, timeout=60)
    assert sorted(each.result() for each in done) == [2 * n for n in range(20)]


def test_a_future_that_is_cancelled_or_not_ready(rt: Any, held: Any) -> None:
    read, write = held
    ref = read.remote()
    future, other = ref.future(), ref.future()
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(timeout=0.01)
    assert not future.running()
    assert future.cancel()
    write("value")
    assert other.result(timeout=60) == "value"
    assert rt.get(ref) == "value"


def _collect(of: Callable[[Any], Any]) -> Any:
    """What a callback is called with."""
    came = threading.Event()
    values: list[Any] = []

    def callback(value: Any) -> None:
        values.append(value)
        came.set()

    of(callback)
    assert came.wait(60)
    return values[0]


def test_callbacks(rt: Any, task: Any) -> None:
    ref = task.remote(5)
    assert _collect(ref._on_completed) == 10
    assert _collect(rt.put("x")._on_completed) == "x"
    assert isinstance(_collect(task.remote(-5)._on_completed), rt.exceptions.RayTaskError)


def test_in_a_task_of_asyncio_inside_a_task(rt: Any, task: Any) -> None:
    @rt.remote(num_cpus=0)
    def outer() -> Any:
        async def main() -> Any:
            return await asyncio.gather(*(task.options(num_cpus=0).remote(n) for n in range(3)))

        return asyncio.run(main())

    assert rt.get(outer.remote()) == [0, 2, 4]


def test_refs_are_awaitable(rt: Any) -> None:
    assert isinstance(rt.put(1), Awaitable)


def test_ids(rt: Any, task: Any) -> None:
    ref = rt.put(1)
    assert len(ref.binary()) == ref.size() == 28
    assert ref.hex() == ref.binary().hex()
    assert type(ref.task_id()).__name__ == "TaskID"
    assert type(ref.job_id()).__name__ == "JobID"
    assert not ref.is_nil()
    nil = type(ref).nil()
    assert nil.is_nil()
    assert nil.hex() == "ff" * 28
    assert nil == type(ref).nil() != ref
    refs = task.options(num_returns=2).remote(1)
    assert refs[0].task_id() == refs[1].task_id()
