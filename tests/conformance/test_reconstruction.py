"""Objects that are lost with their node or their owner: what comes back, and what is raised."""

# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import LIBRARY

pytestmark = pytest.mark.slow

SIZE = 100_000


@pytest.fixture
def rt() -> Any:
    """The library alone: losing things is a matter of processes."""
    return importlib.import_module(LIBRARY)


@pytest.fixture
def cluster(rt: Any) -> Iterator[Any]:
    """A cluster with a head of one CPU, to which this process belongs."""
    made = importlib.import_module(f"{LIBRARY}.cluster_utils").Cluster(
        initialize_head=True,
        connect=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False},
    )
    yield made
    rt.shutdown()
    made.shutdown()


def another(cluster: Any) -> Any:
    """One more node, where the tasks of these tests run."""
    node = cluster.add_node(num_cpus=1, resources={"away": 1}, object_store_memory=100 << 20)
    cluster.wait_for_nodes()
    return node


def lose(cluster: Any, node: Any) -> Any:
    """Another node in place of one that goes."""
    cluster.remove_node(node)
    return another(cluster)


def away(rt: Any, function: Any, **options: Any) -> Any:
    return rt.remote(function).options(resources={"away": 1}, **options)


def here(rt: Any, cluster: Any) -> Any:
    """Where this process is."""
    strategies = importlib.import_module(f"{LIBRARY}.util.scheduling_strategies")
    return strategies.NodeAffinitySchedulingStrategy(cluster.head_node.node_id, soft=False)


def note(path: Path) -> Any:
    def count() -> int:
        with path.open("a+") as file:
            file.write("x")
        return len(path.read_text())

    return count


def test_a_lost_result_is_computed_again(rt: Any, cluster: Any, tmp_path: Path) -> None:
    count = note(tmp_path / "runs")

    def large() -> Any:
        count()
        return np.ones(SIZE)

    node = another(cluster)
    ref = away(rt, large).remote()
    rt.wait([ref], fetch_local=False)
    lose(cluster, node)
    assert rt.get(ref, timeout=60).sum() == SIZE
    assert (tmp_path / "runs").read_text() == "xx"


def test_inputs_without_refs_are_computed_before(rt: Any, cluster: Any) -> None:
    node = another(cluster)
    large = away(rt, lambda: np.ones(SIZE))
    more = away(rt, lambda value: value + 1)
    ref = large.remote()
    for _ in range(3):
        ref = more.remote(ref)
    rt.wait([ref], fetch_local=False)
    lose(cluster, node)
    assert rt.get(ref, timeout=60).max() == 4


def test_a_task_that_takes_a_lost_object_waits_for_it(rt: Any, cluster: Any) -> None:
    node = another(cluster)
    ref = away(rt, lambda: np.ones(SIZE)).remote()
    rt.wait([ref], fetch_local=False)
    lose(cluster, node)
    total = rt.remote(lambda value: value.sum()).options(scheduling_strategy=here(rt, cluster))
    assert rt.get(total.remote(ref), timeout=60) == SIZE


def test_each_of_several_results_comes_back(rt: Any, cluster: Any) -> None:
    node = another(cluster)
    several = away(rt, lambda: (np.ones(SIZE), 7, np.zeros(SIZE)), num_returns=3)
    one, small, zero = several.remote()
    rt.wait([one, zero], num_returns=2, fetch_local=False)
    assert rt.get(small) == 7
    lose(cluster, node)
    assert rt.get(zero, timeout=60).sum() == 0
    assert rt.get(one, timeout=60).sum() == SIZE
    assert rt.get(small) == 7


def test_without_retries_nothing_is_computed_again(rt: Any, cluster: Any) -> None:
    node = another(cluster)
    ref = away(rt, lambda: np.ones(SIZE), max_retries=0).remote()
    rt.wait([ref], fetch_local=False)
    lose(cluster, node)
    with pytest.raises(rt.exceptions.ObjectReconstructionFailedError) as caught:
        rt.get(ref, timeout=60)
    assert isinstance(caught.value, rt.exceptions.ObjectLostError)
    assert caught.value.object_ref_hex == ref.hex()
    assert "max_retries" in str(caught.value)


def test_attempts_end(rt: Any, cluster: Any) -> None:
    node = another(cluster)
    ref = away(rt, lambda: np.ones(SIZE), max_retries=1).remote()
    rt.wait([ref], fetch_local=False)
    node = lose(cluster, node)
    total = away(rt, lambda value: value.sum())
    assert rt.get(total.remote(ref), timeout=60) == SIZE
    lose(cluster, node)
    with pytest.raises(rt.exceptions.ObjectReconstructionFailedError, match="max"):
        rt.get(ref, timeout=60)


def test_what_a_dead_worker_has_put_is_gone(rt: Any, cluster: Any) -> None:
    node = another(cluster)
    (ref,) = rt.get(away(rt, lambda: [rt.put(np.ones(SIZE))]).remote())
    lose(cluster, node)
    with pytest.raises(rt.exceptions.OwnerDiedError) as caught:
        rt.get(ref, timeout=60)
    assert isinstance(caught.value, rt.exceptions.ObjectLostError)
    assert "owner has exited" in str(caught.value)


def test_refs_of_a_killed_actor_raise_for_all(rt: Any, cluster: Any) -> None:
    @rt.remote(num_cpus=0)
    class Owner:
        def put(self) -> Any:
            return [rt.put(np.ones(SIZE))]

    owner = Owner.remote()
    refs = rt.get(owner.put.remote())
    rt.kill(owner)

    @rt.remote(num_cpus=0)
    def ask(inside: list[Any]) -> str:
        try:
            rt.get(inside[0], timeout=60)
        except rt.exceptions.OwnerDiedError as error:
            return type(error).__name__
        return ""

    assert rt.get(ask.remote(refs), timeout=60) == "OwnerDiedError"
    with pytest.raises(rt.exceptions.OwnerDiedError):
        rt.get(refs[0], timeout=60)


def test_an_actor_with_a_checkpoint_goes_on_where_it_was(
    rt: Any, cluster: Any, tmp_path: Path
) -> None:
    """The documented pattern: the constructor reads what the methods have written."""

    @rt.remote(max_restarts=-1, max_task_retries=-1, num_cpus=0)
    class Counter:
        def __init__(self, path: str) -> None:
            self.path = path
            self.done: list[int] = []
            if os.path.exists(path):
                with open(path) as file:
                    self.done = [int(line) for line in file]

        def count(self, number: int) -> int:
            if number not in self.done:  # at least once: a call may come twice
                self.done.append(number)
                with open(self.path + ".new", "w") as file:
                    file.writelines(f"{each}\n" for each in self.done)
                os.replace(self.path + ".new", self.path)
                if number % 4 == 3:
                    os._exit(1)
            return len(self.done)

    counter = Counter.remote(str(tmp_path / "checkpoint"))
    refs = [counter.count.remote(number) for number in range(10)]
    assert len(rt.get(refs, timeout=60)) == 10
    assert rt.get(counter.count.remote(9), timeout=60) == 10
    done = (tmp_path / "checkpoint").read_text().split()
    assert sorted(done) == [str(each) for each in range(10)]
    if LIBRARY == "paralab":  # Ray sends what is tried again in any order
        assert done == sorted(done)
