"""The node's actors: who has which process, who is told, and what happens when one ends.

    creator ──KEEP_ACTOR, CREATE_ACTOR, CONSTRUCTOR──▶ node ──CONSTRUCT──▶ process of a kept actor
    anybody ──FIND_ACTOR, NAMED_ACTOR──▶ node ──ACTOR_AT, ACTOR_RESTARTS, ACTOR_DEAD──▶ who asked

The rules stand in ``state.directory`` and ``state.restarts``.  An actor that is not kept gets its
constructor call from its creator directly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paralab.ids import FIRST_RETURN, Address
from paralab.messages import (
    ACTOR_AT,
    ACTOR_DEAD,
    ACTOR_EXIT,
    ACTOR_RESTARTS,
    ANSWER,
    CONSTRUCT,
    CONSTRUCTOR,
    CREATE_ACTOR,
    DROP_ACTOR,
    FIND_ACTOR,
    KEEP_ACTOR,
    KILL_ACTOR,
    NAMED_ACTOR,
    NODE_DIED,
)
from paralab.process.node_workers import Process
from paralab.state.directory import ActorDirectory, ActorRecord
from paralab.state.ownership import Ref
from paralab.task_spec import Where

if TYPE_CHECKING:
    from paralab.process.node import Node

KILLED = "The actor is dead because it was killed by `paralab.kill`."


class NodeActors:
    """The actor part of the node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._leases = node.leases
        self.directory = ActorDirectory()
        self.handlers: dict[int, Callable[..., None]] = {
            CREATE_ACTOR: self._create,
            KEEP_ACTOR: self._keep,
            CONSTRUCTOR: self._constructor,
            FIND_ACTOR: self._find,
            NAMED_ACTOR: self._named,
            KILL_ACTOR: self._kill,
            DROP_ACTOR: self._drop,
            ACTOR_EXIT: self._exit,
        }

    # -- what happens to them ----------------------------------------------------------------

    def placed(self, ref: Ref, worker: Address, devices: tuple[int, ...]) -> None:
        """The actor has a process."""
        record = self.directory.placed(ref, worker)
        record.pid = self._node.clients[worker].pid
        if record.constructor is not None:
            self._construct(record)
        for asker in list(record.askers):
            self._tell_place(record, asker, devices)

    def process_died(self, address: Address, how: str) -> None:
        """A client is gone: the actor that it was, and those that it had created."""
        record = self.directory.by_worker.get(address)
        if record is not None:
            if self.directory.lost(record):
                owner, key = record.ref
                has_begun = self._node.board.begun(address, owner) != key + FIRST_RETURN
                self._restart(record, how, has_begun)
            else:
                died = f"The actor is dead because its worker process has died. {how}"
                if how.startswith(NODE_DIED):
                    died = f"The actor died because {how}"
                record.cause = record.cause or self._node.memory.failure(address)
                self._ended(record.ref, KILLED if record.waiting else died)
        for orphan in self.directory.process_died(address):
            self.end(orphan, f"The actor is dead because its owner has died. {how}")

    def _restart(self, record: ActorRecord, how: str, has_begun: bool) -> None:
        self._want(record)
        for asker in record.askers:
            self._node.post(asker, (ACTOR_RESTARTS, record.ref, how, has_begun))
        self._answer_killers(record)

    def _want(self, record: ActorRecord) -> None:
        # The request of an actor that outlives its creator is nobody's.
        client = b"" if record.detached else record.ref[0]
        self._leases.want_actor(client, record.ref, *record.request)
        self._node.undecided = True

    def _construct(self, record: ActorRecord) -> None:
        assert record.worker is not None
        assert record.constructor is not None
        worker = self._leases.workers[record.worker]
        facts: dict[str, Any] = {"actor_name": record.given_name, "restarts": record.restarts.count}
        if worker.where is not None:
            facts["where"] = tuple(worker.where)
        given = (worker.resources, list(worker.devices), worker.depth, facts)
        message = (CONSTRUCT, record.ref[0], *record.constructor, *given)
        self._node.post(record.worker, message)

    def end_before(self, ref: Ref, cause: bytes, why: str) -> None:
        """The actor can have no process: it ends with the reason as its callers' error."""
        record = self.directory.records.get(ref)
        if record is not None:
            record.cause = cause
            self._ended(ref, why)

    def end(self, record: ActorRecord, why: str) -> None:
        """Kills an actor's process, or takes its request back."""
        if record.dead:
            return
        worker = record.worker
        self._leases.drop_actor(record.ref)
        if worker is not None:  # first: who hears of the end finds nobody that still answers
            self._node.pool.kill(worker)
        self._ended(record.ref, why)

    def _ended(self, ref: Ref, why: str) -> None:
        """Tells everyone who asked that an actor has ended."""
        record = self.directory.ended(ref, why)
        if record is not None:
            for asker in record.askers:
                self._node.post(asker, (ACTOR_DEAD, ref, record.cause, record.text))
            self._answer_killers(record)

    def _answer_killers(self, record: ActorRecord) -> None:
        for asker, number in record.waiting:
            self._node.post(asker, (ANSWER, number, None))
        record.waiting.clear()

    def _tell_place(
        self, record: ActorRecord, asker: Address, devices: tuple[int, ...] = ()
    ) -> None:
        """Tells ``asker`` in which process the actor is, or that it has ended."""
        node = self._node
        if record.dead:
            node.post(asker, (ACTOR_DEAD, record.ref, record.cause, record.text))
        elif record.worker is not None and node.introduce(asker, record.worker):
            worker = self._leases.workers.get(record.worker)
            held = worker.resources if worker is not None else {}
            retries = record.max_task_retries
            node.post(asker, (ACTOR_AT, record.ref, record.worker, held, list(devices), retries))

    # -- messages ----------------------------------------------------------------------------

    def _create(
        self,
        process: Process,
        _kind: int,
        key: int,
        name: str,
        placing: dict[str, int],
        held: dict[str, int],
        depth: int,
        where: Any,
        environment: str,
    ) -> None:
        request = (placing, held, depth, name, Where(*where) if where else None, environment)
        self._want(self.directory.create((process.address, key), name, request))

    def _keep(
        self, process: Process, _kind: int, number: int, key: int, facts: dict[str, Any]
    ) -> None:
        answer = self.directory.keep((process.address, key), facts)
        if number:
            self._node.post(process.address, (ANSWER, number, answer))

    def _constructor(self, _process: Process, _kind: int, ref: Any, *constructor: Any) -> None:
        record = self.directory.records.get(tuple(ref))
        if record is not None and not record.dead:
            record.constructor = constructor
            if record.worker is not None:
                self._construct(record)

    def _find(self, process: Process, _kind: int, ref: Any) -> None:
        self._tell_place(self.directory.find(tuple(ref), process.address), process.address)

    def _named(self, process: Process, _kind: int, number: int, namespace: str, name: str) -> None:
        record = self.directory.names.get((namespace, name))
        answer = None if record is None else (record.ref, record.handle_state)
        self._node.post(process.address, (ANSWER, number, answer))

    def _kill(self, process: Process, _kind: int, number: int, ref: Any, no_restart: bool) -> None:
        record = self.directory.records.get(tuple(ref))
        if record is not None:
            record.askers.add(process.address)
            if no_restart or record.dead:
                self.end(record, KILLED)
            elif record.worker is not None:  # the answer comes once its process is gone
                record.waiting.append((process.address, number))
                self._node.pool.kill(record.worker)
                return
            elif not self.directory.lost(record):
                self.end(record, KILLED)
        self._node.post(process.address, (ANSWER, number, None))

    def _drop(
        self, _process: Process, _kind: int, ref: Any, cause: bytes | None, told: Address | None
    ) -> None:
        record = self.directory.records.get(tuple(ref))
        if record is None:
            return
        record.restarts.final = True
        record.cause = record.cause or cause
        # Who has been told to end after its calls does; its successor knows nothing of that.
        if told is None or record.worker != told:
            self.end(record, "The actor ended because its last handle is gone.")

    def _exit(self, process: Process, _kind: int, cause: bytes | None) -> None:
        record = self.directory.by_worker.get(process.address)
        if record is not None:
            record.cause = cause
