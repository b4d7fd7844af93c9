"""Placement groups: resources that are set aside together, for tasks and actors that use them.

::

    group = placement_group([{"CPU": 1}, {"CPU": 1, "GPU": 1}])
    paralab.get(group.ready())
    strategy = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=1)
    f.options(scheduling_strategy=strategy, num_gpus=1).remote()

The bundles are given all or none.  They are the group's until it is removed.
"""

from __future__ import annotations

import math
from typing import Any

from paralab.engine import _Slot
from paralab.exceptions import RaySystemError, TaskPlacementGroupRemoved, TaskUnschedulableError
from paralab.id_types import JobID, PlacementGroupID
from paralab.labels import parse_selector
from paralab.lifecycle import start_by_itself
from paralab.shown_text import shown_name
from paralab.task_spec import RESOURCE_UNIT, fixed_resources

VALID_PLACEMENT_GROUP_STRATEGIES = {"PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"}


def _engine() -> Any:
    return _Slot.engine or start_by_itself()


class PlacementGroup:
    """A handle of a placement group; it pickles, and compares equal to others of the same group.

    Attributes:
        id: the group's id.
        bundle_cache: the bundles, if they are known here.
    """

    def __init__(
        self,
        id: PlacementGroupID,  # noqa: A002 - Ray's name
        bundle_cache: list[dict[str, float]] | None = None,
    ) -> None:
        self.id = id
        self.bundle_cache = bundle_cache

    @staticmethod
    def empty() -> PlacementGroup:
        """What stands for no group."""
        return PlacementGroup(PlacementGroupID.nil())

    @property
    def is_empty(self) -> bool:
        """Whether this stands for no group."""
        return self.id.is_nil()

    def ready(self) -> Any:
        """A ref whose value is this group, once all of its bundles have their resources.

        If the group is removed, ``get`` of the ref raises TaskPlacementGroupRemoved.
        """
        if self.is_empty:
            return _engine().put(self)
        return _engine().groups.ready(self.id.hex(), self)

    def wait(self, timeout_seconds: float = 30) -> bool:
        """Waits until the group has its resources; False if it has not after so many seconds."""
        engine = _engine()
        state = placement_group_table(self).get("state")
        if state == "PENDING":
            ref = self.ready()
            ready, _ = engine.wait((ref,), 1, timeout_seconds, True)
            if not ready:
                return False
            try:
                engine.get_one(ref, None)
            except TaskUnschedulableError:  # in local_mode nothing is waited for
                return False
            except TaskPlacementGroupRemoved:
                state = "REMOVED"
        if state in ("REMOVED", None):
            raise Exception(  # noqa: TRY002 - Ray's choice, on which programs rely
                f"Placement group {self.id} does not exist."
            )
        return True

    @property
    def bundle_specs(self) -> list[dict[str, float]]:
        """The bundles, each a dict of resources."""
        if not self.bundle_cache:
            self.bundle_cache = list(placement_group_table(self).get("bundles", {}).values())
        return self.bundle_cache

    @property
    def bundle_count(self) -> int:
        """How many bundles there are."""
        return len(self.bundle_specs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlacementGroup) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


def placement_group(
    bundles: list[dict[str, float]],
    strategy: str | None = None,
    name: str = "",
    lifetime: str | None = None,
    _soft_target_node_id: str | None = None,
    bundle_label_selector: list[dict[str, str]] | None = None,
    topology_strategy: dict[str, str] | None = None,
) -> PlacementGroup:
    """Asks for bundles of resources, and returns at once.

    Args:
        bundles: each a dict such as ``{"CPU": 2, "GPU": 1}``.
        strategy: "PACK" (the default: few nodes), "SPREAD" (many nodes), "STRICT_PACK" (one
            node), or "STRICT_SPREAD" (each bundle on a node of its own; with fewer nodes than
            bundles it waits).
        name: for :func:`get_placement_group`.
        lifetime: None ends the group with its driver; "detached" does not.
        bundle_label_selector: for each bundle which labels its node must have.
        _soft_target_node_id: a node that is preferred by "STRICT_PACK".
        topology_strategy: Ray's; only its key for the strategy among nodes is available.

    Raises:
        ValueError: an argument is wrong; the message names it.
        SystemFailure: another group has this name.
    """
    wish = _checked(
        *(bundles, strategy, lifetime, _soft_target_node_id),
        *(bundle_label_selector, topology_strategy),
    )
    wish["name"] = name
    bundles = [{key: float(amount) for key, amount in bundle.items()} for bundle in bundles]
    engine = _engine()
    job = JobID.from_hex(engine.info("context")["job_id"])
    group = PlacementGroup(PlacementGroupID.of(job), bundles)
    engine.groups.create(group.id.hex(), wish)
    return group


def validate_placement_group(
    bundles: list[dict[str, float]],
    strategy: str | None = None,
    lifetime: str | None = None,
    _soft_target_node_id: str | None = None,
    bundle_label_selector: list[dict[str, str]] | None = None,
    topology_strategy: dict[str, str] | None = None,
) -> bool:
    """Checks the arguments of :func:`placement_group`.

    Raises:
        ValueError: one is wrong; the message names it.
    """
    _checked(
        *(bundles, strategy, lifetime, _soft_target_node_id),
        *(bundle_label_selector, topology_strategy),
    )
    return True


def check_placement_group_index(placement_group: PlacementGroup, bundle_index: int) -> None:
    """Checks the index of a bundle.

    Raises:
        TypeError: it is no int.
        ValueError: the group has no such bundle; or it is not -1 and there is no group.
    """
    if not isinstance(bundle_index, int):
        raise TypeError(
            f"placement_group_bundle_index={bundle_index!r} is of type "
            f"{type(bundle_index).__name__}; expected an int."
        )
    if placement_group.is_empty:
        if bundle_index != -1:
            raise ValueError(
                "If placement group is not set, the value of bundle index must be -1; "
                f"placement_group_bundle_index is {bundle_index}."
            )
    elif not -1 <= bundle_index < placement_group.bundle_count:
        raise ValueError(
            f"placement group bundle index {bundle_index} is invalid. Valid placement group "
            f"indexes: 0-{placement_group.bundle_count}"
        )


def _checked(
    bundles: Any, strategy: Any, lifetime: Any, target: Any, selectors: Any, topology: Any
) -> dict[str, Any]:
    strategy = _checked_strategy(strategy, topology)
    if target and strategy != "STRICT_PACK":
        raise ValueError(
            f"_soft_target_node_id currently only works with STRICT_PACK but got {strategy}"
        )
    _check_bundles(bundles)
    checked_selectors = _checked_selectors(selectors, len(bundles))
    if lifetime not in (None, "detached"):
        raise ValueError(
            "Placement group `lifetime` argument must be either `None` or 'detached'. "
            f"Got {lifetime}."
        )
    return {
        "bundles": [fixed_resources(bundle) for bundle in bundles],
        "strategy": strategy,
        "detached": lifetime == "detached",
        "selectors": checked_selectors,
    }


def _check_bundles(bundles: Any) -> None:
    if not isinstance(bundles, list):
        raise ValueError(  # noqa: TRY004 - Ray's choice, on which programs rely
            f"Placement group bundles must be a list, got {type(bundles)}."
        )
    example = 'For example: `[{"CPU": 1.0}, {"GPU": 1.0}]`.'
    if not bundles:
        raise ValueError(
            f"Bundles must be a non-empty list of resource dictionaries. {example} Got empty list "
            "instead."
        )
    for bundle in bundles:
        if not isinstance(bundle, dict) or not all(
            isinstance(key, str) and isinstance(amount, (int, float))
            for key, amount in bundle.items()
        ):
            raise ValueError(
                f"Bundles must be a non-empty list of resource dictionaries. {example} Got "
                f"{bundle!r} among them."
            )
        if not all(math.isfinite(amount) and amount >= 0 for amount in bundle.values()):
            raise ValueError(f"The amounts of a bundle must be finite and >= 0. Got {bundle!r}.")
        for key, amount in bundle.items():
            if 0 < amount < 1 / RESOURCE_UNIT:
                raise ValueError(f"The amount {amount} of {key} is below 0.0001: {bundle!r}.")
        if "bundle" in bundle:
            raise RaySystemError(
                "bundle is a system reserved resource, which is not allowed to be used in "
                "placement group."
            )
        if not any(bundle.values()):
            raise ValueError(
                "Bundles cannot be an empty dictionary or resources with only 0 values. "
                f"Bundles: {bundles}"
            )


def _checked_strategy(strategy: str | None, topology: dict[str, str] | None) -> str:
    if topology is not None:
        if strategy is not None:
            raise ValueError("`strategy` and `topology_strategy` cannot both be specified.")
        if set(topology) - {"ray.io/node-id"}:
            raise ValueError(
                f"topology_strategy={topology!r}: expected a dict with the key 'ray.io/node-id' "
                "alone; other labels need several nodes."
            )
        strategy = topology.get("ray.io/node-id")
    chosen: str = "PACK" if strategy is None else strategy
    if chosen not in VALID_PLACEMENT_GROUP_STRATEGIES:
        raise ValueError(
            f"Invalid placement group strategy {chosen}. Supported strategies are: "
            f"{VALID_PLACEMENT_GROUP_STRATEGIES}."
        )
    return chosen


def _checked_selectors(given: Any, count: int) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list):
        raise ValueError(  # noqa: TRY004 - Ray's choice, on which programs rely
            f"Placement group bundle_label_selector must be a list, got {type(given)}."
        )
    if len(given) != count:
        raise ValueError(
            f"Invalid bundle label selector {given}. The length of `bundle_label_selector` should "
            "equal the length of `bundles`."
        )
    selectors = []
    for selector in given:
        if not isinstance(selector, dict) or not all(
            isinstance(key, str) and isinstance(value, str) for key, value in selector.items()
        ):
            raise ValueError(
                f"Bundle label selector must be a list of string dictionaries; got {selector!r}."
            )
        try:
            selectors.append(parse_selector(selector))
        except ValueError as error:
            raise ValueError(
                "Invalid label selector provided in bundle_label_selector list. "
                f"Detailed error: '{error}'"
            ) from None
    return selectors


def remove_placement_group(placement_group: PlacementGroup) -> None:
    """Ends a group: its resources are free again, and tasks and actors in it end.

    A task in it fails with TaskPlacementGroupRemoved, an actor's calls with ActorDiedError.
    Removing a group twice does nothing.
    """
    if not isinstance(placement_group, PlacementGroup):
        raise TypeError(
            f"remove_placement_group() takes a PlacementGroup; got {placement_group!r} of type "
            f"{type(placement_group).__name__}."
        )
    if not placement_group.is_empty:
        _engine().groups.remove(placement_group.id.hex())


def get_placement_group(placement_group_name: str) -> PlacementGroup:
    """The living group of this name.

    Raises:
        ValueError: there is none, or the name is empty.
    """
    if not placement_group_name:
        raise ValueError("Please supply a non-empty value to get_placement_group")
    for found in _engine().info("groups"):
        if found["name"] == placement_group_name and found["state"] != "REMOVED":
            return PlacementGroup(
                PlacementGroupID.from_hex(found["placement_group_id"]), found["bundles"]
            )
    name = shown_name(placement_group_name)
    raise ValueError(f"Failed to look up placement group with name: {name}")


def placement_group_table(placement_group: PlacementGroup | None = None) -> dict[str, Any]:
    """The state of one group as a dict, or of all groups as dicts by their ids.

    The keys are placement_group_id, name, bundles and bundles_to_node_id (both by the bundle's
    index), strategy, state ("PENDING", "CREATED", "RESCHEDULING" or "REMOVED") and stats.
    """
    table = {found["placement_group_id"]: _row(found) for found in _engine().info("groups")}
    if placement_group is None:
        return table
    return table.get(placement_group.id.hex(), {})


def _row(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "placement_group_id": found["placement_group_id"],
        "name": found["name"],
        "bundles": dict(enumerate(found["bundles"])),
        "bundles_to_node_id": dict(enumerate(found["nodes"])),
        "strategy": found["strategy"],
        "state": found["state"],
        "stats": dict(found["stats"]),
    }


def get_current_placement_group() -> PlacementGroup | None:
    """The group that the running task or actor is in; None outside of groups."""
    group_id = _engine().info("context").get("placement_group_id")
    return PlacementGroup(PlacementGroupID.from_hex(group_id)) if group_id else None
