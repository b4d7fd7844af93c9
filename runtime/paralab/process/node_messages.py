"""What the node does with each message of its clients."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paralab.exceptions import ProcessLimitError
from paralab.ids import Address
from paralab.messages import (
    ANSWER,
    ASK,
    BLOCKED,
    CONNECT,
    CREATE_GROUP,
    DIED,
    END_RUNNING,
    ENVIRONMENT,
    ENVIRONMENT_FAILED,
    GROUP,
    KEY_VALUES,
    READY,
    RELAY_PRINT,
    RESTART,
    RETIRING,
    RETURN_LEASE,
    RUNNING,
    SPENT,
    STOP,
    SURROUND,
    SURVEY,
    TELL,
    TIDIED,
    TOLD,
    UNBLOCKED,
    WANT_LEASE,
)
from paralab.process.node_workers import Process
from paralab.shown_text import shown_name
from paralab.state.directory import ActorRecord
from paralab.state.key_values import KeyValues
from paralab.state.restarts import Life
from paralab.task_spec import Where

if TYPE_CHECKING:
    from paralab.process.node import Node


class NodeMessages:
    """The node's message handlers."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._leases = node.leases
        self._key_values = KeyValues()
        self.handlers: dict[int, Callable[..., None]] = {
            WANT_LEASE: self._want_lease,
            RETURN_LEASE: self._return_lease,
            BLOCKED: self._blocked,
            UNBLOCKED: self._unblocked,
            CONNECT: self._connect,
            ASK: self._ask,
            RESTART: self._restart,
            STOP: self._stop,
            READY: self._ready,
            RELAY_PRINT: self._relay_print,
            RETIRING: self._retiring,
            SPENT: self._spent,
            END_RUNNING: lambda owner, _kind, *task: node.pool.end_running(owner.address, *task),
            SURVEY: self._survey,
            TOLD: self._told,
            RUNNING: node.memory.on_running,
            KEY_VALUES: self._ask_key_values,
            **node.actors.handlers,
            **node.store.handlers,
            CREATE_GROUP: node.groups.create,
            GROUP: node.groups.change,
            TIDIED: node.groups.tidied,
            SURROUND: lambda driver, _kind, *here: node.drivers.moved(driver, *here),
            ENVIRONMENT: lambda client, _kind, *named: node.environments.add(client, *named),
            ENVIRONMENT_FAILED: lambda client, _kind, *how: node.environments.bad(client, *how),
        }

    # -- leases ------------------------------------------------------------------------------

    def _want_lease(
        self,
        process: Process,
        _kind: int,
        number: int,
        resources: dict[str, int],
        count: int,
        depth: int,
        name: str,
        where: Any,
        environment: str,
    ) -> None:
        place = Where(*where) if where else None
        wanted = (number, resources, count, depth, name, place, environment)
        self._leases.want(process.address, *wanted)
        self._node.undecided = True

    def _return_lease(self, process: Process, _kind: int, address: Address) -> None:
        now = time.monotonic_ns()
        for instruction in self._leases.returned(process.address, address, now):
            self._node.carry_out(instruction)
        self._node.undecided = True

    def _blocked(self, process: Process, _kind: int) -> None:
        self._leases.blocked(process.address)
        self._node.undecided = True

    def _unblocked(self, process: Process, _kind: int) -> None:
        self._leases.unblocked(process.address)

    def _ready(self, process: Process, _kind: int, pid: int) -> None:
        self._node.pool.ready(process, pid)
        if len(self._leases.workers) == 1:  # there will be work; until now starting came first
            self._node.allocated()

    def _retiring(self, process: Process, _kind: int, goes: bool) -> None:
        if goes:
            self._node.memory.farewells.add(process.address)
            return
        self._leases.worker_ready(process.address, time.monotonic_ns())
        self._node.undecided = True

    def _spent(self, process: Process, _kind: int) -> None:
        for instruction in self._leases.outdate(process.address):
            self._node.carry_out(instruction)
        self._node.undecided = True

    def _restart(self, process: Process, _kind: int, number: int) -> None:
        for instruction in self._leases.restart():
            self._node.carry_out(instruction)
        self._node.post(process.address, (ANSWER, number, None))
        self._node.undecided = True

    def _stop(self, process: Process, _kind: int) -> None:
        self._node.drivers.left(process)

    def refusal(self, chain: tuple[str, ...], processes: int) -> bytes:
        """The error for tasks that would need a process too many, packed."""
        # Imported here because it is rarely needed and makes the node's start a tenth longer.
        from paralab.remote_errors import pack_failure

        shown = list(chain)
        if len(shown) > 12:
            shown[6:-5] = [f"... {len(chain) - 11} more ..."]
        error = ProcessLimitError(
            f"{processes} worker processes are in use, most of them for tasks that wait for "
            f"other tasks: {' → '.join(shown)}."
        )
        node = self._node.node_id.hex()
        return pack_failure(error, function=chain[-1], pid=os.getpid(), node=node)

    def unmet(self, name: str, resources: dict[str, float], place: str) -> str:
        """What to say of a request that nothing here can ever meet."""
        total = self._leases.resources.shown(self._leases.places.total())
        return (
            f"paralab: {name} asks for {shown_name(str(resources))}{place}, which this cluster can "
            f"never give: it has {total} in all. It waits until such resources appear; change its "
            "options, or give init() more."
        )

    # -- introductions -----------------------------------------------------------------------

    def _connect(self, process: Process, _kind: int, address: Address, again: bool = False) -> None:
        if again:  # their socket is broken
            process.peers.discard(address)
        if not self._node.introduce(process.address, address):
            self._node.post(process.address, (DIED, address, "It ended some time ago."))

    # -- facts and prints --------------------------------------------------------------------

    def _relay_print(self, process: Process, _kind: int, *printed: Any) -> None:
        self._node.drivers.show(process, *printed)

    def _ask(self, process: Process, _kind: int, number: int, what: str) -> None:
        resources = self._leases.resources
        answer: Any
        match what:
            case "cluster_resources":
                answer = resources.shown(self._leases.places.total())
            case "available_resources":
                self._node.groups.ask_available(process, number)
                return
            case "groups":
                answer = self._leases.groups.table()
            case "nodes":
                answer = self._node.cluster.described()
            case "workers":
                answer = self._workers()
            case "actors":
                answer = [self._actor(each) for each in self._node.directory.records.values()]
            case "jobs":
                answer = self._node.drivers.rows()
            case "departed":
                answer = list(self._node.departed)
            case "requests":
                answer = [
                    {
                        "client": request.client.hex(),
                        "class": request.class_number,
                        "count": request.count,
                        "depth": request.depth,
                        "task": request.name,
                        "resources": request.resources,
                    }
                    for request in self._leases.requests
                ]
            case "named_actors":
                answer = list(self._node.directory.names)
            case "store":
                answer = self._node.store.stats()
            case "spilled":
                answer = self._node.objects.spilled()
            case _:
                answer = None
        self._node.post(process.address, (ANSWER, number, answer))

    def _ask_key_values(self, process: Process, _kind: int, number: int, *question: Any) -> None:
        self._node.post(process.address, (ANSWER, number, self._key_values.do(*question)))

    def _survey(self, asker: Process, _kind: int, number: int, what: str, limit: int) -> None:
        others = [each for each in self._node.clients.values() if each is not asker and each.pid]
        is_driver = self._node.drivers.is_driver
        asked = [(each.address, each.pid, is_driver(each)) for each in others]
        self._node.post(asker.address, (ANSWER, number, asked))
        for each in others:
            self._node.post(each.address, (TELL, asker.address, number, what, limit))

    def _told(self, process: Process, _kind: int, asker: Address, number: int, rows: Any) -> None:
        self._node.post(asker, (ANSWER, number, (process.address, rows)))

    def _workers(self) -> list[dict[str, Any]]:
        workers = []
        for address, client in self._node.clients.items():
            lease = self._leases.workers.get(address)
            if lease is not None:
                workers.append(
                    {
                        "worker_id": address.hex(),
                        "pid": client.pid,
                        "started": client.started,
                        "node_id": self._node.cluster.id_of(client),
                        "state": lease.state.value,
                        "blocked": lease.blocked,
                        "holder": lease.holder.hex() if lease.holder else None,
                        "depth": lease.depth,
                        "task": lease.name,
                    }
                )
        return workers

    def _actor(self, record: ActorRecord) -> dict[str, Any]:
        life = record.restarts.life
        process = self._node.clients.get(record.worker or b"")
        worker = self._leases.workers.get(record.worker or b"")
        return {
            "ref": record.ref,
            "class_name": record.name,
            "state": "PENDING_CREATION" if life is Life.PENDING else life.name,
            "name": record.given_name,
            "namespace": record.namespace,
            "worker": record.worker,
            "pid": None if process is None else process.pid,
            "node_id": None if process is None else self._node.cluster.id_of(process),
            "resources": [] if worker is None else list(worker.resources.items()),
            "is_detached": record.detached,
            "restarts": record.restarts.count,
            "why": record.text,
            "cause": record.cause,
            "last_pid": record.pid,
        }
