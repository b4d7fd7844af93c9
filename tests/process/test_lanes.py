"""Actors that run several calls at once: what is cancelled, killed, or left behind."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab

pytestmark = pytest.mark.usefixtures("runtime")

WAIT = 60
"""Seconds within which anything here is done; only a failure waits so long."""


@paralab.remote
class Waiting:
    """Its calls wait for ever."""

    def __init__(self) -> None:
        self.cancelled = self.begun = 0

    async def wait(self) -> None:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def counts(self) -> tuple[int, int]:
        return self.begun, self.cancelled

    def pid(self) -> int:
        return os.getpid()

    def leave_a_task(self, path: Path) -> None:
        async def background() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                os.close(os.open(path, os.O_CREAT))

        self.task = asyncio.get_running_loop().create_task(background())

    async def exits_in_background(self) -> None:
        async def leave() -> None:
            raise SystemExit

        self.task = asyncio.get_running_loop().create_task(leave())
        await asyncio.sleep(0)


def begun(actor: Any) -> int:
    """How many of its waits have begun."""
    return int(paralab.get(actor.counts.remote(), timeout=WAIT)[0])


def test_a_running_coroutine_is_cancelled() -> None:
    actor = Waiting.remote()
    calls = [actor.wait.remote() for _ in range(3)]
    assert begun(actor) == 3
    paralab.cancel(calls[1])
    with pytest.raises(paralab.exceptions.TaskCancelledError):
        paralab.get(calls[1], timeout=WAIT)
    assert paralab.get(actor.counts.remote()) == (3, 1)
    assert paralab.wait(calls, num_returns=3, timeout=0)[0] == [calls[1]]


def test_a_call_that_waits_for_room_is_cancelled_at_once() -> None:
    actor = Waiting.options(max_concurrency=1).remote()
    first, second, third = [actor.wait.remote() for _ in range(3)]
    paralab.cancel(second)
    with pytest.raises(paralab.exceptions.TaskCancelledError):
        paralab.get(second, timeout=WAIT)
    paralab.cancel(first)
    with pytest.raises(paralab.exceptions.TaskCancelledError):
        paralab.get(first, timeout=WAIT)
    paralab.cancel(third)
    assert begun(actor) <= 2


def test_a_queued_call_of_a_threaded_actor_is_cancelled_at_once() -> None:
    @paralab.remote(max_concurrency=2)
    class Threads:
        def __init__(self) -> None:
            self.go = threading.Event()

        def wait(self) -> bool:
            self.go.wait(WAIT)
            return bool(paralab.get_runtime_context().is_canceled())

        def let_go(self) -> None:
            self.go.set()

    actor = Threads.options(max_concurrency=2).remote()
    running = actor.wait.remote()
    more = actor.wait.remote()
    queued = actor.wait.remote()
    paralab.cancel(queued)
    with pytest.raises(paralab.exceptions.TaskCancelledError):
        paralab.get(queued, timeout=WAIT)
    paralab.kill(actor)
    for call in (running, more):
        with pytest.raises(paralab.exceptions.ActorDiedError):
            paralab.get(call, timeout=WAIT)


@pytest.mark.parametrize("is_sent", [True, False])
def test_all_pending_calls_of_a_killed_actor_fail(is_sent: bool) -> None:
    actor = Waiting.options(max_concurrency=400).remote()
    pid = paralab.get(actor.pid.remote())
    calls = [actor.wait.remote() for _ in range(1_000)]
    if is_sent:
        paralab.cancel(calls[999])
        with pytest.raises(paralab.exceptions.TaskCancelledError):
            paralab.get(calls.pop(), timeout=WAIT)
    os.kill(pid, signal.SIGKILL)
    for call in calls:
        with pytest.raises(paralab.exceptions.ActorDiedError):
            paralab.get(call, timeout=WAIT)


def test_the_session_ends_while_coroutines_run() -> None:
    actor = Waiting.remote()
    calls = [actor.wait.remote() for _ in range(100)]
    assert begun(actor) == 100
    paralab.shutdown()
    del calls


def test_tasks_that_an_actor_leaves_behind_are_cancelled(tmp_path: Path) -> None:
    actor = Waiting.remote()
    paralab.get(actor.leave_a_task.remote(tmp_path / "left"))
    del actor
    assert eventually(lambda: (tmp_path / "left").exists())


def test_a_background_task_that_exits_ends_the_actor() -> None:
    actor = Waiting.remote()
    paralab.get(actor.exits_in_background.remote())
    with pytest.raises(paralab.exceptions.ActorDiedError):
        paralab.get(actor.wait.remote(), timeout=WAIT)


def test_the_loop_serves_sockets_of_its_own_while_calls_come() -> None:
    @paralab.remote
    class Server:
        async def serve(self) -> int:
            async def answer(reader: Any, writer: Any) -> None:
                writer.write(await reader.readline())
                writer.close()

            self.server = await asyncio.start_server(answer, "127.0.0.1", 0)
            return int(self.server.sockets[0].getsockname()[1])

        async def ask(self, port: int, size: int) -> int:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
            writer.write(b"x" * size + b"\n")
            answer = await reader.read()
            writer.close()
            return len(answer)

        async def in_a_thread(self) -> str:
            return await asyncio.to_thread(
                lambda: str(paralab.get_runtime_context().get_task_name())
            )

    server = Server.remote()
    port = paralab.get(server.serve.remote())
    asked = [server.ask.remote(port, n * 100) for n in range(1, 50)]
    assert paralab.get(asked, timeout=WAIT) == [n * 100 + 1 for n in range(1, 50)]
    assert paralab.get(server.in_a_thread.remote(), timeout=WAIT) == "Server.in_a_thread"


def test_large_arguments_and_results_of_coroutines_are_freed() -> None:
    @paralab.remote
    class Echo:
        async def echo(self, value: Any) -> Any:
            await asyncio.sleep(0)
            return value

    data = os.urandom(300_000)
    actor = Echo.remote()
    ref = paralab.put(data)
    for result in paralab.get([actor.echo.remote(x) for x in (data, ref, [ref])], timeout=WAIT):
        assert result == data or result == [ref]


def test_an_async_actor_begins_its_calls_in_order() -> None:
    @paralab.remote
    class Log:
        def __init__(self) -> None:
            self.log: list[int] = []

        async def note(self, n: int) -> None:
            self.log.append(n)
            await asyncio.sleep(0)

        def all(self) -> list[int]:
            return self.log

    actor = Log.remote()
    paralab.get([actor.note.remote(n) for n in range(2_000)])
    assert paralab.get(actor.all.remote()) == list(range(2_000))
