"""What is particular to running in the calling process."""

from __future__ import annotations

import os
import sys
import threading
import traceback
import weakref
from typing import Any

import pytest

import paralab


@pytest.fixture(params=[True, "pickled"])
def local(request: pytest.FixtureRequest, shutdown_after: None) -> Any:
    paralab.init(local_mode=request.param, num_cpus=2)
    return request.param


@paralab.remote
def fail(x: int) -> float:
    return 1 / x


def test_tasks_run_here_in_order(local: Any) -> None:
    seen: list[int] = []
    note = paralab.remote(lambda n: (n, threading.get_ident(), os.getpid()))
    here = (threading.get_ident(), os.getpid())
    assert paralab.get([note.remote(n) for n in range(3)]) == [(n, *here) for n in range(3)]
    if local is True:
        paralab.remote(lambda n: seen.append(n)).remote(1)
        assert seen == [1], "a task has run when remote() returns"


def test_copies_show_state_that_is_not_shared(local: Any) -> None:
    shared = [1]
    change = paralab.remote(lambda values: values.append(2))
    paralab.get(change.remote(shared))
    ref = paralab.put(shared)
    paralab.get(ref).append(3)
    assert shared == ([1, 2, 3] if local is True else [1])
    assert paralab.get(ref) == ([1, 2, 3] if local is True else [1])


def test_the_plain_traceback_of_this_process(local: Any) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        paralab.get(fail.remote(0))
    text = "".join(traceback.format_exception(caught.value))
    first, second = text.split("The above exception was the direct cause")
    assert first.count("  File ") == 1
    assert "return 1 / x" in first
    assert second.count('api.py"') == 1, "one line of paralab's own"


def test_each_get_raises_an_exception_of_its_own(local: Any) -> None:
    ref = fail.remote(0)
    raised = []
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as caught:
            paralab.get(ref)
        raised.append(caught.value)
    assert raised[0] is not raised[1]


def test_an_interrupt_at_the_keyboard_is_the_users(local: Any) -> None:
    @paralab.remote
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted.remote()
    assert paralab.get_runtime_context().get_task_id() is None


def test_500_deep(local: Any) -> None:
    before = sys.getrecursionlimit()

    @paralab.remote
    def deep(n: int) -> int:
        return 0 if n == 0 else 1 + int(paralab.get(deep.remote(n - 1)))

    assert paralab.get(deep.remote(500)) == 500
    paralab.shutdown()
    assert sys.getrecursionlimit() < before


def test_objects_and_actors_go_with_their_last_ref(local: Any) -> None:
    class Value:
        pass

    class Holder:
        def value(self) -> Any:
            return weakref.ref(self)

    if local == "pickled":
        pytest.skip("there are copies of copies")
    value = Value()
    gone = weakref.ref(value)
    ref = paralab.put(value)
    del value
    assert gone() is not None
    del ref
    assert gone() is None

    actor = paralab.remote(Holder).remote()
    method = actor.value
    instance = paralab.get(method.remote())
    del actor
    assert instance() is not None, "a method holds its actor too"
    del method
    assert instance() is None


def test_environment_variables_of_tasks(local: Any) -> None:
    look = paralab.remote(lambda: os.environ.get("PARALAB_TEST"))
    env = {"env_vars": {"PARALAB_TEST": "yes"}}
    assert paralab.get(look.options(runtime_env=env).remote()) == "yes"
    assert paralab.get(look.remote()) is None
    paralab.shutdown()
    paralab.init(local_mode=local, runtime_env=env)
    assert paralab.get(look.remote()) == "yes"
    paralab.shutdown()
    assert "PARALAB_TEST" not in os.environ


def test_what_is_free_while_a_task_runs(local: Any) -> None:
    look = paralab.remote(num_cpus=2)(lambda: paralab.available_resources().get("CPU"))
    assert paralab.get(look.remote()) is None
    assert paralab.available_resources()["CPU"] == 2


def test_refs_pickled_by_others_last_as_long_as_the_session(local: Any) -> None:
    import pickle

    data = pickle.dumps(paralab.put("kept"))
    assert paralab.get(pickle.loads(data)) == "kept"
    paralab.shutdown()
    paralab.init(local_mode=local)
    with pytest.raises(paralab.exceptions.ObjectLostError):
        pickle.loads(data)


def test_full_tracebacks(local: Any) -> None:
    paralab.shutdown()
    paralab.init(local_mode=local, _full_tracebacks=True)
    with pytest.raises(ZeroDivisionError) as caught:
        paralab.get(fail.remote(0))
    assert len(caught.traceback) > 2
    assert "hidden" not in str(caught.value)
