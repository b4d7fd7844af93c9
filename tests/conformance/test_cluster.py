"""``cluster_utils.Cluster``: a program on several nodes, some of which go."""

# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import LIBRARY

pytestmark = pytest.mark.slow


@pytest.fixture
def rt() -> Any:
    """The library alone: a cluster is a matter of processes."""
    return importlib.import_module(LIBRARY)


@pytest.fixture
def cluster(rt: Any) -> Iterator[Any]:
    """A cluster with a head of one CPU, to which this process belongs."""
    made = importlib.import_module(f"{LIBRARY}.cluster_utils").Cluster(
        initialize_head=True,
        connect=True,
        head_node_args={"num_cpus": 1, "resources": {"head": 1}, "include_dashboard": False},
    )
    yield made
    rt.shutdown()
    made.shutdown()


def node_of(rt: Any) -> Any:
    def node() -> str:
        return str(rt.get_runtime_context().get_node_id())

    return rt.remote(node)


def nothing(rt: Any) -> Any:
    return rt.remote(lambda: None).options(num_cpus=0)


def strategies() -> Any:
    return importlib.import_module(f"{LIBRARY}.util.scheduling_strategies")


def groups() -> Any:
    return importlib.import_module(f"{LIBRARY}.util.placement_group")


def test_nodes_have_what_they_were_given(rt: Any, cluster: Any) -> None:
    other = cluster.add_node(num_cpus=2, resources={"other": 2}, labels={"zone": "b"})
    cluster.wait_for_nodes()
    assert cluster.list_all_nodes() == [cluster.head_node, other]
    total = rt.cluster_resources()
    assert (total["CPU"], total["head"], total["other"]) == (3.0, 1.0, 2.0)
    nodes = {node["NodeID"]: node for node in rt.nodes()}
    assert nodes.keys() == {cluster.head_node.node_id, other.node_id}
    assert nodes[other.node_id]["Alive"]
    assert nodes[other.node_id]["Resources"]["CPU"] == 2.0
    node = node_of(rt)
    assert rt.get_runtime_context().get_node_id() == cluster.head_node.node_id
    assert rt.get(node.remote()) == cluster.head_node.node_id
    for options in (
        {"resources": {"other": 1}},
        {"label_selector": {"zone": "b"}},
        {"num_cpus": 2},
        {"scheduling_strategy": strategies().NodeAffinitySchedulingStrategy(other.node_id, False)},
    ):
        assert rt.get(node.options(**options).remote()) == other.node_id
    spread = node.options(scheduling_strategy="SPREAD", num_cpus=0.1)
    assert set(rt.get([spread.remote() for _ in range(20)])) == nodes.keys()

    spread_out = groups().placement_group([{"CPU": 1}] * 2, strategy="STRICT_SPREAD")
    rt.get(spread_out.ready())
    table = groups().placement_group_table(spread_out)
    assert set(table["bundles_to_node_id"].values()) == nodes.keys()
    for bundle, at in table["bundles_to_node_id"].items():
        inside = strategies().PlacementGroupSchedulingStrategy(spread_out, bundle)
        assert rt.get(node.options(scheduling_strategy=inside).remote()) == at


def test_a_node_goes(rt: Any, cluster: Any, tmp_path: Any) -> None:
    other = cluster.add_node(num_cpus=2, resources={"other": 2})
    cluster.wait_for_nodes()
    # Only then the head is sure to know of it.
    assert rt.get(node_of(rt).options(resources={"other": 1}).remote()) == other.node_id
    on_other = strategies().NodeAffinitySchedulingStrategy(other.node_id, soft=True)

    class Actor:
        def node(self) -> str:
            return str(rt.get_runtime_context().get_node_id())

    actor_class = rt.remote(num_cpus=0.1, scheduling_strategy=on_other)(Actor)
    mortal = actor_class.remote()
    restarts = actor_class.options(max_restarts=1, max_task_retries=-1).remote()
    assert rt.get([mortal.node.remote(), restarts.node.remote()]) == [other.node_id] * 2

    def first_time(path: Any) -> str:
        if not path.exists():
            path.touch()
            while True:
                time.sleep(0.1)
        return str(rt.get_runtime_context().get_node_id())

    task = rt.remote(num_cpus=0.1, scheduling_strategy=on_other)(first_time)
    retried = task.remote(tmp_path / "retried")
    failed = task.options(max_retries=0).remote(tmp_path / "failed")
    while not ((tmp_path / "retried").exists() and (tmp_path / "failed").exists()):
        rt.get(nothing(rt).remote())

    cluster.remove_node(other)
    cluster.wait_for_nodes()
    head = cluster.head_node.node_id
    with pytest.raises(rt.exceptions.NodeDiedError):
        rt.get(failed, timeout=60)
    assert rt.get([retried, restarts.node.remote()], timeout=60) == [head, head]
    with pytest.raises(rt.exceptions.ActorDiedError, match="node has died"):
        rt.get(mortal.node.remote(), timeout=60)
    assert {node["NodeID"]: node["Alive"] for node in rt.nodes()} == {
        head: True,
        other.node_id: False,
    }
    assert rt.cluster_resources()["CPU"] == 1.0


def test_lost_bundles_find_another_node(rt: Any, cluster: Any) -> None:
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    group = groups().placement_group([{"CPU": 1}] * 2, strategy="STRICT_SPREAD")
    rt.get(group.ready(), timeout=60)
    third = cluster.add_node(num_cpus=1)
    cluster.remove_node(second)
    cluster.wait_for_nodes()

    def places() -> dict[str, str]:
        row = groups().placement_group_table(group)
        return dict.fromkeys(row["bundles_to_node_id"].values(), row["state"])

    deadline = time.monotonic() + 60
    while places() != dict.fromkeys((cluster.head_node.node_id, third.node_id), "CREATED"):
        assert time.monotonic() < deadline, places()
        rt.get(nothing(rt).remote())


def test_the_head_is_not_taken_from_its_driver(rt: Any, cluster: Any) -> None:
    with pytest.raises(ValueError, match="connected to this"):
        cluster.remove_node(cluster.head_node)
    assert not rt.is_initialized()
