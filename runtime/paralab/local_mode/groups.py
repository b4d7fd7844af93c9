"""Placement groups of the engine that runs everything in the calling process.

A group is made at once where it fits.  One that does not fit waits until another is removed;
nothing else could help, so a wait for it ends at once.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from paralab.exceptions import (
    ActorPlacementGroupRemoved,
    ActorUnschedulableError,
    SystemFailure,
    TaskPlacementGroupRemoved,
    TaskUnschedulableError,
)
from paralab.object_ref import ObjectRef
from paralab.state.labels import first_that_holds
from paralab.state.placement import Group, GroupState
from paralab.state.places import Places
from paralab.state.resources import Resources
from paralab.task_spec import ActorOptions, TaskOptions, Where, fixed_resources


class LocalGroups:
    """See :class:`paralab.engine.Groups`."""

    def __init__(
        self,
        capacity: dict[str, float],
        node: str,
        labels: dict[str, str],
        settled: Callable[[Any, BaseException | None], ObjectRef],
    ) -> None:
        self._places = Places(Resources(fixed_resources(capacity)), node, labels)
        self._node = node
        self._labels = labels
        self._settled = settled
        self._waiting: list[Group] = []

    def create(self, group_id: str, wish: dict[str, Any]) -> None:
        """See :class:`paralab.engine.Groups`."""
        name, bundles = wish["name"], wish["bundles"]
        group = Group(
            *(group_id, bundles, wish["strategy"], name, None, wish["selectors"]),
            created=monotonic_ns(),
        )
        if not self._places.groups.add(group):
            raise SystemFailure(
                f"Failed to create placement group '{group_id}' because name '{name}' already "
                "exists."
            )
        self._places.look_again(group)
        self._waiting.append(group)
        self._make()

    def _make(self) -> None:
        now = monotonic_ns()
        self._waiting = [
            group
            for group in self._waiting
            if not group.can_fit or self._places.make(group, now) is None
        ]

    def remove(self, group_id: str) -> None:
        """See :class:`paralab.engine.Groups`."""
        group = self._places.groups.groups.get(group_id)
        if group is not None and group.state is not GroupState.REMOVED:
            if group in self._waiting:
                self._waiting.remove(group)
            self._places.end_group(group, ())
            self._make()

    def ready(self, group_id: str, value: Any) -> ObjectRef:
        """See :class:`paralab.engine.Groups`."""
        return self._settled(value, self.failure(Where(group_id)))

    def place_of(
        self, options: TaskOptions | ActorOptions, running: list[dict[str, Any]]
    ) -> Where | None:
        """Where a task or actor runs that is started in the innermost of ``running``."""
        where = options.where
        if where is None and options.inherits and running:
            parents: Where | None = running[-1]["where"]
            if parents is not None and parents.captures:
                return Where(parents.group, -1, True)
        return where

    def failure(self, where: Where, is_actor: bool = False) -> BaseException | None:
        """Why nothing can run there; None if it can."""
        group = self._places.groups.groups.get(where.group)
        why = None
        if where.group and (group is None or group.state is GroupState.REMOVED):
            return ActorPlacementGroupRemoved() if is_actor else TaskPlacementGroupRemoved()
        if group is not None and group.state is GroupState.PENDING:
            why = (
                "Its placement group does not fit beside the others, and in local_mode there is "
                "nothing that could be waited for."
            )
        elif where.node not in ("", self._node) and not where.is_soft:
            why = (
                "The node specified via NodeAffinitySchedulingStrategy doesn't exist any more or "
                "is infeasible, and soft=False was specified."
            )
        elif not first_that_holds(where.selectors, self._labels):
            why = f"No node has the labels that are asked for; this one has {self._labels}."
        if why is None:
            return None
        return ActorUnschedulableError(why) if is_actor else TaskUnschedulableError(why)

    def table(self) -> list[dict[str, Any]]:
        """What ``info("groups")`` tells."""
        return self._places.groups.table()

    def available(self, running: list[dict[str, Any]]) -> dict[str, float]:
        """What is free outside of groups and in them, told as if only the innermost task ran."""
        node = self._places.node.resources
        groups = self._places.groups
        pool, taken = None, {}
        if running:
            where, taken = running[-1]["where"], running[-1]["resources"]
            pools = groups.pools_for(where.group, where.bundle) if where and where.group else None
            pool = next(iter(pools), None) if pools else self._places.node
        if pool is not None:
            pool.resources.take(taken)
        free = node.shown({**node.available, **groups.shown({} if pool is None else {pool: 1})})
        if pool is not None:
            pool.resources.give(taken)
        return free
