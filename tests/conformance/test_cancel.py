"""Cancel, as Ray's users know it."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

SHORT = 0.01
"""Seconds; Ray interrupts no sleep, so the tasks here sleep for short and often."""


def wait_until_open(path: str) -> None:
    """Returns once a task has opened the fifo at ``path`` for writing."""
    with open(path) as fifo:
        fifo.read()


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    return path


@pytest.fixture
def lasting(rt: Any, fifo: str) -> Any:
    """A task that runs until it is cancelled, and says when it has begun."""
    if rt.engine in ("local", "pickled"):
        pytest.skip("there, a task has ended before it could be cancelled")

    @rt.remote
    def last(_wait_for: Any = None) -> str:
        with open(fifo, "w"):
            pass
        while True:
            time.sleep(SHORT)

    return last


def test_a_running_task(rt: Any, lasting: Any, fifo: str) -> None:
    ref = lasting.remote()
    wait_until_open(fifo)
    assert rt.cancel(ref) is None
    with pytest.raises(rt.exceptions.TaskCancelledError, match="was cancelled") as caught:
        rt.get(ref)
    assert isinstance(caught.value, rt.exceptions.RayTaskError)
    assert caught.value.task_id == ref.task_id()
    assert str(ref.task_id()) in str(caught.value)


def test_a_task_that_waits_for_its_input(rt: Any, lasting: Any, fifo: str) -> None:
    first = lasting.remote()
    second = lasting.remote(first)
    wait_until_open(fifo)
    rt.cancel(second)
    with pytest.raises(rt.exceptions.TaskCancelledError):
        rt.get(second)
    third = lasting.remote(first)
    rt.cancel(first)
    with pytest.raises(rt.exceptions.TaskCancelledError):
        rt.get(third)


def test_force(rt: Any, lasting: Any, fifo: str) -> None:
    ref = lasting.options(max_retries=2).remote()
    wait_until_open(fifo)
    rt.cancel(ref, force=True)
    with pytest.raises((rt.exceptions.TaskCancelledError, rt.exceptions.WorkerCrashedError)):
        rt.get(ref)


def test_a_task_may_catch_it(rt: Any, lasting: Any, fifo: str) -> None:
    @rt.remote(max_retries=2, retry_exceptions=True)
    def catches(fails: bool) -> str:
        try:
            with open(fifo, "w"):
                pass
            while True:
                time.sleep(SHORT)
        except KeyboardInterrupt:
            if fails:
                raise LookupError("in its end") from None
            return "caught"

    ref = catches.remote(False)
    wait_until_open(fifo)
    rt.cancel(ref)
    assert rt.get(ref) == "caught"
    ref = catches.remote(True)
    wait_until_open(fifo)
    rt.cancel(ref)
    with pytest.raises(LookupError, match="in its end"):
        rt.get(ref)


def test_children(rt: Any, lasting: Any, fifo: str) -> None:
    @rt.remote
    def parent() -> Any:
        return rt.get(lasting.remote())

    ref = parent.remote()
    wait_until_open(fifo)
    rt.cancel(ref)
    with pytest.raises(rt.exceptions.TaskCancelledError):
        rt.get(ref)


def test_a_borrowed_ref(rt: Any, lasting: Any, fifo: str) -> None:
    @rt.remote
    def canceller(refs: list[Any]) -> str:
        rt.cancel(refs[0])
        try:
            rt.get(refs[0])
        except rt.exceptions.TaskCancelledError:
            return "cancelled"
        return "not cancelled"

    ref = lasting.remote()
    wait_until_open(fifo)
    assert rt.get(canceller.remote([ref])) == "cancelled"


def test_calls_of_an_actor(rt: Any, lasting: Any, fifo: str) -> None:
    @rt.remote(num_cpus=0)
    class Worker:
        def __init__(self) -> None:
            self.seen: list[int] = []

        def hold(self) -> str:
            with open(fifo, "w"):
                pass
            while not rt.get_runtime_context().is_canceled():
                time.sleep(SHORT)
            return "gracefully"

        def see(self, number: int) -> list[int]:
            self.seen.append(number)
            return self.seen

    worker = Worker.remote()
    held = worker.hold.remote()
    queued = [worker.see.remote(n) for n in range(3)]
    wait_until_open(fifo)
    with pytest.raises(ValueError, match="force=True is not supported for actor tasks"):
        rt.cancel(held, force=True)
    rt.cancel(queued[1])
    rt.cancel(held)
    for ref in (held, queued[1]):
        with pytest.raises(rt.exceptions.TaskCancelledError, match=r"was cancelled|is canceled"):
            rt.get(ref)
    seen = rt.get(queued[2])
    assert (seen[0], seen[-1]) == (0, 2)  # in Ray a cancel may come when the call has begun


def test_what_has_finished_stays(rt: Any) -> None:
    @rt.remote
    def one() -> int:
        return 1

    ref, value = one.remote(), rt.put(2)
    assert rt.get([ref, value]) == [1, 2]
    for recursive in (False, True):
        rt.cancel(ref, recursive=recursive)
        rt.cancel(ref, force=True, recursive=recursive)
    rt.cancel(value)
    assert rt.get([ref, value]) == [1, 2]


def test_what_cannot_be_cancelled(rt: Any) -> None:
    @rt.remote(num_cpus=0)
    class Actor:
        pass

    for wrong in (1, None, [rt.put(1)], Actor.remote()):
        with pytest.raises(TypeError, match="only supported for object refs"):
            rt.cancel(wrong)
    with pytest.raises(TypeError, match="positional"):
        rt.cancel(rt.put(1), True)


def test_the_driver_is_never_cancelled(rt: Any) -> None:
    with pytest.raises(RuntimeError):
        rt.get_runtime_context().is_canceled()


@pytest.mark.parametrize("method", ["give_up", "catch"])
def test_a_running_call_of_an_async_actor(rt: Any, method: str) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("there, a call has ended before it could be cancelled")

    @rt.remote
    class Waiter:
        def __init__(self) -> None:
            self.begun = asyncio.Event()
            self.seen = False

        async def give_up(self) -> None:
            self.begun.set()
            await asyncio.Event().wait()

        async def catch(self) -> str:
            try:
                await self.give_up()
            except asyncio.CancelledError:
                self.seen = True
            return "not what get returns"

        async def has_begun(self) -> None:
            await self.begun.wait()

        async def has_seen(self) -> bool:
            return self.seen

    waiter = Waiter.remote()
    ref = getattr(waiter, method).remote()
    rt.get(waiter.has_begun.remote())
    rt.cancel(ref)
    with pytest.raises(rt.exceptions.TaskCancelledError) as caught:
        rt.get(ref)
    assert isinstance(caught.value, rt.exceptions.RayTaskError)
    assert rt.get(waiter.has_seen.remote()) is (method == "catch")
