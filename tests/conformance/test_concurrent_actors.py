"""Actors that run several calls at once: async, threaded, in groups; and what ends them."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

WAIT = 60
"""Seconds within which anything here is done; only a failure waits so long."""


class _Notes:
    """What others have told, as an actor."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    def append(self, note: Any) -> None:
        self.notes.append(note)

    def all(self) -> list[Any]:
        return self.notes


@pytest.fixture
def at_once(rt: Any) -> None:
    """For tests of calls that wait for each other: not where ``remote`` runs to the end."""
    if rt.engine in ("local", "pickled"):
        pytest.skip("calls run one after the other")


@pytest.fixture
def meeting(rt: Any) -> Any:
    @rt.remote
    class Meeting:
        """Calls that wait for each other."""

        async def __init__(self, size: int = 2) -> None:  # type: ignore[misc]
            await asyncio.sleep(0)
            self.size = size
            self.there = 0
            self.full = asyncio.Event()
            self.log: list[Any] = []

        async def join(self) -> int:
            self.there += 1
            if self.there == self.size:
                self.full.set()
            await self.full.wait()
            return self.there

        async def note(self, value: Any) -> None:
            self.log.append(value)
            await asyncio.sleep(0)

        def notes(self) -> list[Any]:
            return self.log

        async def fail(self) -> None:
            await asyncio.sleep(0)
            raise LookupError("nothing")

        async def cancel_itself(self) -> None:
            raise asyncio.CancelledError

        async def who(self) -> Any:
            before = rt.get_runtime_context().get_task_id()
            await self.join()
            return before, rt.get_runtime_context().get_task_id()

        def loop_runs_here(self) -> bool:
            return asyncio.get_running_loop() is not None

        async def leave(self) -> None:
            rt.actor.exit_actor()

    return Meeting


def test_calls_of_an_async_actor_wait_for_each_other(rt: Any, at_once: None, meeting: Any) -> None:
    actor = meeting.remote(100)
    assert rt.get([actor.join.remote() for _ in range(100)], timeout=WAIT) == [100] * 100


def test_an_async_actor_runs_each_call_once(rt: Any, meeting: Any) -> None:
    actor = meeting.remote()
    rt.get([actor.note.remote(n) for n in range(200)])
    assert sorted(rt.get(actor.notes.remote())) == list(range(200))


def test_sync_methods_of_an_async_actor_run_in_its_loop(rt: Any, meeting: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("a sync method is simply called")
    assert rt.get(meeting.remote().loop_runs_here.remote())


def test_errors_of_coroutines_are_raised_by_get(rt: Any, meeting: Any) -> None:
    actor = meeting.remote()
    with pytest.raises(LookupError, match="nothing") as raised:
        rt.get(actor.fail.remote())
    assert isinstance(raised.value, rt.exceptions.RayTaskError)
    with pytest.raises(rt.exceptions.TaskCancelledError, match="was cancelled"):
        rt.get(actor.cancel_itself.remote())
    rt.get(actor.note.remote(1))


def test_each_coroutine_knows_its_own_task(rt: Any, at_once: None, meeting: Any) -> None:
    actor = meeting.remote(3)
    calls = [actor.who.remote() for _ in range(3)]
    for call, (before, after) in zip(calls, rt.get(calls, timeout=WAIT), strict=True):
        assert before == after
        assert rt.engine == "ray" or before == call.task_id().hex()


def test_max_concurrency_limits_the_calls_of_an_async_actor(rt: Any, at_once: None) -> None:
    @rt.remote(max_concurrency=2)
    class Busy:
        def __init__(self) -> None:
            self.now = self.most = 0
            self.two = asyncio.Event()

        async def work(self) -> int:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now == 2:
                self.two.set()
            await asyncio.wait_for(self.two.wait(), WAIT)
            for _ in range(5):
                await asyncio.sleep(0)
            self.now -= 1
            return self.most

    busy = Busy.remote()
    assert max(rt.get([busy.work.remote() for _ in range(20)])) == 2


def test_an_async_actor_leaves_when_what_runs_is_done(
    rt: Any, at_once: None, meeting: Any, tmp_path: Path
) -> None:
    @rt.remote
    class Leaving:
        def __init__(self) -> None:
            self.may_end = asyncio.Event()

        async def run(self) -> str:
            await self.may_end.wait()
            return "done"

        async def leave(self) -> None:
            self.may_end.set()
            rt.actor.exit_actor()

    actor = Leaving.remote()
    running = actor.run.remote()
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(actor.leave.remote())
    assert rt.get(running, timeout=WAIT) == "done"
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(actor.run.remote())


@pytest.mark.parametrize("kind", ["async", "threads"])
def test_who_calls_an_actor_that_has_left_need_not_wait_for_what_runs(
    rt: Any, at_once: None, kind: str
) -> None:
    if rt.engine == "ray":
        pytest.skip("such a call waits for what runs, for ever if that never ends")

    @rt.remote(max_concurrency=3)
    class EndlessThreads:
        def stay(self) -> None:
            threading.Event().wait()

        def leave(self) -> None:
            rt.actor.exit_actor()

        def ping(self) -> int:
            return 1

    @rt.remote
    class Endless:
        async def stay(self) -> None:
            await asyncio.Event().wait()

        async def leave(self) -> None:
            rt.actor.exit_actor()

        async def ping(self) -> int:
            return 1

    cls: Any = Endless if kind == "async" else EndlessThreads
    actor = cls.remote()
    stays = actor.stay.remote()
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(actor.leave.remote(), timeout=WAIT)
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(actor.ping.remote(), timeout=WAIT)
    assert rt.wait([stays], timeout=0) == ([], [stays])
    rt.kill(actor)
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(stays, timeout=WAIT)


def test_how_a_method_of_an_async_actor_leaves(rt: Any) -> None:
    @rt.remote
    class Leaving:
        async def leave(self, told: Any) -> None:
            try:
                rt.actor.exit_actor()
            except Exception as error:
                await told.append.remote(type(error) is rt.exceptions.AsyncioActorExit)
                raise

        async def stay(self) -> str:
            with contextlib.suppress(Exception):
                rt.actor.exit_actor()
            return "still here"

        async def leave_in_a_task(self) -> None:
            async def leave() -> None:
                rt.actor.exit_actor()

            await asyncio.create_task(leave())

    told = rt.remote(_Notes).remote()
    for method, arguments in (("leave", [told]), ("stay", []), ("leave_in_a_task", [])):
        actor = Leaving.remote()
        for _ in range(2):
            with pytest.raises(rt.exceptions.RayActorError):
                rt.get(getattr(actor, method).remote(*arguments), timeout=WAIT)
    assert rt.get(told.all.remote()) == [True]


def test_how_a_method_of_another_actor_leaves(rt: Any) -> None:
    @rt.remote
    class Leaving:
        def leave(self, told: Any) -> None:
            try:
                rt.actor.exit_actor()
            except SystemExit:
                rt.get(told.append.remote("left"))
                raise

    told = rt.remote(_Notes).remote()
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(Leaving.remote().leave.remote(told), timeout=WAIT)
    assert rt.get(told.all.remote()) == ["left"]


@pytest.fixture
def gate(rt: Any) -> Any:
    @rt.remote(max_concurrency=3, concurrency_groups={"io": 2})
    class Gate:
        """Threads that wait for each other."""

        def __init__(self) -> None:
            self.barrier = threading.Barrier(3)
            self.local = threading.local()

        def meet(self) -> str:
            self.barrier.wait(WAIT)
            return threading.current_thread().name

        def count(self) -> int:
            self.local.count = getattr(self.local, "count", 0) + 1
            return int(self.local.count)

        @rt.method(concurrency_group="io")
        def io(self) -> int:
            return threading.get_ident()

        def get(self, refs: list[Any]) -> Any:
            return rt.get(refs[0])

        def leave(self) -> None:
            rt.actor.exit_actor()

        def __repr__(self) -> str:
            return "Gate 7"

    return Gate


def test_calls_of_a_threaded_actor_run_at_once(rt: Any, at_once: None, gate: Any) -> None:
    actor = gate.remote()
    assert len(set(rt.get([actor.meet.remote() for _ in range(3)], timeout=WAIT))) == 3


def test_threads_of_an_actor_stay(rt: Any, at_once: None, gate: Any) -> None:
    actor = gate.remote()
    assert sum(n == 1 for n in rt.get([actor.count.remote() for _ in range(60)])) <= 3


def test_several_threads_of_an_actor_wait_in_get(rt: Any, gate: Any) -> None:
    @rt.remote
    def double(x: int) -> int:
        return 2 * x

    actor = gate.remote()
    refs = [double.remote(n) for n in range(9)]
    assert rt.get([actor.get.remote([ref]) for ref in refs], timeout=WAIT) == list(range(0, 18, 2))


def test_a_group_has_threads_of_its_own(rt: Any, at_once: None, gate: Any) -> None:
    actor = gate.remote()
    meeting = [actor.meet.remote() for _ in range(2)]
    others = set(rt.get([actor.io.remote() for _ in range(20)], timeout=WAIT))
    assert len(others) <= 2
    in_io = actor.meet.options(concurrency_group="io").remote()
    assert len(set(rt.get([*meeting, in_io], timeout=WAIT))) == 3


def test_groups_of_an_async_actor_have_loops_of_their_own(rt: Any, at_once: None) -> None:
    @rt.remote(concurrency_groups={"io": 1, "compute": 2})
    class Loops:
        @rt.method(concurrency_group="io")
        async def io(self) -> int:
            return id(asyncio.get_running_loop())

        @rt.method(concurrency_group="io")
        def io_too(self) -> int:
            return id(asyncio.get_running_loop())

        @rt.method(concurrency_group="compute")
        async def compute(self) -> int:
            return id(asyncio.get_running_loop())

        async def other(self) -> int:
            return id(asyncio.get_running_loop())

    actor = Loops.remote()
    io, io_too, compute, other = rt.get(
        [actor.io.remote(), actor.io_too.remote(), actor.compute.remote(), actor.other.remote()]
    )
    assert io == io_too
    assert len({io, compute, other}) == 3


def test_a_call_without_its_input_holds_nobody_back(
    rt: Any, at_once: None, gate: Any, tmp_path: Path
) -> None:
    fifo = tmp_path / "go"
    os.mkfifo(fifo)

    @rt.remote(num_cpus=0)
    def later() -> list[Any]:
        return [rt.put(fifo.read_text())]

    @rt.remote
    class Order:
        async def get(self, refs: list[Any]) -> Any:
            return await refs[0] if hasattr(refs[0], "__await__") else rt.get(refs[0])

    for actor in (gate.remote(), Order.remote()):
        waits = actor.get.remote(later.remote())
        assert rt.get(actor.get.remote([rt.put(5)]), timeout=WAIT) == 5
        fifo.write_text("went")
        assert rt.get(waits, timeout=WAIT) == "went"


def test_actors_with_several_calls_at_once_keep_no_order(rt: Any, gate: Any, meeting: Any) -> None:
    for wrong in (
        gate.options(allow_out_of_order_execution=False),
        meeting.options(allow_out_of_order_execution=False),
    ):
        with pytest.raises(ValueError, match="in order"):
            wrong.remote()


def test_too_many_pending_calls_are_refused(rt: Any, at_once: None, gate: Any) -> None:
    actor = gate.options(max_pending_calls=2).remote()
    for _ in range(10):
        rt.get(actor.count.remote())
    calls = [actor.meet.remote(), actor.meet.remote()]
    with pytest.raises(rt.exceptions.PendingCallsLimitExceeded, match="max_pending_calls"):
        actor.meet.remote()
    del calls


@pytest.mark.parametrize("kind", ["gate", "meeting"])
def test_methods_that_every_actor_has(rt: Any, kind: str, request: pytest.FixtureRequest) -> None:
    actor = request.getfixturevalue(kind).remote()
    assert rt.get(actor.__ray_ready__.remote()) is True

    def look(self: Any, x: int, y: int = 0) -> Any:
        return type(self).__name__, x + y

    assert rt.get(actor.__ray_call__.remote(look, 3, y=4))[1] == 7
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(actor.__ray_terminate__.remote())


def test_a_threaded_actor_leaves(rt: Any, gate: Any) -> None:
    actor = gate.remote()
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(actor.leave.remote())
    with pytest.raises(rt.exceptions.RayActorError):
        rt.get(actor.count.remote())
