"""The nodes that one node process imitates, for programs that want to see several.

    cluster_utils.Cluster ──add_node, remove_node (door)──▶ node ──RESOURCES──▶ every client

A *virtual* node has an id, labels and resources of its own; the process, its store and its zygote
are shared.  A worker belongs to one of them for life.  The rules stand in ``state.places``.

What a worker stores counts as stored on its node and is lost with it, although the memory is still
there: so that programs see what they would see on another machine.
"""

from __future__ import annotations

import os
import platform as host
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paralab.ids import Address
from paralab.messages import NODE_DIED, OBJECT_LOST, RESOURCES
from paralab.process.node_workers import Process
from paralab.state.pool import Pool
from paralab.state.resources import Resources

if TYPE_CHECKING:
    from paralab.process.node import Node

NODE = {"resources", "labels", "name"}
"""What is said of a node that is to be added; the resources in units of 1e-4."""


class NodeCluster:
    """The virtual nodes, as far as messages are concerned."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._places = node.leases.places
        self._lost: dict[int, list[tuple[Address, int]]] = {}
        """What was stored on removed nodes; it leaves with the last process of the node."""

    def add(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One more node; returns its ``node_id``, or an ``error``."""
        if request.keys() != NODE:
            return {"error": f"add_node takes {sorted(NODE)}, and was given {sorted(request)}"}
        id_ = os.urandom(28).hex()
        labels = {"ray.io/node-id": id_, **request["labels"]}
        self._places.add_node(Resources(request["resources"]), id_, labels, request["name"])
        self._node.leases.nodes_changed()
        self._tell()
        return {"node_id": id_}

    def remove(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ends a node with all its workers; its tasks and actors go elsewhere where they may."""
        node = self._node
        alive = {pool.node.id: pool for pool in self._places.alive[1:]}
        pool = alive.get(request.get("node_id", ""))
        if pool is None:
            return {"error": f"no node of this cluster that could be removed: {dict(request)}"}
        for instruction in node.leases.remove_node(pool):
            node.carry_out(instruction)
        self._tell()
        self._lose(pool.node.number)
        return {}

    def process_died(self, process: Process) -> None:
        """What processes of a node that is gone have stored is gone with them.

        Until they end they may go on storing, and their callers may hear late of what they stored.
        """
        if self.is_gone(process):
            self._lose(process.node)

    def _lose(self, number: int) -> None:
        node = self._node
        lost = [ref for ref in self._lost.pop(number, ()) if node.objects.is_missing(*ref)]
        lost += node.objects.lose_made_at(number)
        is_over = all(process.node != number for process in node.clients.values())
        if not is_over:
            self._lost[number] = lost
        self.tell_lost(lost, is_over)

    def tell_lost(self, refs: list[tuple[Address, int]], is_over: bool = True) -> None:
        """Says that objects are not in the store any more, after ``ObjectTable.lose``.

        Args:
            is_over: whether what has lost them is over, so that they can be made again.
        """
        for address in self._node.clients if refs else ():
            self._node.post(address, (OBJECT_LOST, refs, is_over))

    def _tell(self) -> None:
        node = self._node
        node.undecided = True
        for address in node.clients:
            node.post(address, (RESOURCES, *self.resources()))

    def resources(self) -> tuple[dict[str, int], int]:
        """What all nodes have together, and how many they are."""
        return self._places.total(), len(self._places.alive)

    def id_of(self, process: Process | None) -> str:
        """The node of a process; the first one if it is not known."""
        return self._places.nodes[process.node if process is not None else 0].node.id

    def is_gone(self, process: Process) -> bool:
        """Whether the node of a process was removed."""
        return not self._places.nodes[process.node].node.is_alive

    def death_of(self, process: Process) -> str:
        """What is said of a process whose node is gone; "" if it is there."""
        return f"{NODE_DIED}. Node Id: {self.id_of(process)}." if self.is_gone(process) else ""

    def described(self) -> list[dict[str, Any]]:
        """All nodes that there were, as ``nodes()`` shows them."""
        return [_described(pool) for pool in self._places.nodes]


def _described(pool: Pool) -> dict[str, Any]:
    node, resources = pool.node, pool.resources
    return {
        "NodeID": node.id,
        "Alive": node.is_alive,
        "NodeManagerAddress": "127.0.0.1",
        "NodeManagerHostname": host.node(),
        "NodeManagerPort": 0,
        "ObjectManagerPort": 0,
        "ObjectStoreSocketName": "",
        "RayletSocketName": "",
        "MetricsExportPort": 0,
        "NodeName": node.name,
        "RuntimeEnvAgentPort": 0,
        "DeathReason": 0 if node.is_alive else 1,
        "DeathReasonMessage": "" if node.is_alive else "it was removed from its cluster",
        "alive": node.is_alive,
        "Resources": resources.shown(resources.total) if node.is_alive else {},
        "Labels": dict(node.labels),
    }
