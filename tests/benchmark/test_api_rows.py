"""Every row of a runtime, run against a runtime of twenty lines that does it all at once."""

import os
import time
from types import SimpleNamespace
from typing import Any

import pytest

from paralab.benchmark import api as api_rows
from paralab.benchmark import machine, measure
from paralab.benchmark.libraries import OPENS
from paralab.benchmark.rows import FULL, QUICK, ROWS, SUBJECT


class Ref:
    def __init__(self, value: Any) -> None:
        self.value = value


def _remote(target: Any) -> Any:
    if not isinstance(target, type):
        return SimpleNamespace(remote=lambda *args: Ref(target(*map(_get, args))))

    def make(*args: Any) -> Any:
        actor = target(*args)
        methods = {
            name: SimpleNamespace(remote=lambda name=name: Ref(getattr(actor, name)()))
            for name in vars(target)
            if not name.startswith("_")
        }
        return SimpleNamespace(**methods)

    return SimpleNamespace(remote=make, options=lambda **options: _remote(target))


def _get(ref: Any) -> Any:
    return [_get(one) for one in ref] if isinstance(ref, list) else ref.value


def _put(value: Any) -> Ref:
    if hasattr(value, "flags"):
        value = value.copy()
        value.flags.writeable = False
    return Ref(value)


def _wait(refs: list[Ref], num_returns: int = 1) -> tuple[list[Ref], list[Ref]]:
    return refs[:num_returns], refs[num_returns:]


def fake_api(**more: Any) -> Any:
    return SimpleNamespace(**{"remote": _remote, "get": _get, "put": _put, "wait": _wait, **more})


@pytest.mark.parametrize(
    "name", ["put_small", "get_small", "wait_ready", "new_actor", "put_array_first",
             "put_array_warm", "task_with_array"],
)  # fmt: skip
def test_a_row(name: str) -> None:
    pytest.importorskip("numpy")
    sample = api_rows.API_ROWS[name](fake_api(), QUICK)
    assert sample.value > 0
    assert sample.calls > 0


def test_get_array_refuses_a_copy() -> None:
    pytest.importorskip("numpy")
    with pytest.raises(RuntimeError, match="get copied the array that came by task"):
        api_rows.get_array(fake_api(), QUICK)  # this fake's results are writable

    def stored(target: Any) -> Any:
        return SimpleNamespace(remote=lambda: _put(target()))

    sample = api_rows.get_array(fake_api(remote=stored), QUICK)
    assert set(sample.detail) == {"put_ms", "task_ms"}


@pytest.mark.parametrize("make", [api_rows.Tasks, api_rows.ActorCalls])
def test_calls(make: Any) -> None:
    caller = make(fake_api())
    caller.one()
    caller.many(3)
    assert caller.workers() == {os.getpid()}
    assert measure.single(caller, QUICK).value > 0
    assert measure.in_flight(caller, QUICK).value > 0


def test_memory_counts_only_marked_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(machine.MARK, "nobody has this mark")
    with pytest.raises(RuntimeError, match="no process besides the driver"):
        api_rows.idle_memory(fake_api(), QUICK)


def test_alive_actors_are_counted_by_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(machine.MARK, "nobody has this mark")
    assert api_rows.actors_alive(fake_api(), QUICK).value == 1


def test_events_that_are_kept_all_the_same_are_an_error() -> None:
    assert api_rows.without_events(fake_api(timeline=list), QUICK).value > 0
    with pytest.raises(RuntimeError, match="PARALAB_EVENTS=0"):
        api_rows.without_events(fake_api(timeline=lambda: [1]), QUICK)


def test_a_session_ends_also_when_a_row_fails() -> None:
    told: list[Any] = []
    api = fake_api(init=lambda **given: told.append(given), shutdown=lambda: told.append("end"))
    with pytest.raises(ZeroDivisionError), api_rows.session(api, "paralab"):
        raise ZeroDivisionError
    assert told == [{"num_cpus": 2}, "end"]


def test_a_fresh_interpreter() -> None:
    assert api_rows.run_script("print('noise'); print('seconds', 1.5)") == 1.5
    with pytest.raises(RuntimeError, match="failed: ValueError: no luck"):
        api_rows.run_script("raise ValueError('no luck')")


def test_a_loop_runs_at_least_its_time() -> None:
    start = time.perf_counter()
    per_second, calls = measure.rate(lambda: None, 0.01)
    elapsed = time.perf_counter() - start
    assert elapsed >= 0.01
    assert calls / elapsed <= per_second


def test_every_row_of_the_subject_can_be_measured() -> None:
    put_together = {"task", "tasks_in_flight", "actor_call", "actor_calls_in_flight"}
    put_together |= {"async_actor_calls_in_flight", "start", "events"}
    names = {row.name for row in ROWS if SUBJECT in row.sides}
    assert names == put_together | set(api_rows.API_ROWS) | set(OPENS)


def test_the_quick_sizes_are_smaller() -> None:
    assert all(getattr(QUICK, name) < getattr(FULL, name) for name in vars(FULL))
