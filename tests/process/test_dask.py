"""``util.dask``: Dask's graphs on paralab."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from process_helpers import LARGE, eventually, stored

from paralab.exceptions import TaskError
from paralab.util.dask import (
    disable_dask_on_ray,
    enable_dask_on_paralab,
    enable_dask_on_ray,
    paralab_dask_get,
)
from paralab.util.state import list_tasks

dask: Any = pytest.importorskip("dask")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]


def inc(x: int) -> int:
    return x + 1


def add(x: int, y: int) -> int:
    return x + y


def note(folder: str, *_inputs: Any) -> int:
    """Leaves a file for each call."""
    Path(folder, os.urandom(8).hex()).touch()
    return 1


def chunk(_seed: int) -> bytes:
    return bytes(LARGE)


def refuse(x: int) -> int:
    raise LookupError(f"no {x}")


def test_graphs_of_tuples_give_what_dask_gives() -> None:
    graph = {
        "a": 1,
        "b": (inc, "a"),
        "c": (add, "b", (inc, "b")),  # a call within a call
        "d": ["b", "c", 7],
        ("e", 0): (sum, "d"),
        "f": ("e", 0),  # another name
        "unused": (refuse, 1),
    }
    for keys in ("c", ["c"], [["a", "f"], [("e", 0), "d"]], [], ["b", "b"]):
        assert paralab_dask_get(graph, keys) == dask.get(graph, keys)


def test_names_say_what_it_was() -> None:
    paralab_dask_get({("chunk-sum", 3): (inc, 1)}, ("chunk-sum", 3))
    assert "dask chunk-sum" in {task.name for task in list_tasks()}


def test_delayed_computes_what_is_shared_once(tmp_path: Path) -> None:
    shared = dask.delayed(note)(str(tmp_path))
    total = dask.delayed(sum)([dask.delayed(add)(shared, i) for i in range(5)])
    with enable_dask_on_paralab():
        assert total.compute() == 15
    assert len(os.listdir(tmp_path)) == 1


def test_it_is_on_until_it_is_off() -> None:
    pids = dask.delayed(os.getpid)()
    enable_dask_on_ray()
    try:
        assert pids.compute() != os.getpid()
    finally:
        disable_dask_on_ray()
    assert dask.config.get("scheduler") is None


def test_an_error_is_the_one_that_was_raised_and_says_where() -> None:
    graph = {"a": (refuse, 3), "b": (inc, "a"), "c": (inc, "b")}
    with pytest.raises(LookupError, match="no 3") as caught:
        paralab_dask_get(graph, "c")
    assert type(caught.value) is LookupError
    assert isinstance(caught.value.__cause__, TaskError)
    assert "dask a" in str(caught.value.__cause__)


def test_bad_input() -> None:
    with pytest.raises(KeyError, match="'nobody'"):
        paralab_dask_get({"a": 1}, ["a", "nobody"])
    with pytest.raises(ValueError, match="num_workers"):
        paralab_dask_get({"a": 1}, "a", num_workers=0)


def test_chunks_are_freed_when_they_were_used() -> None:
    eventually(lambda: stored() == 0)
    graph: dict[Any, Any] = {("chunk", i): (chunk, i) for i in range(6)}
    graph |= {("length", i): (len, ("chunk", i)) for i in range(6)}
    keys = [("length", i) for i in range(6)]
    for limit in (None, 1):
        assert paralab_dask_get(graph, keys, num_workers=limit) == (LARGE,) * 6
    eventually(lambda: stored() == 0)


def test_callbacks_hear_of_every_node() -> None:
    from dask.callbacks import Callback

    before: list[Any] = []
    after: dict[Any, Any] = {}
    ends: list[bool] = []

    def started(key: Any, _graph: Any, _state: Any) -> None:
        before.append(key)

    def ended(key: Any, value: Any, _graph: Any, state: Any, _worker: Any) -> None:
        after[key] = value
        assert key in state["finished"]

    def finish(_graph: Any, state: Any, errored: bool) -> None:
        ends.append(errored)
        assert errored or not (state["waiting"] or state["ready"] or state["running"])

    graph = {"a": 1, "b": (inc, "a"), "c": (inc, "b"), "d": "c", "e": (add, "d", "b")}
    with Callback(pretask=started, posttask=ended, finish=finish):
        assert paralab_dask_get(graph, "e") == 5
        assert set(before) == {"b", "c", "d", "e"}
        assert after == {"b": 2, "c": 3, "d": 3, "e": 5}
        with pytest.raises(LookupError):
            paralab_dask_get({"x": (refuse, 1)}, "x")
    assert ends == [False, True]


def test_arrays() -> None:
    np, da = pytest.importorskip("numpy"), pytest.importorskip("dask.array")
    data = np.arange(90_000.0).reshape(300, 300)
    x = da.from_array(data, chunks=(100, 300))
    got = (x @ x.T).sum(axis=0).compute(scheduler=paralab_dask_get)
    np.testing.assert_allclose(got, (data @ data.T).sum(axis=0))
