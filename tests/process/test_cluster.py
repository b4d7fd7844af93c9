"""Virtual nodes under real processes: the cluster's life, and what is told of its nodes."""

# mypy: allow-untyped-decorators

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually
from program import program

import paralab
from leak_check import wait_ended
from paralab.cluster_utils import Cluster
from paralab.engine import current
from paralab.process.door import ask
from paralab.process.session_folder import SCHEME
from paralab.util import state
from paralab.util.scheduling_strategies import NodeAffinitySchedulingStrategy as Affinity

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shutdown_after")]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 1})
    yield made
    paralab.shutdown()
    made.shutdown()


@paralab.remote
def node() -> str:
    return paralab.get_runtime_context().get_node_id()


def folder_of(cluster: Cluster) -> str:
    assert cluster.address is not None
    return cluster.address.removeprefix(SCHEME)


@paralab.remote
def meet(path: str) -> str:
    """Waits until somebody reads."""
    with open(path, "w"):
        return paralab.get_runtime_context().get_node_id()


def test_tasks_run_on_all_nodes_at_once(cluster: Cluster, tmp_path: Path) -> None:
    nodes = {cluster.add_node(num_cpus=1).node_id for _ in range(2)}
    assert cluster.head_node is not None
    refs = []
    for at in range(3):
        os.mkfifo(tmp_path / str(at))
        refs.append(meet.remote(str(tmp_path / str(at))))
    eventually(lambda: len(_running("meet")) == 3)
    with contextlib.ExitStack() as files:
        for at in range(3):
            files.enter_context(open(tmp_path / str(at)))
        assert set(paralab.get(refs)) == {*nodes, cluster.head_node.node_id}


def test_what_waits_is_met_by_a_node_that_comes(cluster: Cluster) -> None:
    ref = node.options(resources={"late": 1}).remote()
    group = paralab.util.placement_group([{"CPU": 1}] * 2, strategy="STRICT_SPREAD")
    ready = group.ready()
    assert paralab.wait([ref, ready], timeout=0.1) == ([], [ref, ready])
    late = cluster.add_node(num_cpus=2, resources={"late": 1})
    assert paralab.get(ref) == late.node_id
    assert paralab.get(ready) == group
    paralab.util.remove_placement_group(group)


def test_a_node_goes_while_its_workers_start(cluster: Cluster) -> None:
    for _ in range(3):
        other = cluster.add_node(num_cpus=4)
        refs = [node.options(scheduling_strategy=Affinity(other.node_id, soft=True)).remote()]
        refs += [node.options(scheduling_strategy="SPREAD").remote() for _ in range(4)]
        cluster.remove_node(other)
        assert len(paralab.get(refs, timeout=60)) == 5
    eventually(lambda: paralab.available_resources().get("CPU") == 1.0)
    assert paralab.cluster_resources()["CPU"] == 1.0


def test_a_large_object_goes_with_its_node_and_comes_back_where_it_may(cluster: Cluster) -> None:
    other = cluster.add_node(num_cpus=1)
    there, anywhere = (Affinity(other.node_id, soft=soft) for soft in (False, True))
    large = paralab.remote(lambda: b"x" * 1_000_000)
    refs = [large.options(scheduling_strategy=each).remote() for each in (there, anywhere)]
    paralab.wait(refs, num_returns=2)
    cluster.remove_node(other)
    assert len(paralab.get(refs[1])) == 1_000_000
    with pytest.raises(paralab.exceptions.TaskUnschedulableError):
        paralab.get(refs[0])
    with pytest.raises(paralab.exceptions.TaskUnschedulableError):
        paralab.get(node.options(scheduling_strategy=there).remote())


def test_util_state_tells_the_nodes_apart(cluster: Cluster) -> None:
    other = cluster.add_node(num_cpus=1, node_name="second", labels={"zone": "b"})
    there = Affinity(other.node_id, soft=False)

    @paralab.remote(scheduling_strategy=there)
    class Actor:
        def labels(self) -> dict[str, str]:
            return paralab.get_runtime_context().get_node_labels()

    actor = Actor.remote()
    assert paralab.get(actor.labels.remote()) == {"ray.io/node-id": other.node_id, "zone": "b"}
    assert [(each.node_name, each.is_head_node) for each in state.list_nodes()] == [
        ("127.0.0.1", True),
        ("second", False),
    ]
    (found,) = state.list_actors()
    assert found.node_id == other.node_id
    assert other.node_id in {each.node_id for each in state.list_workers()}
    assert {each.node_id for each in state.list_tasks(detail=True)} == {other.node_id}
    cluster.remove_node(other)
    assert [each.state for each in state.list_nodes()] == ["ALIVE", "DEAD"]


def test_bad_arguments(cluster: Cluster) -> None:
    for given, error in (
        ({"cpus": 1}, TypeError),
        ({"num_cpus": -1}, ValueError),
        ({"num_cpus": "2"}, TypeError),
        ({"memory": -1}, ValueError),
        ({"resources": {"CPU": 1}}, ValueError),
        ({"labels": 1}, TypeError),
        ({"env_vars": {"A": "1"}}, NotImplementedError),
    ):
        with pytest.raises(error, match=next(iter(given))):
            cluster.add_node(**given)
    other = cluster.add_node()
    cluster.remove_node(other)
    with pytest.raises(ValueError, match="removed before"):
        cluster.remove_node(other)
    with pytest.raises(RuntimeError, match="uninitialized"):
        Cluster(connect=True)
    folder = folder_of(cluster)
    for what, said in (("add_node", "add_node takes"), ("remove_node", "no node of this")):
        assert said in ask(folder, what, surprise=1)["error"]
    assert paralab.get(node.remote()) == cluster.list_all_nodes()[0].node_id


def test_a_cluster_ends_with_the_process_that_made_it() -> None:
    script = """
from paralab.cluster_utils import Cluster
from paralab.engine import current
cluster = Cluster(initialize_head=True)
cluster.add_node()
print(cluster.address, flush=True)
sys.stdin.read()
"""
    with program(script) as driver:
        address = driver.line()
        folder = address.removeprefix(SCHEME)
        pid = ask(folder, "status")["pid"]
        assert ask(folder, "status")["nodes"] == 2
        os.kill(driver.process.pid, signal.SIGKILL)
        driver.process.wait()
        assert wait_ended(pid)
        assert not os.path.exists(folder)


def test_get_survives_the_end_of_a_node(cluster: Cluster, tmp_path: Path) -> None:
    other = cluster.add_node(num_cpus=1)
    os.mkfifo(tmp_path / "begun")
    ref = meet.options(
        scheduling_strategy=Affinity(other.node_id, soft=True), max_retries=1
    ).remote(str(tmp_path / "begun"))
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(paralab.get(ref)))
    thread.start()
    eventually(lambda: _running("meet"))
    cluster.remove_node(other)
    with open(tmp_path / "begun"):
        thread.join(60)
    assert found == [cluster.list_all_nodes()[0].node_id]


def _running(name: str) -> list[dict[str, Any]]:
    """The workers that have a task of this name."""
    return [each for each in current().info("workers") if each["task"].endswith(name)]
