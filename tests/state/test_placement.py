"""Placement groups: which bundle goes where, and what a group's requests may take."""

from __future__ import annotations

from typing import Any

import pytest

from paralab.state.labels import first_that_holds, holds
from paralab.state.lease_instructions import (
    EndWorker,
    Grant,
    GroupEnded,
    GroupMade,
    PlaceActor,
    Revoke,
    Unmet,
    Unplaceable,
)
from paralab.state.leases import LeaseTable
from paralab.state.placement import Group, GroupState, place
from paralab.state.resources import Resources
from paralab.task_spec import RESOURCE_UNIT as ONE
from paralab.task_spec import Where, check_fits

DRIVER = b"driver"
CPU = {"CPU": ONE}
TWO = {"CPU": 2 * ONE}


def cpus(*counts: int) -> list[dict[str, int]]:
    return [{"CPU": count * ONE} for count in counts]


@pytest.mark.parametrize(
    ("strategy", "bundles", "nodes", "expected"),
    [
        ("PACK", (1, 1), (2, 2), [0, 0]),
        ("PACK", (1, 1), (1, 2), [1, 1]),
        ("PACK", (1, 1, 1), (2, 1), [0, 0, 1]),
        ("PACK", (2, 2), (2, 1), None),
        ("PACK", (1, 3), (1, 3), [0, 1]),
        ("SPREAD", (1, 1), (2, 2), [0, 1]),
        ("SPREAD", (1, 1, 1), (2, 2), [0, 1, 0]),
        ("SPREAD", (1, 1), (2,), [0, 0]),
        ("STRICT_PACK", (1, 1), (1, 1), None),
        ("STRICT_PACK", (1, 1), (1, 2), [1, 1]),
        ("STRICT_SPREAD", (1, 1), (2,), None),
        ("STRICT_SPREAD", (1, 1), (2, 2), [1, 0]),
        ("STRICT_SPREAD", (1, 2), (2, 1), [1, 0]),
        ("STRICT_SPREAD", (2, 2), (2, 1), None),
    ],
)
def test_where_bundles_go(
    strategy: str, bundles: tuple[int, ...], nodes: tuple[int, ...], expected: Any
) -> None:
    assert place(cpus(*bundles), cpus(*nodes), strategy) == expected


@pytest.mark.parametrize("strategy", ["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"])
def test_a_bundle_goes_only_where_it_may(strategy: str) -> None:
    assert place(cpus(1), cpus(2, 2), strategy, lambda _bundle, node: node == 1) == [1]
    assert place(cpus(1), cpus(2, 2), strategy, lambda _bundle, _node: False) is None


def test_strict_spread_moves_earlier_bundles() -> None:
    may = {0: {0, 1}, 1: {0}, 2: {1, 2}}
    found = place(cpus(1, 1, 1), cpus(1, 1, 1), "STRICT_SPREAD", lambda b, n: n in may[b])
    assert found == [1, 0, 2]


def test_labels() -> None:
    labels = {"zone": "a"}
    assert holds((("zone", False, ("a", "b")),), labels)
    assert not holds((("zone", True, ("a",)),), labels)
    assert holds((("other", True, ("a",)),), labels), "no label is no value"
    assert not holds((("other", False, ("a",)),), labels)
    assert holds((("zone", False, None), ("other", True, None)), labels)
    assert first_that_holds((), labels)
    assert first_that_holds(((("zone", False, ("b",)),), (("zone", False, ("a",)),)), labels)
    assert not first_that_holds(((("zone", False, ("b",)),),), labels)


# -- on one node -------------------------------------------------------------------------------


def table(cpus: int = 4, **more: int) -> LeaseTable:
    total = {"CPU": cpus * ONE, **{name: n * ONE for name, n in more.items()}}
    leases = LeaseTable(Resources(total), 64, 2000, "here", {"zone": "a"})
    for worker in (b"w1", b"w2", b"w3", b"w4"):
        leases.worker_ready(worker, 0)
    return leases


def group(*bundles: dict[str, int], id_: str = "g", strategy: str = "PACK", **more: Any) -> Group:
    return Group(id_, list(bundles), strategy, more.pop("name", ""), DRIVER, [], 0, **more)


def test_a_group_takes_its_resources_and_gives_them_back() -> None:
    leases = table()
    made = group(CPU, TWO)
    assert leases.want_group(made, DRIVER, 1)
    assert leases.decide(5) == [GroupMade(made)]
    assert leases.resources.available["CPU"] == ONE
    assert made.state is GroupState.CREATED
    assert leases.remove_group(made) == [GroupEnded(made)]
    assert leases.resources.available["CPU"] == 4 * ONE
    assert leases.requests == []


def test_a_group_is_made_as_a_whole_or_waits() -> None:
    leases = table()
    leases.want(DRIVER, 1, TWO, 1, 1, "f")
    leases.decide(0)
    waits = group(TWO, CPU)
    leases.want_group(waits, DRIVER, 1)
    assert leases.decide(0) == [Revoke(DRIVER, b"w4", 1)]
    assert leases.resources.available["CPU"] == 2 * ONE
    leases.returned(DRIVER, b"w4", 0)
    assert leases.decide(0) == [GroupMade(waits)]


def test_what_is_in_a_group_takes_from_one_of_its_bundles() -> None:
    leases = table()
    made = group(CPU, TWO)
    leases.want_group(made, DRIVER, 1)
    leases.decide(0)
    leases.want(DRIVER, 1, TWO, 2, 1, "any bundle", Where("g"))
    assert [type(i) for i in leases.decide(0)] == [Grant]
    leases.want(DRIVER, 2, CPU, 2, 1, "the first bundle", Where("g", 0))
    assert [i.class_number for i in leases.decide(0) if isinstance(i, Grant)] == [2]
    assert leases.resources.available["CPU"] == ONE, "nothing more from outside"
    assert [pool.resources.available["CPU"] for pool in made.pools] == [0, 0]


def test_a_blocked_task_lends_its_cpu_inside_of_its_bundle() -> None:
    leases = table(cpus=1)
    made = group(CPU)
    leases.want_group(made, DRIVER, 1)
    leases.want(DRIVER, 1, CPU, 1, 1, "outer", Where("g"))
    leases.decide(0)
    leases.want(b"w4", 1, CPU, 1, 2, "inner", Where("g"))
    leases.want(DRIVER, 2, CPU, 1, 1, "outside")
    assert not any(isinstance(i, Grant) for i in leases.decide(0))
    leases.blocked(b"w4")
    assert leases.decide(0) == [Grant(b"w4", 1, b"w3", ())]
    leases.unblocked(b"w4")
    leases.returned(b"w4", b"w3", 0)
    leases.returned(DRIVER, b"w4", 0)
    assert made.pools[0].resources.available == CPU


def test_gpus_of_a_bundle_are_its_own() -> None:
    leases = table(GPU=2)
    made = group({"GPU": ONE}, {"GPU": ONE})
    leases.want_group(made, DRIVER, 1)
    leases.want(DRIVER, 1, {"GPU": ONE}, 1, 1, "f", Where("g", 1))
    leases.want(DRIVER, 2, {"GPU": ONE // 2}, 1, 1, "f", Where("g", 0))
    devices = [i.devices for i in leases.decide(0) if isinstance(i, Grant)]
    assert devices == [(1,), (0,)]
    leases.returned(DRIVER, b"w4", 0)
    leases.remove_group(made)
    leases.worker_died(b"w3")
    assert leases.node.devices.free == [ONE, ONE]
    assert leases.resources.available["GPU"] == 2 * ONE


def test_removal_ends_what_is_in_the_group() -> None:
    leases = table()
    made = group(TWO)
    leases.want_group(made, DRIVER, 1)
    leases.want(DRIVER, 1, CPU, 1, 1, "f", Where("g"))
    leases.want_actor(DRIVER, (DRIVER, 7), CPU, {}, 1, "A", Where("g"))
    leases.want(DRIVER, 2, CPU, 1, 1, "outside")
    leases.decide(0)
    ended = leases.remove_group(made)
    assert ended == [GroupEnded(made), EndWorker(b"w3"), EndWorker(b"w4")]
    assert leases.resources.available["CPU"] == 2 * ONE, "one is in use until its worker is gone"
    leases.worker_died(b"w4")
    leases.worker_died(b"w3")
    assert leases.resources.available["CPU"] == 3 * ONE
    leases.want(DRIVER, 1, CPU, 1, 1, "f", Where("g"))
    leases.want_actor(DRIVER, (DRIVER, 8), CPU, {}, 1, "A", Where("g"))
    assert leases.decide(0) == [
        Unplaceable(DRIVER, 1, None, "f", True),
        Unplaceable(DRIVER, 0, (DRIVER, 8), "A", True),
    ]


def test_requests_wait_for_their_group() -> None:
    leases = table(cpus=1)
    leases.want(DRIVER, 9, CPU, 1, 1, "f")
    leases.decide(0)
    late = group(CPU)
    leases.want_group(late, DRIVER, 1)
    leases.want_actor(DRIVER, (DRIVER, 7), CPU, {}, 1, "A", Where("g"))
    assert leases.decide(0) == [Revoke(DRIVER, b"w4", 1)]
    leases.returned(DRIVER, b"w4", 0)
    decided = leases.decide(0)
    assert [type(i) for i in decided] == [GroupMade, PlaceActor]


@pytest.mark.parametrize(
    "never",
    [
        group({"CPU": 5 * ONE}),
        group({"disk": ONE}),
        group(CPU, CPU, strategy="STRICT_SPREAD"),
        Group("g", [CPU], "PACK", "", None, [(("zone", False, ("b",)),)], 0),
    ],
)
def test_a_group_that_can_never_be_made_is_said_once(never: Group) -> None:
    leases = table()
    assert leases.want_group(never, DRIVER, 1)
    assert [type(i) for i in leases.decide(0)] == [Unmet]
    assert leases.decide(0) == []
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    assert [type(i) for i in leases.decide(0)] == [Grant], "it stands in nobody's way"


def test_names_are_free_after_removal() -> None:
    leases = table()
    first = group(CPU, name="mine")
    assert leases.want_group(first, DRIVER, 1)
    assert not leases.want_group(group(CPU, id_="h", name="mine"), DRIVER, 1)
    leases.remove_group(first)
    assert leases.want_group(group(CPU, id_="h", name="mine"), DRIVER, 1)


def test_a_group_outlives_the_worker_that_asked_for_it() -> None:
    leases = table(cpus=1)
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    leases.decide(0)
    leases.want_group(group(CPU), b"w4", 2)
    leases.worker_died(b"w4")
    leases.client_died(b"w4")
    assert [type(i) for i in leases.decide(0)] == [GroupMade]


def test_affinity_and_labels_of_requests() -> None:
    leases = table()
    leases.want(DRIVER, 1, CPU, 1, 1, "here", Where(node="here"))
    leases.want(DRIVER, 2, CPU, 1, 1, "elsewhere", Where(node="there"))
    leases.want(DRIVER, 3, CPU, 1, 1, "rather elsewhere", Where(node="there", is_soft=True))
    leases.want(DRIVER, 4, {"CPU": 9 * ONE}, 1, 1, "too much", Where(node="here"))
    leases.want(DRIVER, 5, CPU, 1, 1, "in b", Where(selectors=((("zone", False, ("b",)),),)))
    leases.want(DRIVER, 6, CPU, 1, 1, "in a", Where(selectors=((("zone", False, ("a",)),),)))
    decided = leases.decide(0)
    assert [(type(i), getattr(i, "class_number", 0)) for i in decided] == [
        (Grant, 1),
        (Unplaceable, 2),
        (Grant, 3),
        (Unplaceable, 4),
        (Unmet, 5),
        (Grant, 6),
    ]


def test_what_the_bundles_show_as_free() -> None:
    leases = table()
    made = group(CPU, TWO)
    leases.want_group(made, DRIVER, 1)
    leases.want(DRIVER, 1, CPU, 1, 1, "f", Where("g", 1))
    leases.decide(0)
    assert leases.groups.shown({made.pools[1]: 1}) == {
        "CPU_group_0_g": ONE,
        "CPU_group_1_g": ONE,
        "CPU_group_g": 2 * ONE,
        "bundle_group_0_g": 1000 * ONE,
        "bundle_group_1_g": 1000 * ONE - ONE // 1000,
        "bundle_group_g": 2000 * ONE - ONE // 1000,
    }


def test_what_no_bundle_can_hold_is_refused_by_name() -> None:
    bundles = [{"CPU": 1.0}, {"GPU": 1.0}]
    check_fits(CPU, {}, bundles, "f")
    with pytest.raises(ValueError, match=r"Cannot schedule f .* cannot fit into any bundles"):
        check_fits({"CPU": ONE, "GPU": ONE}, {}, bundles, "f")
    with pytest.raises(ValueError, match="requires 1 CPU for creation"):
        check_fits({}, CPU, [{"GPU": 1.0}], "A")
