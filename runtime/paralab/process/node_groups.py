"""The node's placement groups and its answer to what is free: messages in, messages out."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from paralab.ids import Address
from paralab.messages import ANSWER, GROUP_REMOVED, GROUP_STATE, REFUSED, TIDY
from paralab.process.node_workers import Process
from paralab.state.labels import Selector
from paralab.state.lease_instructions import Unplaceable
from paralab.state.placement import Group, GroupState

if TYPE_CHECKING:
    from paralab.process.node import Node


TIDY_NS = 500_000_000
"""How long a client may take to give back the leases that it does not use."""


class NodeGroups:
    """Placement groups, as far as messages are concerned; the rules are in ``state.places``."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._leases = node.leases
        self._tidying: dict[int, tuple[Address, int, set[Address], int]] = {}
        """Questions about free resources: who asks, its number, and whose leases are awaited."""
        self._questions = 0

    def create(
        self, process: Process, _kind: int, number: int, group_id: str, wish: Any, depth: int
    ) -> None:
        """A client wants a group."""
        node = self._node
        selectors: list[Selector] = wish["selectors"]
        owner = None if wish["detached"] else self._owner(process.address)
        name = wish["name"]
        group = Group(
            *(group_id, wish["bundles"], wish["strategy"], name, owner, selectors),
            created=time.monotonic_ns(),
        )
        answer = None
        if not self._leases.want_group(group, process.address, depth):
            answer = (
                f"Failed to create placement group '{group_id}' because name '{name}' already "
                "exists."
            )
        node.post(process.address, (ANSWER, number, answer))
        node.undecided = True

    def _owner(self, creator: Address) -> Address:
        """With whom a group ends: its driver, or the actor that outlives its driver."""
        record = self._node.directory.by_worker.get(creator)
        is_detached = record is not None and record.detached
        return creator if is_detached else self._node.drivers.of(creator) or creator

    def change(self, process: Process, _kind: int, number: int, group_id: str, what: str) -> None:
        """A client wants to know when a group is made, or wants it removed."""
        group = self._leases.groups.groups.get(group_id)
        if what == "remove":
            if group is not None and group.state is not GroupState.REMOVED:
                self.remove(group)
            self._node.post(process.address, (ANSWER, number, None))
        elif group is None or group.state in (GroupState.CREATED, GroupState.REMOVED):
            is_made = group is not None and group.state is GroupState.CREATED
            self._node.post(process.address, (GROUP_STATE, group_id, is_made))
        else:
            group.watchers.add(process.address)

    def remove(self, group: Group) -> None:
        """Ends a group, the actors in it with their reason."""
        node = self._node
        for worker in self._leases.workers.values():
            if worker.actor is not None and worker.pool in group.pools:
                record = node.directory.records.get(worker.actor)
                if record is not None:
                    text = "The actor is dead because its placement group was removed."
                    node.actors.end(record, text)
        for instruction in self._leases.remove_group(group):
            node.carry_out(instruction)
        node.undecided = True

    def death_of(self, process: Process) -> str:
        """What is said of a worker that was ended with its group; "" of another."""
        worker = self._leases.workers.get(process.address)
        where = worker.where if worker is not None else None
        group = self._leases.groups.groups.get(where.group) if where is not None else None
        if group is None or group.state is not GroupState.REMOVED:
            return ""
        return f"{GROUP_REMOVED}. Its id: {group.id}."

    def tell(self, group: Group) -> None:
        """The state of a group has changed: tells those who wait for that."""
        is_made = group.state is GroupState.CREATED
        for watcher in group.watchers:
            self._node.post(watcher, (GROUP_STATE, group.id, is_made))
        group.watchers.clear()
        self._node.undecided = True  # what is for this group can go on, or never can

    def refuse(self, instruction: Unplaceable) -> None:
        """A task or actor is for a group or node that is not there."""
        # Imported here because it is rarely needed and makes the node's start longer.
        from paralab import exceptions
        from paralab.remote_errors import pack_failure

        node = self._node
        error: Exception
        why = (
            "The node specified via NodeAffinitySchedulingStrategy doesn't exist any more or is "
            f"infeasible, and soft=False was specified. name={instruction.name}"
        )
        if instruction.actor is not None:
            error = exceptions.ActorUnschedulableError(why)
            if instruction.in_group:
                error = exceptions.ActorPlacementGroupRemoved()
        else:
            error = exceptions.TaskUnschedulableError(why)
            if instruction.in_group:
                error = exceptions.TaskPlacementGroupRemoved()
        failure = pack_failure(error, function="", pid=os.getpid(), node=node.node_id.hex())
        if instruction.actor is None:
            node.post(instruction.client, (REFUSED, instruction.class_number, failure))
            return
        record = node.directory.records.get(instruction.actor)
        if record is not None:
            record.cause = failure
            node.actors.end(record, str(error))

    # -- what is free ------------------------------------------------------------------------

    def ask_available(self, process: Process, number: int) -> None:
        """Somebody wants to know what is free: leases without work come back first."""
        workers = self._leases.workers.values()
        # Workers of a client that has ended are about to: nobody will speak for them.
        holders = {w.holder for w in workers if w.holder and w.holder in self._node.clients}
        self._questions += 1
        now = time.monotonic_ns()
        self._tidying[self._questions] = (process.address, number, holders, now)
        for holder in holders:
            self._node.post(holder, (TIDY, self._questions))
        self._answer(self._questions)

    def tidied(self, process: Process, _kind: int, question: int) -> None:
        """A client has returned its leases without work."""
        waiting = self._tidying.get(question)
        if waiting is not None:
            waiting[2].discard(process.address)
            self._answer(question)

    def process_died(self, address: Address) -> None:
        """A client is gone: nobody waits for its words, and its groups end with it."""
        for question, waiting in list(self._tidying.items()):
            waiting[2].discard(address)
            self._answer(question)
        for group in self._leases.groups.owned_by(address):
            self.remove(group)

    def _answer(self, question: int) -> None:
        asker, number, awaited, _since = self._tidying[question]
        if not awaited:
            del self._tidying[question]
            self._node.post(asker, (ANSWER, number, self.available()))

    @property
    def awaits(self) -> bool:
        """Whether somebody waits to be told what is free."""
        return bool(self._tidying)

    def hurry(self, now: int) -> None:
        """Answers without those who have not spoken in time: one may be stopped, or busy in C."""
        for question, (_asker, _number, awaited, since) in list(self._tidying.items()):
            if now - since > TIDY_NS:
                awaited.clear()
                self._answer(question)

    def available(self) -> dict[str, float]:
        """What is free, in the node's own pool and in the bundles of groups."""
        used: dict[Any, int] = {}
        for worker in self._leases.workers.values():
            if worker.pool is not None:
                used[worker.pool] = used.get(worker.pool, 0) + 1
        resources = self._leases.resources
        return resources.shown(
            {**self._leases.places.available(), **self._leases.groups.shown(used)}
        )
