"""Where things run, as Ray's users know it: placement groups, strategies, labels."""

# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Any

import pytest


def module(rt: Any, name: str) -> Any:
    """A module below ``util`` of the library under test."""
    return importlib.import_module(f"{rt.library.__name__}.util.{name}")


@pytest.fixture
def groups(rt: Any) -> Any:
    """The module of placement groups; those that a test leaves are removed."""
    found = module(rt, "placement_group")
    yield found
    for group_id, row in found.placement_group_table().items():
        if row["state"] != "REMOVED":
            left = found.PlacementGroup(found.PlacementGroupID.from_hex(group_id))
            found.remove_placement_group(left)


@pytest.fixture
def within(rt: Any) -> Any:
    """``PlacementGroupSchedulingStrategy`` of the library under test."""
    return module(rt, "scheduling_strategies").PlacementGroupSchedulingStrategy


def test_a_group_is_made_and_described(rt: Any, groups: Any) -> None:
    group = groups.placement_group([{"CPU": 1}, {"CPU": 1}], strategy="SPREAD", name="mine")
    assert rt.get(group.ready()) == group
    assert group.wait(timeout_seconds=60) is True
    assert group.bundle_specs == [{"CPU": 1.0}, {"CPU": 1.0}]
    assert group.bundle_count == 2
    assert not group.is_empty
    row = groups.placement_group_table(group)
    assert row["placement_group_id"] == group.id.hex()
    assert row["name"] == "mine"
    assert row["strategy"] == "SPREAD"
    assert row["state"] == "CREATED"
    assert row["bundles"] == {0: {"CPU": 1.0}, 1: {"CPU": 1.0}}
    assert set(row["bundles_to_node_id"].values()) == {rt.nodes()[0]["NodeID"]}
    assert set(row["stats"]) == {
        "end_to_end_creation_latency_ms",
        "scheduling_latency_ms",
        "scheduling_attempt",
        "highest_retry_delay_ms",
        "scheduling_state",
    }
    assert groups.get_placement_group("mine") == group
    groups.remove_placement_group(group)
    groups.remove_placement_group(group)
    assert groups.placement_group_table(group)["state"] == "REMOVED"
    with pytest.raises(ValueError, match="Failed to look up placement group with name: mine"):
        groups.get_placement_group("mine")
    with pytest.raises(Exception, match="does not exist"):
        group.wait(1)
    with pytest.raises(rt.exceptions.TaskPlacementGroupRemoved):
        rt.get(group.ready(), timeout=60)


def test_a_task_whose_group_is_removed_fails_for_that_reason(
    rt: Any, groups: Any, within: Any, tmp_path: Path
) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("a task has ended when remote() returns")
    group = groups.placement_group([{"CPU": 1}])
    assert group.wait(60)

    @rt.remote(max_retries=0, scheduling_strategy=within(group))
    def run(path: str) -> None:
        Path(path).touch()
        threading.Event().wait()

    running, queued = (run.remote(str(tmp_path / name)) for name in ("running", "queued"))
    helpers = importlib.import_module(f"{rt.library.__name__}._common.test_utils")
    helpers.wait_for_condition((tmp_path / "running").exists, timeout=60)
    groups.remove_placement_group(group)
    removed: Any = rt.exceptions.TaskPlacementGroupRemoved
    # In Ray it depends on who hears first of the worker's end.
    crashed = (rt.exceptions.WorkerCrashedError,) if rt.engine == "ray" else ()
    with pytest.raises((removed, *crashed)):
        rt.get(running, timeout=60)
    with pytest.raises(removed, match="has been removed"):
        rt.get(queued, timeout=60)
    assert not (tmp_path / "queued").exists()


def test_util_has_the_functions(rt: Any, groups: Any) -> None:
    util = importlib.import_module(f"{rt.library.__name__}.util")
    for name in (
        "placement_group",
        "remove_placement_group",
        "placement_group_table",
        "get_placement_group",
        "get_current_placement_group",
    ):
        assert getattr(util, name) is getattr(groups, name)
    assert util.get_current_placement_group() is None


def test_tasks_and_actors_run_in_bundles(rt: Any, groups: Any, within: Any) -> None:
    group = groups.placement_group([{"CPU": 1}, {"CPU": 1}])
    assert group.wait(60)

    @rt.remote
    def f() -> Any:
        context = rt.get_runtime_context()
        return groups.get_current_placement_group(), context.get_assigned_resources()

    @rt.remote(num_cpus=1)
    class A:
        def where(self) -> Any:
            return groups.get_current_placement_group()

    place = within(placement_group=group, placement_group_bundle_index=0)
    assert rt.get(f.options(scheduling_strategy=place).remote()) == (group, {"CPU": 1.0})
    assert rt.get(f.options(scheduling_strategy=within(group)).remote())[0] == group
    actor = A.options(scheduling_strategy=place).remote()
    assert rt.get(actor.where.remote()) == group
    rt.kill(actor)


def test_what_does_not_fit_is_refused(rt: Any, groups: Any, within: Any) -> None:
    group = groups.placement_group([{"CPU": 1}, {"CPU": 1}])

    @rt.remote
    def f() -> None: ...

    @rt.remote
    class A: ...

    for index in (2, -2):
        with pytest.raises(ValueError, match=f"placement group bundle index {index} is invalid"):
            f.options(scheduling_strategy=within(group, index)).remote()
    with pytest.raises(ValueError, match="cannot fit into any bundles"):
        f.options(num_cpus=2, scheduling_strategy=within(group)).remote()
    with pytest.raises(ValueError, match="cannot fit into any bundles"):
        A.options(num_cpus=2, scheduling_strategy=within(group)).remote()
    with pytest.raises(ValueError, match="Placement groups should be specified via"):
        f.options(placement_group=group, scheduling_strategy="SPREAD").remote()


def test_children_are_captured_where_that_is_asked_for(rt: Any, groups: Any, within: Any) -> None:
    group = groups.placement_group([{"CPU": 1}, {"CPU": 1}])

    @rt.remote
    def child() -> Any:
        return groups.get_current_placement_group()

    @rt.remote
    class Child:
        def where(self) -> Any:
            return groups.get_current_placement_group()

    @rt.remote
    def parent() -> Any:
        actor = Child.remote()
        outside = child.options(scheduling_strategy="DEFAULT", num_cpus=0)
        return rt.get([child.options(num_cpus=0).remote(), actor.where.remote(), outside.remote()])

    captures = within(group, placement_group_capture_child_tasks=True)
    assert rt.get(parent.options(scheduling_strategy=captures).remote()) == [group, group, None]


def test_an_index_alone_means_a_bundle_of_the_group_that_captures(
    rt: Any, groups: Any, within: Any
) -> None:
    group = groups.placement_group([{"CPU": 1}, {"CPU": 1}])

    @rt.remote(num_cpus=0)
    def child() -> Any:
        return groups.get_current_placement_group()

    @rt.remote(num_cpus=0)
    def parent() -> Any:
        captures = rt.get_runtime_context().should_capture_child_tasks_in_placement_group
        refused = []
        for index in (2, -2):
            try:
                child.options(placement_group_bundle_index=index).remote()
            except ValueError:
                refused.append(index)
        return captures, refused, rt.get(child.options(placement_group_bundle_index=1).remote())

    captures = within(group, placement_group_capture_child_tasks=True)
    found = rt.get(parent.options(scheduling_strategy=captures).remote(), timeout=60)
    assert found == (True, [2, -2], group)
    with pytest.raises(ValueError, match="bundle index must be -1"):
        child.options(placement_group_bundle_index=0).remote()


def test_children_are_not_captured_otherwise(rt: Any, groups: Any, within: Any) -> None:
    group = groups.placement_group([{"CPU": 1}])

    @rt.remote(num_cpus=0)
    def child() -> Any:
        return groups.get_current_placement_group()

    @rt.remote
    def parent() -> Any:
        return rt.get(child.remote())

    assert rt.get(parent.options(scheduling_strategy=within(group)).remote()) is None


def test_what_can_never_be_made_waits(rt: Any, groups: Any) -> None:
    for bundles, strategy in (
        ([{"CPU": 1}, {"CPU": 1}], "STRICT_SPREAD"),
        ([{"CPU": 100}], "PACK"),
        ([{"no such thing": 1}], "STRICT_PACK"),
    ):
        group = groups.placement_group(bundles, strategy=strategy)
        assert group.wait(0.2) is False
        assert groups.placement_group_table(group)["state"] == "PENDING"
        groups.remove_placement_group(group)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bundles": []}, "Bundles must be a non-empty list"),
        ({"bundles": {"CPU": 1}}, "Placement group bundles must be a list"),
        ({"bundles": [{}]}, "Bundles cannot be an empty dictionary"),
        ({"bundles": [{"CPU": 0}]}, "resources with only 0 values"),
        ({"bundles": [{"CPU": "1"}]}, "Bundles must be a non-empty list"),
        ({"bundles": [{"CPU": 1}], "strategy": "CLOSE"}, "Invalid placement group strategy CLOSE"),
        ({"bundles": [{"CPU": 1}], "lifetime": "long"}, "`lifetime` argument must be"),
        ({"bundles": [{"CPU": 1}], "bundle_label_selector": []}, "bundle label selector"),
    ],
)
def test_bad_groups(rt: Any, groups: Any, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        groups.placement_group(**arguments)


def test_names_are_taken_once(rt: Any, groups: Any) -> None:
    groups.placement_group([{"CPU": 1}], name="once")
    with pytest.raises(rt.exceptions.RaySystemError, match="name 'once' already exists"):
        groups.placement_group([{"CPU": 1}], name="once")
    with pytest.raises(ValueError, match="non-empty value"):
        groups.get_placement_group("")


def test_node_affinity(rt: Any) -> None:
    strategies = module(rt, "scheduling_strategies")

    @rt.remote
    def f() -> Any:
        return rt.get_runtime_context().get_node_id()

    @rt.remote
    class A:
        def f(self) -> None: ...

    here = rt.nodes()[0]["NodeID"]
    nowhere = "ab" * 28
    affinity = strategies.NodeAffinitySchedulingStrategy
    for strategy in (affinity(here, soft=False), affinity(nowhere, soft=True), "SPREAD"):
        assert rt.get(f.options(scheduling_strategy=strategy).remote()) == here
    hard = affinity(nowhere, soft=False)
    with pytest.raises(rt.exceptions.TaskUnschedulableError, match="NodeAffinitySchedulingStra"):
        rt.get(f.options(scheduling_strategy=hard).remote(), timeout=60)
    with pytest.raises(rt.exceptions.ActorUnschedulableError, match="NodeAffinitySchedulingStr"):
        rt.get(A.options(scheduling_strategy=hard).remote().f.remote(), timeout=60)
    with pytest.raises(ValueError, match="Invalid node_id"):
        affinity("zz", soft=False)
    with pytest.raises(ValueError, match="_spill_on_unavailable cannot be set"):
        affinity(here, soft=False, _spill_on_unavailable=True)


def test_labels(rt: Any) -> None:
    strategies = module(rt, "scheduling_strategies")
    node = rt.nodes()[0]
    assert node["Labels"]["ray.io/node-id"] == node["NodeID"]
    here = node["NodeID"]

    @rt.remote
    def f() -> int:
        return 1

    by_label = strategies.NodeLabelSchedulingStrategy
    for options in (
        {"label_selector": {"ray.io/node-id": here}},
        {"label_selector": {"ray.io/node-id": f"in({here})"}},
        {"label_selector": {"zone": "!x", "other": "!in(a,b)"}},
        {
            "label_selector": {"zone": "x"},
            "fallback_strategy": [{"label_selector": {"ray.io/node-id": here}}],
        },
        {"scheduling_strategy": by_label({"ray.io/node-id": strategies.In(here)})},
        {"scheduling_strategy": by_label({"ray.io/node-id": strategies.Exists()})},
        {"scheduling_strategy": by_label({"zone": strategies.DoesNotExist()})},
        {"scheduling_strategy": by_label({"zone": strategies.NotIn("a")})},
    ):
        assert rt.get(f.options(**options).remote(), timeout=60) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"label_selector": {"zone": "in(a"}},
        {"label_selector": {"zo ne": "a"}},
        {"label_selector": {"zone": "!!a"}},
        {"fallback_strategy": [{}]},
        {"fallback_strategy": [{"num_cpus": 1}]},
    ],
)
def test_bad_selectors(rt: Any, options: dict[str, Any]) -> None:
    @rt.remote
    def f() -> None: ...

    with pytest.raises(ValueError, match=r"[Ll]abel|fallback_strategy|option"):
        f.options(**options).remote()
