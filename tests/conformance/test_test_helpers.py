"""The helpers that tests of programs import: ``_common.test_utils``, ``_private.test_utils``."""

from __future__ import annotations

import importlib
import os
import subprocess
import time
from types import ModuleType
from typing import Any

import pytest


def helpers(rt: Any, name: str = "_private.test_utils") -> ModuleType:
    return importlib.import_module(f"{rt.library.__name__}.{name}")


def test_a_signal_lets_all_go_that_wait(rt: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("nothing runs beside the caller")
    common = helpers(rt, "_common.test_utils")
    signal = common.SignalActor.remote()
    rt.get(signal.wait.remote(should_wait=False))
    waiting = [signal.wait.remote() for _ in range(3)]
    common.wait_for_condition(lambda: rt.get(signal.cur_num_waiters.remote()) == 3, timeout=60)
    assert rt.wait(waiting, num_returns=3, timeout=0)[0] == []
    rt.get(signal.send.remote())
    assert rt.get(waiting) == [None] * 3


def test_a_semaphore_counts(rt: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("nothing runs beside the caller")
    semaphore = helpers(rt, "_common.test_utils").Semaphore.remote(value=1)
    rt.get(semaphore.acquire.remote())
    assert rt.get(semaphore.locked.remote())
    second = semaphore.acquire.remote()
    rt.get(semaphore.release.remote())
    rt.get(second)


def test_a_condition_is_asked_until_it_holds(rt: Any) -> None:
    wait_for_condition = helpers(rt).wait_for_condition
    answers = iter([False, False, True])
    wait_for_condition(lambda: next(answers), retry_interval_ms=1)
    with pytest.raises(RuntimeError, match="condition wasn't met before the timeout expired"):
        wait_for_condition(lambda: False, timeout=0.01, retry_interval_ms=1)
    with pytest.raises(RuntimeError, match=r"(?s)Last exception: .*ZeroDivisionError"):
        wait_for_condition(lambda: bool(1 / 0), timeout=0.01, retry_interval_ms=1)
    with pytest.raises(ZeroDivisionError):
        wait_for_condition(lambda: bool(1 / 0), raise_exceptions=True)


def test_a_program_runs_as_a_driver(rt: Any) -> None:
    common = helpers(rt, "_common.test_utils")
    private = helpers(rt)
    assert common.run_string_as_driver("print('hello')") == "hello\n"
    out, err = private.run_string_as_driver_stdout_stderr(
        "import sys; print('out'); print('err', file=sys.stderr)"
    )
    assert (out, err) == ("out\n", "err\n")
    with pytest.raises(subprocess.CalledProcessError) as raised:
        common.run_string_as_driver("raise SystemExit(3)")
    assert raised.value.returncode == 3
    process = private.run_string_as_driver_nonblocking("print('later')")
    assert process.stdout.read() == b"later\n"
    with process:
        assert process.wait() == 0


def test_processes_that_end(rt: Any) -> None:
    private = helpers(rt)
    process = subprocess.Popen(["sleep", "60"])
    with pytest.raises(TimeoutError):
        private.wait_for_pid_to_exit(process.pid, timeout=0.05)
    private.wait_for_children_of_pid(os.getpid(), 1)
    process.kill()
    private.wait_for_pid_to_exit(process.pid)
    process.wait()


def test_an_actor_is_killed(rt: Any) -> None:
    if rt.__name__ == "ray":
        pytest.skip("there, the dashboard is asked")

    @rt.remote
    class A:
        def ping(self) -> str:
            return "pong"

    a = A.remote()
    assert rt.get(a.ping.remote()) == "pong"
    helpers(rt).kill_actor_and_wait_for_failure(a)
    with pytest.raises(Exception, match="killed"):
        rt.get(a.ping.remote())


def test_small_helpers(rt: Any) -> None:
    private = helpers(rt)
    assert private.same_elements([[1], [2]], ([2], [1]))
    assert not private.same_elements([1], [2])
    assert rt.get(private.put_object(5, use_ray_put=True)) == 5
    assert rt.get(private.put_object(6, use_ray_put=False)) == 6
    assert not private.client_test_enabled()
    begun = time.monotonic()

    def late() -> None:
        assert time.monotonic() > begun + 0.02

    private.wait_for_assertion(late, retry_interval_ms=5)
    assert private.wait_until_succeeded_without_exception(late, (AssertionError,))


def test_the_worker_that_older_programs_ask(rt: Any) -> None:
    worker = helpers(rt, "_private.worker").global_worker
    context = rt.get_runtime_context()
    assert worker.connected
    assert worker.current_job_id.hex() == context.get_job_id()
    assert worker.current_node_id.hex() == context.get_node_id()
    assert worker.mode in (0, 2)
