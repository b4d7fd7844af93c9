"""Lost objects are made again from their tasks, or say why they cannot be."""

# mypy: allow-untyped-decorators

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from process_helpers import eventually

import paralab
from paralab.cluster_utils import Cluster, ClusterNode
from paralab.engine import current
from paralab.exceptions import (
    ObjectReconstructionFailedError,
    ReferenceCountingAssertionError,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shutdown_after")]

SIZE = 50_000
"""Numbers of 8 bytes: enough to lie in the store."""


class Runs:
    """Counts the runs of tasks in a file, over all processes."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def note(self, name: str) -> None:
        with open(self._path, "a") as file:
            file.write(name + "\n")

    def of(self, name: str) -> int:
        with open(self._path, "a+") as file:
            file.seek(0)
            return file.read().splitlines().count(name)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 2})
    yield made
    paralab.shutdown()
    made.shutdown()


@pytest.fixture
def node(cluster: Cluster) -> ClusterNode:
    return cluster.add_node(num_cpus=2, resources={"away": 10})


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


def replace(cluster: Cluster, node: ClusterNode) -> ClusterNode:
    """Another node in place of one that goes."""
    other = cluster.add_node(num_cpus=2, resources={"away": 10})
    cluster.remove_node(node)
    return other


@paralab.remote(resources={"away": 1})
def make(runs: Runs, name: str, *inputs: Any) -> Any:
    runs.note(name)
    return np.full(SIZE, 1 + sum(int(each[0]) for each in inputs))


def used() -> int:
    return int(current().info("store")["used"])


def kept() -> dict[int, Any]:
    recipes: dict[int, Any] = current().rebuilding.lineage.recipes  # type: ignore[attr-defined]
    return recipes


def test_a_lost_result_is_made_again(cluster: Cluster, node: ClusterNode, runs: Runs) -> None:
    ref = make.remote(runs, "a")
    paralab.wait([ref])
    old = paralab.get(ref)
    replace(cluster, node)
    assert (paralab.get(ref) == 1).all()
    assert runs.of("a") == 2
    assert (old == 1).all()
    assert len(kept()) == 1
    del ref, old
    eventually(lambda: not kept() and not used())


def test_inputs_that_have_gone_are_made_before(
    cluster: Cluster, node: ClusterNode, runs: Runs
) -> None:
    ref = make.remote(runs, "0")
    for at in range(1, 5):
        ref = make.remote(runs, str(at), ref)
    paralab.wait([ref])
    eventually(lambda: used() < 2 * 8 * SIZE)  # lineage holds no values
    assert len(kept()) == 5
    replace(cluster, node)
    assert paralab.get(ref)[0] == 5
    assert [runs.of(str(at)) for at in range(5)] == [2] * 5
    del ref
    eventually(lambda: not kept() and not used())


def test_what_was_put_is_held_for_those_who_need_it(
    cluster: Cluster, node: ClusterNode, runs: Runs
) -> None:
    ref = make.remote(runs, "a", paralab.put(np.full(SIZE, 7)), np.full(SIZE, 9), 0 * [1] + [2])
    paralab.wait([ref])
    replace(cluster, node)
    assert paralab.get(ref)[0] == 19
    assert runs.of("a") == 2


def test_only_what_is_lost_is_made_again(cluster: Cluster, node: ClusterNode, runs: Runs) -> None:
    @paralab.remote(num_returns=4, resources={"away": 1})
    def several() -> Any:
        runs.note("several")
        number = runs.of("several")
        return np.full(SIZE, 1), number, np.full(SIZE, 3), np.full(SIZE, 4)

    first, small, gone, third = several.remote()
    paralab.wait([third])
    del gone
    before = paralab.get(small)
    replace(cluster, node)
    assert [paralab.get(first)[0], paralab.get(third)[0]] == [1, 4]
    assert paralab.get(small) == before == 1
    assert runs.of("several") == 2
    eventually(lambda: used() < 5 * 8 * SIZE)  # two lost, two there
    del first, third, small
    eventually(lambda: not kept() and not used())


def test_attempts_are_counted(cluster: Cluster, node: ClusterNode, runs: Runs) -> None:
    ref = make.options(max_retries=1).remote(runs, "a")
    paralab.wait([ref])
    node = replace(cluster, node)
    assert paralab.get(ref)[0] == 1
    replace(cluster, node)
    with pytest.raises(ObjectReconstructionFailedError, match="retries has been exceeded"):
        paralab.get(ref)
    assert runs.of("a") == 2


def test_without_retries_it_is_lost(cluster: Cluster, node: ClusterNode, runs: Runs) -> None:
    ref = make.options(max_retries=0).remote(runs, "a")
    paralab.wait([ref])
    replace(cluster, node)
    with pytest.raises(ObjectReconstructionFailedError, match="max_retries=0"):
        paralab.get(ref)
    assert not kept()


def test_the_bytes_of_lineage_are_limited(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, runs: Runs
) -> None:
    monkeypatch.setenv("PARALAB_MAX_LINEAGE_BYTES", "4000")
    cluster, node = request.getfixturevalue("cluster"), request.getfixturevalue("node")
    refs = []
    for at in range(6):  # the oldest is the one that ended first
        refs.append(make.remote(runs, str(at)))
        paralab.wait(refs[-1:])
    assert 1 <= len(kept()) < 4
    replace(cluster, node)
    assert paralab.get(refs[-1])[0] == 1
    with pytest.raises(ObjectReconstructionFailedError, match="max_lineage_bytes"):
        paralab.get(refs[0])


def test_tasks_that_take_a_lost_object_wait_for_it(
    cluster: Cluster, node: ClusterNode, runs: Runs, tmp_path: Path
) -> None:
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)

    @paralab.remote(num_cpus=2)
    def blocker() -> int:
        open(fifo).close()
        return 5

    ref = make.remote(runs, "a")
    paralab.wait([ref])
    actor = Adder.options(num_cpus=0, scheduling_strategy=here(cluster)).remote()
    busy = blocker.options(scheduling_strategy=here(cluster)).remote()
    waits = make.options(resources={}, num_cpus=2, scheduling_strategy=here(cluster))
    result = waits.remote(runs, "b", ref)
    added = [actor.add.remote(each) for each in (busy, ref, 3)]
    replace(cluster, node)
    open(fifo, "w").close()
    assert paralab.get(result)[0] == 2
    assert paralab.get(added) == [5, 6, 9]
    assert runs.of("a") == 2


def test_an_owner_makes_again_what_others_have_borrowed(
    cluster: Cluster, node: ClusterNode, runs: Runs
) -> None:
    owner = Owner.options(scheduling_strategy=here(cluster)).remote()
    (ref,) = paralab.get(owner.make.remote(runs))
    paralab.wait([ref])
    mine = make.remote(runs, "mine", ref)
    paralab.wait([mine])
    replace(cluster, node)
    assert paralab.get(mine)[0] == 2
    assert paralab.get(ref)[0] == 1
    assert runs.of("theirs") == runs.of("mine") == 2
    paralab.kill(owner)
    for digit in "89":  # the second time the death is known when the task is submitted
        unknown = paralab.ObjectRef.from_hex(ref.hex()[:-1] + digit)
        with pytest.raises(paralab.exceptions.OwnerDiedError):
            paralab.get(make.remote(runs, "late", unknown))


@paralab.remote(num_cpus=0)
class Owner:
    def make(self, runs: Runs) -> list[Any]:
        self.refs = [make.remote(runs, "theirs")]
        return self.refs


def test_who_asks_for_what_was_freed_is_told(runs: Runs) -> None:
    paralab.init(num_cpus=1)
    digits = paralab.put(1).hex()

    @paralab.remote
    def ask() -> Any:
        return paralab.get(paralab.ObjectRef.from_hex(digits))

    with pytest.raises(ReferenceCountingAssertionError, match="already been deleted"):
        paralab.get(ask.remote())


def test_items_of_a_generator_are_made_again(
    cluster: Cluster, node: ClusterNode, runs: Runs
) -> None:
    @paralab.remote(resources={"away": 1})
    def items() -> Iterator[Any]:
        for at in range(6):
            runs.note("item")
            yield np.full(SIZE, at) if at % 2 else at

    stream = items.remote()
    refs = list(stream)
    assert paralab.get(refs[2]) == 2
    del refs[3], refs[0], stream
    node = replace(cluster, node)
    assert [np.max(each) for each in paralab.get(refs)] == [1, 2, 4, 5]
    assert runs.of("item") == 12
    eventually(lambda: used() < 5 * 8 * SIZE)
    replace(cluster, node)
    assert paralab.get(refs[-1])[0] == 5
    del refs
    eventually(lambda: not kept() and not used())


def test_a_generator_that_yields_less_the_second_time_says_so(
    cluster: Cluster, node: ClusterNode, runs: Runs
) -> None:
    @paralab.remote(resources={"away": 1})
    def items() -> Iterator[Any]:
        runs.note("run")
        for at in range(4 - runs.of("run")):
            yield np.full(SIZE, at)

    refs = list(items.remote())
    replace(cluster, node)
    assert [each[0] for each in paralab.get(refs[:2])] == [0, 1]
    with pytest.raises(
        paralab.exceptions.StreamingGeneratorReplayInconsistentError, match="only 2"
    ):
        paralab.get(refs[2])


def test_calls_of_actors_are_repeated_if_they_may_be(
    cluster: Cluster, node: ClusterNode, runs: Runs
) -> None:
    actor = Maker.options(max_restarts=1, max_task_retries=1).remote(runs)
    once = Maker.remote(runs)
    refs = [each.make.remote() for each in (actor, once)]
    paralab.wait(refs, num_returns=2)
    replace(cluster, node)
    assert paralab.get(refs[0])[0] == 1
    assert runs.of("made") == 3
    with pytest.raises(ObjectReconstructionFailedError, match="max_task_retries"):
        paralab.get(refs[1])


def test_an_actor_ends_with_its_handles_and_not_with_what_it_made(
    cluster: Cluster, node: ClusterNode, runs: Runs
) -> None:
    actor = Maker.options(max_restarts=1, max_task_retries=1).remote(runs)
    refs = [actor.make.remote(), given.remote([actor])]
    paralab.wait(refs, num_returns=2)
    pid = paralab.get(actor.pid.remote())
    del actor
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))
    replace(cluster, node)
    with pytest.raises(paralab.exceptions.ActorDiedError):
        paralab.get(refs[0])
    assert paralab.get(refs[1])[0] == 1


@paralab.remote(resources={"away": 1})
def given(_actors: list[Any]) -> Any:
    return np.full(SIZE, 1)


@paralab.remote(resources={"away": 1}, num_cpus=0)
class Maker:
    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    def make(self) -> Any:
        self.runs.note("made")
        return np.full(SIZE, 1)

    def pid(self) -> int:
        return os.getpid()


@paralab.remote
class Adder:
    def __init__(self) -> None:
        self.sum = 0

    def add(self, other: Any) -> int:
        self.sum += int(np.max(other))
        return self.sum


def here(cluster: Cluster) -> Any:
    from paralab.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    assert cluster.head_node is not None
    return NodeAffinitySchedulingStrategy(cluster.head_node.node_id, soft=False)
