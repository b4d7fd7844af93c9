"""``util.concurrent.Executor``: what CPython's tests do not ask, or ask of its insides."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab.util.concurrent import Executor
from paralab.util.state import list_tasks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]
LONG = 60.0


@pytest.fixture
def executor() -> Iterator[Executor]:
    with Executor(2) as made:
        yield made


def square(x: int) -> int:
    return x * x


def pid_after(path: str) -> int:
    """Waits for somebody who opens the pipe."""
    Path(path).read_text()
    return os.getpid()


@pytest.fixture
def gate(tmp_path: Path) -> str:
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    return path


def open_gate(path: str) -> None:
    with open(path, "w"):
        pass


def test_results_come_in_order_and_errors_as_they_were_raised(executor: Executor) -> None:
    assert list(executor.map(square, range(30), chunksize=4)) == [x * x for x in range(30)]
    failed = executor.submit(int, "seven")
    with pytest.raises(ValueError, match="seven") as caught:
        failed.result(LONG)
    assert "Traceback" in str(caught.value.__cause__)
    assert isinstance(executor.submit(sys.exit, 3).exception(LONG), SystemExit)
    assert {each.result() for each in as_completed([executor.submit(square, 5)] * 2)} == {25}


def test_names_say_what_it_was(executor: Executor) -> None:
    executor.submit(square, 2).result(LONG)
    list(executor.map(square, range(4), chunksize=2))
    names = [task.func_or_class_name for task in list_tasks()]
    assert "Executor.submit square" in names
    assert "Executor.map square" in names


def test_what_no_process_has_begun_can_be_cancelled(gate: str) -> None:
    with Executor(1) as executor:
        running, waiting = executor.submit(pid_after, gate), executor.submit(square, 3)
        eventually(running.running, LONG)
        assert not running.cancel()
        assert waiting.cancel()
        called: list[Future[Any]] = []
        waiting.add_done_callback(called.append)
        open_gate(gate)
        assert running.result(LONG) != os.getpid()
        assert wait([waiting], LONG).done == {waiting}
        assert called == [waiting]
        with pytest.raises(CancelledError):
            waiting.result()


def test_map_that_is_late_cancels_the_rest(gate: str) -> None:
    class Watched(Executor):
        def _add(self, call: Any) -> None:
            futures.append(call.future)
            super()._add(call)

    futures: list[Future[Any]] = []
    with Watched(1) as executor:
        with pytest.raises(TimeoutError):
            next(executor.map(pid_after, [gate] * 3, timeout=0))
        assert [each.cancelled() for each in futures[1:]] == [True, True]
        if not futures[0].cancelled():
            open_gate(gate)
        assert executor.submit(square, 4).result(LONG) == 16


def test_an_infinite_iterable_is_read_only_so_far_ahead(executor: Executor) -> None:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for n in itertools.count():
            read.append(n)
            yield n

    results = executor.map(square, numbers(), buffersize=3)
    assert [next(results) for _ in range(10)] == [x * x for x in range(10)]
    assert len(read) == 13
    with pytest.raises(ValueError, match="buffersize"):
        executor.map(square, [1], buffersize=0)


def test_processes_are_started_when_there_is_work_and_used_again() -> None:
    with Executor(4) as executor:
        pids = {executor.submit(os.getpid).result(LONG) for _ in range(5)}
    assert len(pids) == 1


def test_a_process_is_replaced_after_its_calls() -> None:
    with Executor(1, max_tasks_per_child=3) as executor:
        pids = [executor.submit(os.getpid).result(LONG) for _ in range(7)]
    assert [len(list(same)) for _pid, same in itertools.groupby(pids)] == [3, 3, 1]


def test_a_process_that_dies_fails_its_calls_and_is_replaced(executor: Executor) -> None:
    died = executor.submit(os.kill, 0, 0)  # the group of the process: it is there
    assert died.result(LONG) is None
    died = executor.submit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(BrokenProcessPool, match="SIGKILL"):
        died.result(LONG)
    assert executor.submit(square, 7).result(LONG) == 49


def test_an_initializer_that_fails_breaks_it(capfd: pytest.CaptureFixture[str]) -> None:
    def start(_argument: int) -> None:
        raise LookupError("no licence")

    executor = Executor(1, initializer=start, initargs=(1,))
    with pytest.raises(BrokenProcessPool, match="no licence"):
        executor.submit(square, 1).result(LONG)
    eventually(lambda: not executor._thread.is_alive(), LONG)
    with pytest.raises(BrokenProcessPool, match="no licence"):
        executor.submit(square, 1)
    eventually(lambda: "LookupError: no licence" in capfd.readouterr().err, LONG)


def test_what_cannot_be_pickled_fails_alone(executor: Executor) -> None:
    lock = threading.Lock()
    with pytest.raises(TypeError, match="lock"):
        executor.submit(print, lock).result(LONG)
    with pytest.raises(Exception, match="lock"):
        executor.submit(threading.Lock).result(LONG)
    assert executor.submit(square, 7).result(LONG) == 49


def test_one_that_nobody_has_any_more_finishes() -> None:
    executor = Executor(2)
    results = [executor.submit(square, x) for x in range(10)]
    thread = executor._thread
    del executor
    gc.collect()
    thread.join(LONG)
    assert not thread.is_alive()
    assert [each.result(LONG) for each in results] == [x * x for x in range(10)]


def test_after_shutdown() -> None:
    executor = Executor(1)
    result = executor.submit(square, 3)
    executor.shutdown(wait=False)
    executor.shutdown()
    assert result.result(0) == 9
    for use in (lambda: executor.submit(square, 1), lambda: executor.map(square, [1])):
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            use()
    assert repr(executor).endswith("Executor max_workers=1 ended>")


def test_bad_input(caplog: pytest.LogCaptureFixture) -> None:
    for bad in ({"max_tasks_per_child": 0}, {"max_workers": -1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            Executor(**bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="initializer"):
        Executor(initializer=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="max_tasks_per_child"):
        Executor(max_tasks_per_child=1.5)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, "paralab"), Executor(mp_context="fork") as executor:
        assert "mp_context is ignored" in caplog.text
        with pytest.raises(TypeError, match="executors cannot be"):
            pickle.dumps(executor)
        with pytest.raises(ValueError, match="chunksize"):
            executor.map(square, [1], chunksize=0)


def test_in_an_event_loop(executor: Executor) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(executor, square, x) for x in range(5)))

    assert asyncio.run(main()) == [0, 1, 4, 9, 16]


def test_in_a_task() -> None:
    @paralab.remote
    def inner() -> list[int]:
        with Executor(2) as executor:
            return list(executor.map(square, range(3)))

    assert paralab.get(inner.remote(), timeout=LONG) == [0, 1, 4]


def test_a_program_that_ends_does_what_was_submitted() -> None:
    program = """if True:
        import paralab
        from paralab.util.concurrent import Executor
        paralab.init(num_cpus=1, log_to_driver=False)
        executor = Executor(1)
        futures = [executor.submit(pow, 2, 5) for _ in range(20)]
        for future in futures:
            future.add_done_callback(lambda each: print(each.result(), end=" "))
    """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout.split(), done.stderr) == (["32"] * 20, "")
