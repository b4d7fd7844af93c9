"""Where a request may take its resources: the node's pool, or the bundles of its group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from paralab.ids import Address
from paralab.state.accelerators import Accelerators
from paralab.state.labels import first_that_holds, holds
from paralab.state.lease_instructions import (
    EndWorker,
    GroupEnded,
    GroupMade,
    Instruction,
    Unplaceable,
)
from paralab.state.lease_parts import Request, Worker
from paralab.state.placement import Group, GroupTable, place
from paralab.state.pool import Pool
from paralab.state.resources import Resources


class Places:
    """The pools of one node, and the names by which requests mean them."""

    def __init__(self, resources: Resources, node_id: str, labels: Mapping[str, str]) -> None:
        self.node = Pool(resources, Accelerators(resources.total.get("GPU", 0) // 10_000))
        self.groups = GroupTable()
        self._node_id = node_id
        self._labels = labels

    def pools(self, request: Request) -> list[Pool] | None:
        """What the request may take from: any one; none while its group waits; None: no place."""
        where = request.where
        if where is None:
            return [self.node]
        if where.group:
            return self.groups.pools_for(where.group, where.bundle)
        is_elsewhere = where.node not in ("", self._node_id)
        cannot = where.node and not self.node.resources.feasible(request.resources)
        return None if (is_elsewhere or cannot) and not where.is_soft else [self.node]

    def feasible(self, request: Request, pools: list[Pool]) -> bool:
        """Whether the request could be met if everything were idle."""
        if request.makes is not None:
            return request.makes.can_fit
        if request.where is not None:
            if not first_that_holds(request.where.selectors, self._labels):
                return False
        return any(
            pool.resources.feasible(request.resources) and pool.resources.feasible(request.held)
            for pool in pools
        )

    def in_words(self, request: Request) -> str:
        """What a request asks for besides resources."""
        group = request.makes
        if group is not None:
            selected = any(group.selectors)
            spread = group.strategy == "STRICT_SPREAD" and len(group.bundles) > 1
            words = f" on {len(group.bundles)} different nodes" if spread else ""
        else:
            selected = request.where is not None and bool(request.where.selectors)
            words = ""
        return words + (f", with labels other than {dict(self._labels)}" if selected else "")

    def unplaceable(self, request: Request) -> Unplaceable:
        """What to say of a request without a place."""
        in_group = request.where is not None and bool(request.where.group)
        number, actor = request.class_number, request.actor
        return Unplaceable(request.client, number, actor, request.name, in_group)

    def group_request(
        self, group: Group, client: Address, depth: int, name: str, order: int
    ) -> Request | None:
        """A new group as a request; None if its name is taken."""
        if not self.groups.add(group):
            return None

        def allowed(bundle: int, _node: int) -> bool:
            return not group.selectors or holds(group.selectors[bundle], self._labels)

        nodes = [self.node.resources.total]
        group.can_fit = place(group.bundles, nodes, group.strategy, allowed) is not None
        return Request(client, group.total(), depth, name, order, makes=group)

    def make(self, group: Group, now: int) -> GroupMade | None:
        """Cuts the bundles of a group out of the node's pool, if that is possible now."""
        pools = self.node.cut(group.bundles)
        if pools is None:
            return None
        self.groups.made(group, pools, now)
        return GroupMade(group)

    def end_group(self, group: Group, workers: Iterable[Worker]) -> list[Instruction]:
        """Removes a group: what is free in it is free at once, the rest with its workers' end."""
        pools = self.groups.removed(group)
        for pool in pools:
            self.node.absorb(pool)
        instructions: list[Instruction] = [GroupEnded(group)]
        for worker in workers:
            if worker.pool in pools:
                worker.pool = self.node
                instructions.append(EndWorker(worker.address))
        return instructions
