"""Placement groups: bundles of resources that are set aside together, on one node or several.

``place`` decides which bundle goes to which node; it is given what each node has free.  A group
is made as a whole or not at all, so two groups cannot wait for each other half made.

============ ===================== =================================================
state        from                  when
============ ===================== =================================================
PENDING      created               its bundles wait for resources
CREATED      PENDING, RESCHEDULING each bundle is a pool of its own (``state.pool``)
RESCHEDULING CREATED               a node is gone; its bundles wait for another place
REMOVED      any of these          removed by hand, or its owner has died; what was
                                   in it ends
============ ===================== =================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from paralab.ids import Address
from paralab.state.labels import Selector
from paralab.state.pool import Pool
from paralab.state.resources import Amounts
from paralab.task_spec import RESOURCE_UNIT

BUNDLE_UNITS = 1_000 * RESOURCE_UNIT
"""How often a bundle can be used by what needs no resources; shown as ``bundle_group_...``."""
KEPT_REMOVED = 1_000
"""Removed groups that are remembered, so that a late question gets an answer."""


class GroupState(Enum):
    """Where a group is in its life, named as ``placement_group_table`` shows it."""

    PENDING = "PENDING"
    CREATED = "CREATED"
    RESCHEDULING = "RESCHEDULING"
    REMOVED = "REMOVED"


def place(
    bundles: Sequence[Amounts],
    nodes: Sequence[Amounts],
    strategy: str,
    allowed: Callable[[int, int], bool] = lambda bundle, node: True,
) -> list[int] | None:
    """The node of each bundle, or None if this cannot be done now.

    Args:
        bundles: what each needs.
        nodes: what each node has free.
        strategy: PACK (few nodes), SPREAD (many nodes), STRICT_PACK (one node) or STRICT_SPREAD
            (each bundle on a node of its own).
        allowed: whether a bundle may be on a node, both by position.

    PACK and SPREAD take the largest bundle first and do not go back: with several nodes they
    may miss a way to fit, which comes when more is free.
    """
    everything = range(len(bundles))
    if strategy == "STRICT_SPREAD":
        return _match(bundles, nodes, allowed)
    free = [dict(node) for node in nodes]
    if strategy != "SPREAD":
        for node in range(len(nodes)):
            if all(allowed(bundle, node) for bundle in everything):
                if all(_take(free[node], bundles[bundle]) for bundle in everything):
                    return [node] * len(bundles)
                free[node] = dict(nodes[node])
        if strategy == "STRICT_PACK":
            return None
    placed: dict[int, int] = {}
    for bundle in sorted(everything, key=lambda b: -sum(bundles[b].values())):
        fitting = [
            node
            for node in range(len(nodes))
            if allowed(bundle, node) and _fits(free[node], bundles[bundle])
        ]
        if not fitting:
            return None
        count = [list(placed.values()).count(node) for node in range(len(nodes))]
        sign = 1 if strategy == "SPREAD" else -1
        placed[bundle] = min(fitting, key=lambda node: (sign * count[node], node))
        _take(free[placed[bundle]], bundles[bundle])
    return [placed[bundle] for bundle in everything]


def _fits(free: Amounts, amounts: Amounts) -> bool:
    return all(free.get(name, 0) >= amount for name, amount in amounts.items())


def _take(free: dict[str, int], amounts: Amounts) -> bool:
    if not _fits(free, amounts):
        return False
    for name, amount in amounts.items():
        free[name] = free.get(name, 0) - amount
    return True


def _match(
    bundles: Sequence[Amounts], nodes: Sequence[Amounts], allowed: Callable[[int, int], bool]
) -> list[int] | None:
    """A node of its own for each bundle, found by moving earlier ones along augmenting paths."""
    holder: dict[int, int] = {}

    def seat(bundle: int, tried: set[int]) -> bool:
        for node, free in enumerate(nodes):
            if node not in tried and allowed(bundle, node) and _fits(free, bundles[bundle]):
                tried.add(node)
                if node not in holder or seat(holder[node], tried):
                    holder[node] = bundle
                    return True
        return False

    if not all(seat(bundle, set()) for bundle in range(len(bundles))):
        return None
    places = {bundle: node for node, bundle in holder.items()}
    return [places[bundle] for bundle in range(len(bundles))]


@dataclass(slots=True, eq=False)
class Group:
    """One placement group."""

    id: str
    """In hexadecimal digits."""
    bundles: list[dict[str, int]]
    strategy: str
    name: str
    owner: Address | None
    """The process with which it ends; None for a detached group."""
    selectors: list[Selector]
    """For each bundle which labels its node must have; empty if that is all the same."""
    created: int
    """When it was asked for, in ns."""
    state: GroupState = GroupState.PENDING
    pools: list[Pool] = field(default_factory=list)
    """By bundle; one on a node that is gone waits for its successor."""
    nodes: list[str] = field(default_factory=list)
    """The ids of the nodes of its bundles, kept when it is removed."""
    attempts: int = 0
    can_fit: bool = True
    """Whether an idle cluster could take it."""
    latency: int = 0
    """From the question to the pools, in ns."""
    watchers: set[Address] = field(default_factory=set)
    """Processes to be told when it is made or removed."""

    def lacking(self) -> list[int]:
        """Its bundles that are to be placed: all if it is new, or those of a node that is gone."""
        pools = self.pools
        return [at for at in range(len(self.bundles)) if not pools or not pools[at].node.is_alive]

    def total(self) -> dict[str, int]:
        """The sum of the bundles that are to be placed."""
        total: dict[str, int] = {}
        for at in self.lacking():
            for name, amount in self.bundles[at].items():
                total[name] = total.get(name, 0) + amount
        return total

    @property
    def shown(self) -> str:
        """What it is called in messages."""
        return f"The placement group {self.name or self.id} ({self.strategy})"


class GroupTable:
    """All placement groups; a removed one stays for a while, without its pools."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}

    def add(self, group: Group) -> bool:
        """A new group that waits; False if its name is taken."""
        if group.name and self.named(group.name) is not None:
            return False
        self.groups[group.id] = group
        return True

    def named(self, name: str) -> Group | None:
        """The living group of this name."""
        for group in self.groups.values():
            if group.name == name and group.state is not GroupState.REMOVED:
                return group
        return None

    def made(self, group: Group, pools: list[Pool], now: int) -> None:
        """The bundles of a group have their resources."""
        group.state = GroupState.CREATED
        group.pools = pools
        group.nodes = [pool.node.id for pool in pools]
        group.latency = group.latency or now - group.created
        group.attempts += 1

    def removed(self, group: Group) -> list[Pool]:
        """The group is gone; returns the pools that it had."""
        group.state = GroupState.REMOVED
        pools, group.pools = group.pools, []
        gone = [g for g in self.groups.values() if g.state is GroupState.REMOVED]
        for old in gone[:-KEPT_REMOVED]:
            del self.groups[old.id]
        return pools

    def owned_by(self, address: Address) -> list[Group]:
        """Living groups that end with the process at ``address``."""
        return [
            group
            for group in self.groups.values()
            if group.owner == address and group.state is not GroupState.REMOVED
        ]

    def pools_for(self, group_id: str, bundle: int) -> list[Pool] | None:
        """The pools of which a task may use one; empty while the group waits, None if gone."""
        group = self.groups.get(group_id)
        if group is None or group.state is GroupState.REMOVED:
            return None
        pools = group.pools if bundle < 0 else group.pools[bundle : bundle + 1]
        return [pool for pool in pools if pool.node.is_alive]

    def shown(self, used: Mapping[Pool, int]) -> dict[str, int]:
        """What is free in the bundles, by the names that Ray has for it.

        Args:
            used: for each pool how many tasks and actors are in it.
        """
        shown: dict[str, int] = {}
        for group in self.groups.values():
            for index, pool in enumerate(group.pools):
                if not pool.node.is_alive:
                    continue
                marks = BUNDLE_UNITS - used.get(pool, 0) * RESOURCE_UNIT // 1_000
                for name, amount in {**pool.resources.available, "bundle": marks}.items():
                    shown[f"{name}_group_{index}_{group.id}"] = amount
                    whole = f"{name}_group_{group.id}"
                    shown[whole] = shown.get(whole, 0) + amount
        return shown

    def table(self) -> list[dict[str, Any]]:
        """What ``placement_group_table`` shows of each group."""
        return [_described(group) for group in self.groups.values()]


def _described(group: Group) -> dict[str, Any]:
    latency = group.latency / 1e6
    scheduling = {GroupState.CREATED: "FINISHED", GroupState.REMOVED: "REMOVED"}.get(
        group.state, "QUEUED" if group.can_fit else "INFEASIBLE"
    )
    return {
        "placement_group_id": group.id,
        "name": group.name,
        "bundles": [
            {name: amount / RESOURCE_UNIT for name, amount in bundle.items()}
            for bundle in group.bundles
        ],
        "nodes": group.nodes or [""] * len(group.bundles),
        "strategy": group.strategy,
        "lifetime": "detached" if group.owner is None else None,
        "state": group.state.value,
        "stats": {
            "end_to_end_creation_latency_ms": latency,
            "scheduling_latency_ms": latency,
            "scheduling_attempt": group.attempts,
            "highest_retry_delay_ms": 0.0,
            "scheduling_state": scheduling,
        },
    }
