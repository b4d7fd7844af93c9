"""Where a request may take its resources: the pool of a node, or the bundles of its group.

There is one node, unless ``cluster_utils.Cluster`` has added others: *virtual* ones, which share
the node process and its store, and have ids, labels and resources of their own.  What may run
anywhere goes to its caller's own node if that has room, else to the one with the most CPUs
free; what is to be spread takes the nodes in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
from paralab.state.pool import Pool, VirtualNode
from paralab.state.resources import Amounts, Resources


class Places:
    """The pools of the nodes, and the names by which requests mean them."""

    def __init__(self, resources: Resources, node_id: str, labels: Mapping[str, str]) -> None:
        self.groups = GroupTable()
        self.nodes: list[Pool] = []
        """The pools of all nodes that there were, by number."""
        self.alive: list[Pool] = []
        self.turn = 0
        """The number of the node at which what is to be spread goes on."""
        self.node = self.add_node(resources, node_id, labels, "127.0.0.1")

    def add_node(
        self, resources: Resources, node_id: str, labels: Mapping[str, str], name: str
    ) -> Pool:
        """One more node."""
        devices = Accelerators(resources.total.get("GPU", 0) // 10_000)
        pool = Pool(resources, devices, VirtualNode(node_id, labels, name, len(self.nodes)))
        self.nodes.append(pool)
        self.alive = [*self.alive, pool]
        return pool

    def remove_node(self, pool: Pool) -> list[Group]:
        """A node is gone; returns the groups that have lost bundles with it."""
        pool.node.is_alive = False
        self.alive = [each for each in self.alive if each is not pool]
        return [
            group
            for group in self.groups.groups.values()
            if any(each.node is pool.node for each in group.pools)
        ]

    def total(self) -> dict[str, int]:
        """What all nodes have together."""
        return _sum(pool.resources.total for pool in self.alive)

    def available(self) -> dict[str, int]:
        """What of it is free outside of groups."""
        return _sum(pool.resources.available for pool in self.alive)

    def pools(self, request: Request) -> list[Pool] | None:
        """What the request may take from: any one; none while its group waits; None: no place."""
        where = request.where
        if where is None:
            return self.alive
        if where.group:
            return self.groups.pools_for(where.group, where.bundle)
        able = [pool for pool in self.alive if pool.resources.feasible(request.resources)]
        if where.node:
            named = [pool for pool in able if pool.node.id == where.node]
            if named or not where.is_soft:
                return named or None
        for selector in where.selectors:
            labelled = [pool for pool in able if holds(selector, pool.node.labels)]
            if labelled:
                return labelled
        return self.alive

    def choose(
        self, request: Request, pools: list[Pool], caller: Worker | None, promised: list[Pool]
    ) -> Pool | None:
        """The pool that is to meet a request; None if none has room.

        Args:
            pools: from which it may take.
            caller: the worker that asks, None for a driver.
            promised: pools that this round has promised something of.
        """
        fitting = [pool for pool in pools if pool.fits(request.resources)]
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        where = request.where
        if where is not None and where.spreads:
            turn, count = self.turn, len(self.nodes)
            return min(fitting, key=lambda p: (promised.count(p), (p.node.number - turn) % count))
        if where is not None and where.group:
            return fitting[0]
        home = caller.node if caller is not None else 0
        return min(fitting, key=lambda p: (p.node.number != home, -p.unpromised().get("CPU", 0)))

    def feasible(self, request: Request, pools: list[Pool]) -> bool:
        """Whether the request could be met if everything were idle."""
        if request.makes is not None:
            return request.makes.can_fit
        selectors = () if request.where is None else request.where.selectors
        return any(
            pool.resources.feasible(request.resources)
            and pool.resources.feasible(request.held)
            and first_that_holds(selectors, pool.node.labels)
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
        labels = " or ".join(str(dict(pool.node.labels)) for pool in self.alive)
        return words + (f", with labels other than {labels}" if selected else "")

    def unplaceable(self, request: Request) -> Unplaceable:
        """What to say of a request without a place."""
        in_group = request.where is not None and bool(request.where.group)
        number, actor = request.class_number, request.actor
        return Unplaceable(request.client, number, actor, request.name, in_group)

    def group_request(self, group: Group, client: Address, depth: int, order: int) -> Request:
        """The bundles of a group that are to be placed, as a request."""
        self.look_again(group)
        return Request(client, group.total(), depth, group.shown, order, makes=group)

    def look_again(self, group: Group) -> None:
        """Whether an idle cluster could take it may have changed."""
        totals = [pool.resources.total for pool in self.alive]
        group.can_fit = self._place(group, group.lacking(), totals) is not None

    def _place(
        self, group: Group, lacking: list[int], nodes: Sequence[Amounts]
    ) -> list[int] | None:
        taken: set[VirtualNode] = set()
        if group.strategy == "STRICT_SPREAD":
            taken = {pool.node for pool in group.pools if pool.node.is_alive}

        def allowed(bundle: int, at: int) -> bool:
            node = self.alive[at].node
            selectors = group.selectors
            fits = not selectors or holds(selectors[lacking[bundle]], node.labels)
            return fits and node not in taken

        return place([group.bundles[at] for at in lacking], nodes, group.strategy, allowed)

    def make(self, group: Group, now: int) -> GroupMade | None:
        """Cuts the bundles of a group out of the nodes' pools, if that is possible now."""
        lacking = group.lacking()
        found = self._place(group, lacking, [pool.unpromised() for pool in self.alive])
        pools = list(group.pools) or [self.node] * len(group.bundles)
        for done, bundle in enumerate(lacking):
            pool = self.alive[found[done]].cut(group.bundles[bundle]) if found else None
            if pool is None:  # its GPUs are free in pieces only
                for at in lacking[:done]:
                    self.nodes[pools[at].node.number].absorb(pools[at])
                return None
            pools[bundle] = pool
        self.groups.made(group, pools, now)
        return GroupMade(group)

    def end_group(self, group: Group, workers: Iterable[Worker]) -> list[Instruction]:
        """Removes a group: what is free in it is free at once, the rest with its workers' end."""
        pools = self.groups.removed(group)
        for pool in pools:
            self.nodes[pool.node.number].absorb(pool)
        instructions: list[Instruction] = [GroupEnded(group)]
        for worker in workers:
            if worker.pool in pools:
                worker.pool = self.nodes[worker.node]
                instructions.append(EndWorker(worker.address))
        return instructions


def _sum(parts: Iterable[Amounts]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, 0) + amount
    return total
