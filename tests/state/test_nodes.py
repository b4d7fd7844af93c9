"""Several nodes in one lease table: who goes where, and what happens when one is gone."""

from __future__ import annotations

from typing import Any

import pytest

from paralab.state.lease_instructions import (
    EndWorker,
    Grant,
    GroupMade,
    Instruction,
    PlaceActor,
    StartWorker,
    Unmet,
    Unplaceable,
)
from paralab.state.leases import LeaseTable
from paralab.state.placement import Group, GroupState
from paralab.state.resources import Resources
from paralab.task_spec import RESOURCE_UNIT as ONE
from paralab.task_spec import Where

DRIVER = b"driver"
CPU = {"CPU": ONE}


class Cluster:
    """A table with several nodes, whose workers start at once."""

    def __init__(self, *cpus: int, labels: dict[int, str] | None = None) -> None:
        zones = labels or {}
        of = [({"CPU": n * ONE}, {"zone": zones.get(at, "")}) for at, n in enumerate(cpus)]
        self.leases = LeaseTable(Resources(of[0][0]), 64, 2000, "n0", of[0][1])
        for at, (amounts, labelled) in list(enumerate(of))[1:]:
            self.leases.places.add_node(Resources(amounts), f"n{at}", labelled, "")
        self.node_of: dict[bytes, int] = {}
        self.classes = 0

    def decide(self) -> list[Instruction]:
        """Everything that is decided until nothing more is."""
        done: list[Instruction] = []
        while found := self.leases.decide(0):
            for instruction in found:
                if isinstance(instruction, StartWorker):
                    worker = b"w%d" % len(self.node_of)
                    self.node_of[worker] = instruction.node
                    self.leases.worker_ready(worker, 0, "", instruction.node)
            done += found
        return done

    def run(self, count: int = 1, where: Where | None = None, **more: Any) -> list[int]:
        """The nodes of so many new leases."""
        self.classes += 1
        client = more.pop("client", DRIVER)
        self.leases.want(client, self.classes, CPU, count, 1, "f", where)
        return [self.node_of[i.worker] for i in self.decide() if isinstance(i, Grant)]

    def group(self, *bundles: dict[str, int], strategy: str = "PACK", id_: str = "g") -> Group:
        group = Group(id_, list(bundles), strategy, "", DRIVER, [], 0)
        assert self.leases.want_group(group, DRIVER, 1)
        return group

    def remove(self, number: int) -> list[Instruction]:
        found = self.leases.remove_node(self.leases.places.nodes[number])
        for instruction in found:
            if isinstance(instruction, EndWorker):
                self.leases.worker_died(instruction.worker)
        return found


def test_a_driver_starts_on_the_head_and_goes_on_where_most_is_free() -> None:
    cluster = Cluster(1, 2, 3)
    assert cluster.run() == [0]
    cluster.run(5)
    assert sorted(cluster.node_of.values()) == [0, 1, 1, 2, 2, 2]


def test_a_worker_prefers_its_own_node() -> None:
    cluster = Cluster(2, 2)
    assert cluster.run(where=Where(node="n1")) == [1]
    (worker,) = cluster.node_of
    assert cluster.run(client=worker) == [1]
    assert cluster.run(client=worker) == [0], "its own is full"


def test_an_idle_worker_of_another_node_does_not_do() -> None:
    cluster = Cluster(1, 1)
    assert cluster.run() == [0]
    cluster.leases.returned(DRIVER, b"w0", 0)
    assert cluster.run(where=Where(node="n1")) == [1]
    assert list(cluster.node_of.values()) == [0, 1]


def test_spreading_takes_turns() -> None:
    cluster = Cluster(4, 4, 4)
    assert sorted(cluster.run(6, Where(spreads=True))) == [0, 0, 1, 1, 2, 2]
    one_by_one = [cluster.run(where=Where(spreads=True))[0] for _ in range(3)]
    assert sorted(one_by_one) == [0, 1, 2]


def test_affinity() -> None:
    cluster = Cluster(1, 1)
    hard, soft = Where(node="n1"), Where(node="n1", is_soft=True)
    assert cluster.run(where=soft) == [1]
    assert cluster.run(where=soft) == [], "it exists, so it is waited for"
    cluster = Cluster(1, 1)
    cluster.remove(1)
    assert cluster.run(where=soft) == [0]
    cluster.leases.want(DRIVER, 9, CPU, 1, 1, "f", hard)
    assert cluster.decide() == [Unplaceable(DRIVER, 9, None, "f", False)]


def test_labels_and_fallbacks() -> None:
    def in_zone(zone: str) -> Any:
        return (("zone", False, (zone,)),)

    cluster = Cluster(1, 1, 1, labels={1: "a", 2: "b"})
    assert cluster.run(where=Where(selectors=(in_zone("b"),))) == [2]
    assert cluster.run(where=Where(selectors=(in_zone("c"), in_zone("a")))) == [1]
    cluster.leases.want(DRIVER, 9, CPU, 1, 1, "f", Where(selectors=(in_zone("c"),)))
    (said,) = cluster.decide()
    assert isinstance(said, Unmet)
    assert "'zone': 'a'" in said.place


def test_no_node_is_large_enough_although_their_sum_is() -> None:
    cluster = Cluster(2, 2)
    assert cluster.leases.places.total() == {"CPU": 4 * ONE}
    cluster.leases.want(DRIVER, 1, {"CPU": 3 * ONE}, 1, 1, "f")
    assert [type(each) for each in cluster.decide()] == [Unmet]
    cluster.leases.places.add_node(Resources({"CPU": 3 * ONE}), "n2", {}, "")
    grants = [each for each in cluster.decide() if isinstance(each, Grant)]
    assert [cluster.node_of[each.worker] for each in grants] == [2]


@pytest.mark.parametrize(
    ("strategy", "nodes"),
    [("PACK", 2), ("SPREAD", 3), ("STRICT_SPREAD", 3), ("STRICT_PACK", 0)],
)
def test_a_group_over_several_nodes(strategy: str, nodes: int) -> None:
    cluster = Cluster(2, 2, 2)
    made = cluster.group(CPU, CPU, CPU, strategy=strategy)
    cluster.decide()
    assert made.can_fit is bool(nodes)
    assert len(set(made.nodes)) == nodes
    assert cluster.leases.places.available()["CPU"] == (3 if nodes else 6) * ONE
    cluster.leases.remove_group(made)
    assert cluster.leases.places.available() == {"CPU": 6 * ONE}


def test_a_task_in_a_bundle_runs_on_the_node_of_the_bundle() -> None:
    cluster = Cluster(1, 1)
    made = cluster.group(CPU, CPU, strategy="STRICT_SPREAD")
    cluster.decide()
    for bundle, node in enumerate(made.nodes):
        assert f"n{cluster.run(where=Where('g', bundle))[0]}" == node


def test_a_node_that_comes_makes_room_for_a_group() -> None:
    cluster = Cluster(1)
    waits = cluster.group(CPU, CPU, strategy="STRICT_SPREAD")
    assert [type(each) for each in cluster.decide()] == [Unmet]
    cluster.leases.places.add_node(Resources(CPU), "n1", {}, "")
    cluster.leases.nodes_changed()
    assert cluster.decide() == [GroupMade(waits)]


def test_what_is_removed_ends_and_counts_no_more() -> None:
    cluster = Cluster(1, 2)
    cluster.run(3)
    there = {worker for worker, node in cluster.node_of.items() if node == 1}
    assert set(cluster.remove(1)) == {EndWorker(worker) for worker in there}
    assert cluster.leases.places.total() == CPU
    assert cluster.leases.places.available() == {"CPU": 0}
    assert cluster.run() == []
    cluster.leases.returned(DRIVER, b"w0", 0)
    assert [type(each) for each in cluster.decide()] == [Grant]


def test_lost_bundles_find_another_place() -> None:
    cluster = Cluster(1, 1, 1)
    made = cluster.group(CPU, CPU, strategy="STRICT_SPREAD")
    cluster.decide()
    assert set(made.nodes) == {"n0", "n1"}
    lost = made.nodes.index("n1")
    assert cluster.run(where=Where("g", lost)) == [1]
    cluster.remove(1)
    assert made.state.value == "RESCHEDULING"
    cluster.leases.want(DRIVER, 5, CPU, 1, 1, "f", Where("g", lost))
    assert GroupMade(made) in cluster.decide()
    assert made.state is GroupState.CREATED
    assert (made.nodes[lost], made.nodes[1 - lost]) == ("n2", "n0")
    assert [cluster.node_of[w] for w in list(cluster.node_of)[1:]] == [2]
    cluster.leases.remove_group(made)


def test_lost_bundles_wait_while_the_others_work() -> None:
    cluster = Cluster(1, 1)
    made = cluster.group(CPU, CPU, strategy="STRICT_SPREAD")
    cluster.decide()
    cluster.remove(1)
    assert not any(isinstance(each, GroupMade) for each in cluster.decide())
    lost = made.nodes.index("n1")
    assert cluster.run(where=Where("g", 1 - lost)) == [0]
    assert cluster.run(where=Where("g", lost)) == []
    cluster.leases.remove_group(made)
    assert made.state is GroupState.REMOVED


def test_an_actor_restarts_elsewhere() -> None:
    cluster, at = Cluster(0, 1, 1), 0
    for _ in range(2):
        cluster.leases.want_actor(DRIVER, (DRIVER, 1), CPU, CPU, 1, "A")
        (placed,) = [each for each in cluster.decide() if isinstance(each, PlaceActor)]
        at = cluster.node_of[placed.worker]
        cluster.remove(at)
    assert at == 2
