"""Labels of the node, and groups, on every engine."""

# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

from typing import Any

import pytest

import paralab
from paralab import exceptions
from paralab.util.placement_group import (
    PlacementGroup,
    check_placement_group_index,
    placement_group,
    placement_group_table,
    remove_placement_group,
    validate_placement_group,
)
from paralab.util.scheduling_strategies import (
    NodeLabelSchedulingStrategy,
    NotIn,
    PlacementGroupSchedulingStrategy,
)


@paralab.remote
def one() -> int:
    return 1


def test_labels_of_init(how: dict[str, Any]) -> None:
    paralab.init(**how, labels={"zone": "a", "example.org/kind": ""})
    labels = paralab.nodes()[0]["Labels"]
    assert labels["zone"] == "a"
    assert labels["example.org/kind"] == ""
    assert paralab.get(one.options(label_selector={"zone": "in(a, b)"}).remote()) == 1
    strategy = NodeLabelSchedulingStrategy({"zone": NotIn("b")})
    assert paralab.get(one.options(scheduling_strategy=strategy).remote()) == 1
    wrong = one.options(label_selector={"zone": "!a"}).remote()
    with pytest.raises((exceptions.GetTimeoutError, exceptions.TaskUnschedulableError)):
        paralab.get(wrong, timeout=0.2)  # without processes nothing could ever be waited for
    group = placement_group([{"CPU": 1}], bundle_label_selector=[{"zone": "!a"}])
    assert group.wait(0.1) is False


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        ({"ray.io/zone": "a"}, ValueError, "ray.io/zone"),
        ({"zo ne": "a"}, ValueError, "zo ne"),
        ({"zone": "-a"}, ValueError, "-a"),
        ({"zone": 1}, TypeError, "zone"),
        ({1: "a"}, TypeError, "1"),
        ("zone=a", TypeError, "labels"),
    ],
)
def test_bad_labels(labels: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        paralab.init(labels=labels)
    assert not paralab.is_initialized()


def test_a_removed_group_takes_nothing(how: dict[str, Any]) -> None:
    paralab.init(**how)
    total = paralab.available_resources()
    group = placement_group([{"CPU": 2}], name="all")
    assert group.wait(10)
    assert "CPU" not in paralab.available_resources()
    inside = PlacementGroupSchedulingStrategy(group)
    assert paralab.get(one.options(scheduling_strategy=inside).remote()) == 1
    remove_placement_group(group)
    assert paralab.available_resources() == total
    with pytest.raises(exceptions.TaskPlacementGroupRemoved):
        paralab.get(one.options(scheduling_strategy=inside).remote(), timeout=60)
    assert placement_group_table(group)["state"] == "REMOVED"


def test_bad_arguments(engine: str) -> None:
    for amount in (-1, float("nan"), float("inf"), 0.00001):
        with pytest.raises(ValueError, match="CPU"):
            placement_group([{"CPU": amount}])
    with pytest.raises(ValueError, match="cannot both be specified"):
        validate_placement_group([{"CPU": 1}], "PACK", topology_strategy={})
    with pytest.raises(ValueError, match="other labels need several nodes"):
        validate_placement_group([{"CPU": 1}], topology_strategy={"rack": "STRICT_PACK"})
    with pytest.raises(ValueError, match="STRICT_PACK"):
        validate_placement_group([{"CPU": 1}], _soft_target_node_id="ab" * 28)
    assert validate_placement_group([{"CPU": 1}], "SPREAD")
    nobody: Any = "the group"
    with pytest.raises(TypeError, match="the group"):
        remove_placement_group(nobody)
    with pytest.raises(ValueError, match="must be -1"):
        check_placement_group_index(PlacementGroup.empty(), 1)


def test_the_old_options_still_work(engine: str) -> None:
    group = placement_group([{"CPU": 1}])
    with pytest.warns(DeprecationWarning, match="scheduling_strategy=PlacementGroupScheduling"):
        inside = one.options(placement_group=group, placement_group_bundle_index=0)
    assert paralab.get(inside.remote()) == 1
    remove_placement_group(group)


def test_an_empty_group_is_no_group(engine: str) -> None:
    empty = PlacementGroup.empty()
    assert empty.is_empty
    assert paralab.get(empty.ready()) == empty
    nowhere = PlacementGroupSchedulingStrategy(empty)
    assert paralab.get(one.options(scheduling_strategy=nowhere).remote()) == 1
