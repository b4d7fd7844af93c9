"""E17: processes, threads and signals of the user's own, in tasks and in actors."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import paralab
import scorecard_children as use
from leak_check import wait_ended

SECONDS = 60

Runs = Callable[..., Any]


class Body:
    def run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return function(*args)


@pytest.fixture(params=["task", "actor", "threaded actor"])
def run(request: pytest.FixtureRequest, session: object) -> Runs:
    """Runs a function of ``scorecard_children`` there; the place works as before after that."""
    if request.param == "task":
        task = paralab.remote(max_retries=0)(lambda function, args: function(*args))
        call = task.remote
    else:
        options = {"max_concurrency": 2} if request.param == "threaded actor" else {}
        actor = paralab.remote(type("Body", (), dict(vars(Body)))).options(**options).remote()
        call = actor.run.remote

    def run(function: Callable[..., Any], *args: Any) -> Any:
        result = paralab.get(call(function, args), timeout=SECONDS)
        assert paralab.get(call(use.square, (3,)), timeout=SECONDS) == 9
        return result

    return run


def test_a_forked_child(run: Runs) -> None:
    assert run(use.fork) == ("42", 3)


def test_a_forked_child_that_calls_paralab_is_told_why_it_cannot(run: Runs) -> None:
    (remote, put, get, wait, initialized), values = run(use.fork_calls)
    for said in (remote, put):
        assert said.startswith("RuntimeError: This process was forked by a task in process ")
        assert "init()" in said
    for said in (get, wait):
        assert said.startswith("ValueError: ObjectRef(")
        assert "forked child" in said
    assert initialized == "False"
    assert values == [2, 3]


@pytest.mark.parametrize(("how", "code"), [("sys.exit", 5), ("raise", 1), ("return", 0)])
def test_a_forked_child_that_leaves_the_function(run: Runs, how: str, code: int) -> None:
    assert run(use.leave, how) == code


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", [use.pool, use.executor])
def test_a_pool_of_processes(
    run: Runs, scorecard: Any, kind: Callable[..., Any], method: str, tmp_path: Path
) -> None:
    start = time.perf_counter()
    assert run(kind, method, str(tmp_path)) == ([0, 1, 4, 9, 16], {False})
    seconds = round(time.perf_counter() - start, 2)
    scorecard.figure(
        "E17",
        f"{kind.__name__} ({method}) in a task",
        seconds,
        "s",
        "Dask refuses Pool",
        short="pools in a task in {} at most",
    )


def test_threads(run: Runs) -> None:
    assert run(use.threads) == list(range(1, 9))


def test_other_programs(run: Runs) -> None:
    assert run(use.command) == (b"5\n", -signal.SIGKILL)


def test_an_event_loop(run: Runs) -> None:
    assert run(use.loop) == ([1, 2, 3], b"7\n")


@pytest.mark.parametrize("run", ["task", "actor"], indirect=True)
def test_signal_handlers(run: Runs) -> None:
    """In the main thread, as everywhere in Python."""
    assert run(use.signals) == (True, 2)


def test_threads_that_outlive_the_call(session: object) -> None:
    outliving = paralab.remote(use.Outliving).remote()
    paralab.get(outliving.start.remote(), timeout=SECONDS)
    assert paralab.get(outliving.told.remote(), timeout=SECONDS) == [2, 2]


def test_an_actor_ends_beside_threads_that_never_do(session: object) -> None:
    outliving = paralab.remote(use.Outliving).remote()
    pid = paralab.get(outliving.start.remote(), timeout=SECONDS)
    del outliving
    assert wait_ended(pid, SECONDS)


def test_children_and_grandchildren_end_with_their_worker(session: object, scorecard: Any) -> None:
    @paralab.remote
    class Parent:
        def start(self) -> list[int]:
            return use.family()

    parent = Parent.remote()
    pids = paralab.get(parent.start.remote(), timeout=SECONDS)
    start = time.perf_counter()
    os.kill(pids[0], signal.SIGKILL)
    assert all(wait_ended(pid, SECONDS) for pid in pids)
    seconds = round(time.perf_counter() - start, 3)
    what = "SIGKILL of a worker until its children and grandchildren are gone"
    scorecard.figure("E17", what, seconds, "s", short="children of a killed worker gone in {}")
    with pytest.raises(paralab.exceptions.ActorDiedError):
        paralab.get(parent.start.remote(), timeout=SECONDS)
