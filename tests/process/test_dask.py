"""``util.dask``: Dask's graphs on paralab."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from process_helpers import LARGE, eventually, stored

import paralab
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


def of_what(_inputs: Any = None) -> dict[str, float]:
    """The resources of the task in which it runs."""
    return dict(paralab.get_runtime_context().get_assigned_resources())


def fail_once(folder: str) -> int:
    note(folder)
    if len(os.listdir(folder)) == 1:
        raise LookupError("the first time")
    return len(os.listdir(folder))


def listed(folder: str, name: str, *_inputs: Any) -> str:
    """Leaves a file whose name says when, among others, and by whom it was made."""
    Path(folder, f"{len(os.listdir(folder))} {name}").touch()
    return name


def test_retries_are_of_the_layer_that_asks(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with dask.annotate(retries=1):
        again = dask.delayed(fail_once)(str(tmp_path / "a"))
    total = dask.delayed(inc)(again)
    assert total.compute(scheduler=paralab_dask_get) == 3
    (tmp_path / "b").mkdir()
    never_again = dask.delayed(fail_once)(str(tmp_path / "b"))
    with pytest.raises(LookupError, match="the first time"):
        never_again.compute(scheduler=paralab_dask_get)


def test_options_of_compute_are_of_all_nodes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    again = dask.delayed(fail_once)(str(tmp_path / "a"))
    assert again.compute(scheduler=paralab_dask_get, retries=1) == 2
    (tmp_path / "b").mkdir()
    with dask.annotate(retries=0):
        never_again = dask.delayed(fail_once)(str(tmp_path / "b"))
    with pytest.raises(LookupError, match="the first time"):
        never_again.compute(scheduler=paralab_dask_get, retries=1)
    wide = dask.delayed(of_what)(1)
    assert wide.compute(scheduler=paralab_dask_get, resources={"CPU": 2}, chunksize=7)["CPU"] == 2
    with pytest.warns(UserWarning, match="'retry', 'workers' mean nothing.*'retries'"):
        assert wide.compute(scheduler=paralab_dask_get, workers="a", retry=1)["CPU"] == 1
    for wrong in ({"retries": -1}, {"retries": "2"}, {"resources": 3}):
        with pytest.raises((TypeError, ValueError), match="of_what"):
            wide.compute(scheduler=paralab_dask_get, **wrong)


def test_resources_are_those_of_the_task() -> None:
    with dask.annotate(resources={"CPU": 2}):
        wide = dask.delayed(of_what)(1)
    with dask.annotate(ray_remote_args={"num_cpus": 0.5}):
        narrow = dask.delayed(of_what)(wide)
    plain = dask.delayed(of_what)(narrow)
    values = dask.compute(wide, narrow, plain, scheduler=paralab_dask_get)
    assert [value["CPU"] for value in values] == [2, 0.5, 1]
    with dask.annotate(resources={"CPU": 0.25}):  # of what has none of its own
        values = dask.compute(wide, plain, scheduler=paralab_dask_get)
        assert paralab_dask_get({"a": (of_what,)}, "a")["CPU"] == 0.25
    assert [value["CPU"] for value in values] == [2, 0.25]


def test_the_urgent_and_what_it_needs_are_submitted_first(tmp_path: Path) -> None:
    make, folder = dask.delayed(listed), str(tmp_path)
    with dask.annotate(priority=-1):
        late = make(folder, "late")
    plain = [make(folder, f"plain {i}") for i in range(3)]
    needed = make(folder, "needed")
    with dask.annotate(priority=lambda _key: 10):
        urgent = make(folder, "urgent", needed)
    dask.compute(late, plain, urgent, scheduler=paralab_dask_get, num_workers=1)
    names = [path.name for path in sorted(tmp_path.iterdir())]
    assert names[:2] == ["0 needed", "1 urgent"]
    assert names[-1] == "5 late"


def test_annotations_of_arrays_outlive_fusion() -> None:
    np, da = pytest.importorskip("numpy"), pytest.importorskip("dask.array")
    x = da.ones((4,), chunks=2)

    def cpus(block: Any) -> Any:
        return np.full(block.shape, of_what()["CPU"])

    with dask.annotate(resources={"CPU": 2}):
        y = x.map_blocks(cpus, dtype=float, name="cpus", meta=np.ones(0))
    total = (y.rechunk(4) + 1).sum()
    assert total.compute(scheduler=paralab_dask_get) == 12


def test_annotations_without_meaning_are_named() -> None:
    with dask.annotate(workers=["alice"], colour="red", retries=0):
        node = dask.delayed(inc)(1)
    with pytest.warns(UserWarning, match="'colour', 'workers'") as caught:
        assert node.compute(scheduler=paralab_dask_get) == 2
    assert len(caught) == 1
    bag = pytest.importorskip("dask.bag")
    with dask.annotate(retries=1):
        items = bag.from_sequence(range(3), npartitions=1).map(inc)
    with pytest.warns(UserWarning, match="dropped.*'retries'"):
        assert items.compute(scheduler=paralab_dask_get) == [1, 2, 3]


def test_wrong_annotations_are_refused_before_anything_runs(tmp_path: Path) -> None:
    first = dask.delayed(note)(str(tmp_path))
    for wrong, names in (
        ({"retries": -1}, "retries=-1.*inc"),
        ({"retries": 1.5}, "retries=1.5.*inc"),
        ({"resources": lambda _key: 3}, "resources=3.*inc"),
        ({"priority": lambda _key: "high"}, "priority='high'.*inc"),
        ({"resources": {"wood": -1}}, "wood"),
        ({"ray_remote_args": {"nonsense": 1}}, "nonsense"),
    ):
        with dask.annotate(**wrong):
            node = dask.delayed(inc)(first)
        with pytest.raises((TypeError, ValueError), match=names):
            node.compute(scheduler=paralab_dask_get)
    assert not os.listdir(tmp_path)
