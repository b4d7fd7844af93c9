"""The node process: one loop that starts workers, introduces processes, and cleans up.

    driver ──socketpair──┐                ┌── pidfd: the driver's end
    worker ──socketpair──┤   node's loop  ├── pidfd of each worker
    pipes of workers ────┤  (one thread)  ├── the zygote's socket
    further drivers ─────┘                └── the door, at which they knock

It decides by the tables of ``state`` and never waits for anything but its poll; it never
unpickles what users wrote.  It is the janitor: workers die with it (PDEATHSIG), it dies with the
driver that has started it (pidfd), and it is a subreaper, so that no process that a worker leaves
behind escapes.  A node that nobody's driver has started stands alone, until it is told to stop.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import Any

from paralab import limits, platform
from paralab.ids import Address, make_address
from paralab.messages import (
    DIED,
    LEASED,
    OWNER_DIED,
    PEER,
    REFUSED,
    RELAY_PRINT,
    RETIRE,
    REVOKE,
    UNMET,
    WELCOME,
)
from paralab.process.dispatch import dispatch
from paralab.process.node_actors import NodeActors
from paralab.process.node_cluster import NodeCluster
from paralab.process.node_drivers import NodeDrivers
from paralab.process.node_groups import NodeGroups
from paralab.process.node_log import say
from paralab.process.node_memory import NodeMemory
from paralab.process.node_messages import NodeMessages
from paralab.process.node_store import NodeStore
from paralab.process.node_workers import Process, WorkerPool
from paralab.process.pulse import SIZE as PULSE_SIZE
from paralab.process.pulse import PulseBoard
from paralab.shown_text import shown_text
from paralab.state.jobs import Job
from paralab.state.lease_instructions import (
    BuildEnvironment,
    EndWorker,
    Grant,
    GroupEnded,
    GroupMade,
    Instruction,
    PlaceActor,
    Refuse,
    RefuseEnvironment,
    Retire,
    Revoke,
    StartWorker,
    Unmet,
    Unplaceable,
)
from paralab.state.leases import LeaseTable
from paralab.state.resources import Resources
from paralab.transport.connection import Connection
from paralab.transport.framing import FrameError

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
WAITING_TICK = 0.02
"""Seconds between two looks at requests that wait for a time slice to end."""
IDLE_TICK = 5.0
IDLE_WORKER_NS = 60_000_000_000
"""A worker without work for so long ends."""
IDLE_STORE = 4
"""The store is idle after one part in so many of a worker's idle time without an object's
coming or going; then the memory that its objects do not take goes back to the system."""
TRIM_BYTES = 16 << 20
"""Given back between two looks at the sockets: about 3 ms."""
PROCESS_LIMIT = 2_000
PROCESS_MEMORY = 10 << 20
"""What one more blocked process is reckoned to need, for the hard limit."""


class Node:
    """One machine's node, or the several that imitate a cluster.

    Args:
        config: what the driver wants: ``resources`` (units of 1e-4), ``capacity`` (bytes),
            ``idle_seconds``, and ``job``: ``namespace``, ``sys_path``, ``cwd``, ``argv`` of the
            driver, None for a node that stands alone.
        driver_socket: the connection to the driver; of a node that stands alone, to whom it says
            where it is.
        zygote: the connection to the zygote.
    """

    def __init__(
        self,
        config: dict[str, Any],
        driver_socket: socket.socket,
        zygote: socket.socket,
        zygote_pid: int,
    ) -> None:
        self.config = config
        self.node_id = os.urandom(28)
        self.running = True
        self._poll = select.epoll()
        self.wire: Any = None
        """Where the fault switch is on: what keeps broken connections."""
        if config["faults"]:
            self.wire = importlib.import_module("paralab.faults.reconnecting").NodeWire(self)
            self._poll = self.wire.poll
        self._watched: dict[int, Callable[[int], None]] = {}
        self._numbers = 0
        self.clients: dict[Address, Process] = {}
        self.dirty: deque[Process] = deque()
        self.departed: deque[tuple[Address, int, str, str, int, int]] = deque(maxlen=1_000)
        """Address, pid, end and node of the workers that ended last."""
        cpus = config["resources"].get("CPU", 0) // 10_000
        soft = max(64, 8 * cpus)
        hard = config["process_limit"] or min(
            PROCESS_LIMIT, max(soft, limits.memory_available() // PROCESS_MEMORY)
        )
        node_hex = self.node_id.hex()
        self.labels = {"ray.io/node-id": node_hex, **config.get("labels", {})}
        self.leases = LeaseTable(
            Resources(config["resources"]), min(soft, hard), hard, node_hex, self.labels
        )
        self.cluster = NodeCluster(self)
        self.groups = NodeGroups(self)
        self.undecided = True
        self.helpers: set[int] = set()
        """Pids of processes beside the workers, which are no orphans."""
        self.actors = NodeActors(self)
        self.directory = self.actors.directory
        self.store = NodeStore(self)
        self.objects = self.store.table
        self.arena = self.store.arena
        self._pulse = platform.nameless_memory(PULSE_SIZE, "paralab-pulse")
        self.board = PulseBoard(os.dup(self._pulse))
        self.memory = NodeMemory(self)
        self._messages = NodeMessages(self)
        self.handlers = self._messages.handlers
        self.drivers = NodeDrivers(self)
        if self.wire is not None:
            self.wire.begin(config["faults"], self.drivers.door.path)
        self.pool = WorkerPool(self, zygote, zygote_pid)
        self.idle_ns = int(config.get("idle_seconds", IDLE_WORKER_NS / 1e9) * 1e9)
        self._store_used = time.monotonic_ns()
        """When an object was made or freed last."""
        self._trimmed = True
        """The store holds no more memory than its objects need."""
        self.drivers.begin(driver_socket)

    @cached_property
    def environments(self) -> Any:
        """Made with the first environment; by name, as it stands above this room."""
        return importlib.import_module("paralab.runtime_env.on_node").NodeEnvironments(self)

    # -- processes ---------------------------------------------------------------------------

    def add_process(
        self, sock: socket.socket, job: Job, environment: str = "", node: int = 0
    ) -> Process:
        """A new client of this node; its welcome is on its way."""
        self._numbers += 1
        address = make_address(self.node_id, self._numbers, job.number)
        if not job.ended and job.driver is None:
            job.driver = address
        if self.wire is None:
            connection = Connection(sock, address, descriptors=True)
        else:
            connection = self.wire.connection(sock, address, address == job.driver)
        process = Process(address, self._numbers, connection, environment, node)
        self.clients[address] = process
        config = self.config
        welcome = {
            "address": address,
            "node_id": bytes.fromhex(self.cluster.id_of(process)),
            "resources": self.cluster.resources(),
            "capacity": config["capacity"],
            "settings": config["settings"],
            **self.drivers.welcome(job),
            "environment": self.environments.named(environment) if environment else ("", {}),
        }
        descriptors = [self.arena.fd, self.arena.numbers_fd, self._pulse]
        process.connection.send_with_descriptors([(WELCOME, welcome)], descriptors)
        self.listen_to(process)
        return process

    def listen_to(self, process: Process) -> None:
        """From now on what a client sends is read, and what waits for its socket is sent."""
        fd = process.connection.fd
        if not process.connection.broken:
            self._poll.register(fd, READ | WRITE if process.connection.stuck else READ)
            self._watched[fd] = lambda event: self._on_socket(process, event)

    def post(self, address: Address, message: tuple[Any, ...]) -> None:
        """Leaves a message to a client, if it still lives."""
        process = self.clients.get(address)
        if process is not None:
            process.connection.outbox.append(message)
            self.dirty.append(process)

    def introduce(self, a: Address, b: Address) -> bool:
        """Gives two processes the ends of a new socket; False when one of them is gone."""
        one, other = self.clients.get(a), self.clients.get(b)
        if one is None or other is None:
            return False
        if b in one.peers:
            return True
        one.peers.add(b)
        other.peers.add(a)
        left, right = socket.socketpair()
        try:
            one.connection.send_with_descriptors([(PEER, b)], [left.fileno()])
            other.connection.send_with_descriptors([(PEER, a)], [right.fileno()])
        finally:
            left.close()
            right.close()
        self.dirty += (one, other)
        return True

    def process_died(self, process: Process, how: str) -> None:
        """A client is gone: tells everyone, and takes back what it had."""
        address = process.address
        if self.clients.pop(address, None) is None:
            return
        if process is self.drivers.master:
            self.running = False
            return
        self.unwatch(process.connection.fd)
        process.connection.close()
        times = process.started, time.time_ns()
        self.departed.append((address, process.pid, how, self.cluster.id_of(process), *times))
        self.undecided = True
        self.leases.worker_died(address)
        self.groups.process_died(address)
        for client in self.clients.values():
            client.peers.discard(address)
            client.connection.outbox.append((DIED, address, how))
            self.dirty.append(client)
        for instruction in self.leases.client_died(address):
            self.carry_out(instruction)
        self.actors.process_died(address, how)
        self.memory.ended(address)
        self.store.process_died(address)
        for looker in self.objects.awaited_lookers().get(address, ()):
            self.post(looker, (OWNER_DIED, address))
        self.cluster.process_died(process)

    # -- decisions ---------------------------------------------------------------------------

    def carry_out(self, instruction: Instruction) -> None:
        """Does what a table has decided."""
        match instruction:
            case Grant(client, number, worker, devices, order):
                if self.introduce(client, worker):
                    self.post(client, (LEASED, number, worker, list(devices), order))
                else:
                    self.leases.returned(client, worker, time.monotonic_ns())
            case StartWorker(job, environment, node):
                self.pool.start_worker(self.drivers.jobs.jobs[job], environment, node)
            case BuildEnvironment(environment):
                self.environments.build(environment)
            case RefuseEnvironment():
                self.environments.refuse(instruction)
            case Revoke(client, worker, depth):
                self.post(client, (REVOKE, worker, depth))
            case PlaceActor(_client, ref, worker, devices):
                self.actors.placed(ref, worker, devices)
            case Refuse(client, number, chain, processes):
                self.post(client, (REFUSED, number, self._messages.refusal(chain, processes)))
            case Unmet(client, number, name, resources, place):
                teller = client if client in self.clients else self.drivers.of(client)
                self.post(
                    teller or b"", (UNMET, number, self._messages.unmet(name, resources, place))
                )
            case GroupMade(group) | GroupEnded(group):
                self.groups.tell(group)
            case Unplaceable():
                self.groups.refuse(instruction)
            case Retire(worker):
                self.post(worker, (RETIRE,))
            case EndWorker(worker):
                self.pool.kill(worker)

    # -- the loop ----------------------------------------------------------------------------

    def watch(self, fd: int, action: Callable[[int], None]) -> None:
        """Calls ``action`` whenever ``fd`` is readable."""
        self._watched[fd] = action
        self._poll.register(fd, READ)

    def unwatch(self, fd: int) -> None:
        """The opposite of :meth:`watch`; before the descriptor is closed."""
        if self._watched.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def run(self) -> None:
        """Serves until the driver ends or says so."""
        tick = min(IDLE_TICK, self.idle_ns / 2e9 / IDLE_STORE)
        next_idle = time.monotonic() + tick
        trimming = False
        while self.running:
            if self.undecided:
                self.undecided = False
                for instruction in self.leases.decide(time.monotonic_ns()):
                    self.carry_out(instruction)
            self._flush()
            timeout = 0.0 if trimming else max(0.0, next_idle - time.monotonic())
            if self.leases.requests or self.groups.awaits or self.store.spilling.waiting:
                timeout = min(timeout, WAITING_TICK)
            timeout = min(timeout, self.memory.wait(time.monotonic()))
            events = self._poll.poll(timeout)
            dispatch(self._watched, events)
            if not events and self.leases.requests:
                self.undecided = True
            if self.groups.awaits:
                self.groups.hurry(time.monotonic_ns())
            if self.store.spilling.waiting:
                self.store.go_on()
            now = time.monotonic()
            if now >= self.memory.due:
                self.memory.look(now)
            if now >= next_idle:
                next_idle = now + tick
                self.drivers.door.look()
                trimming = self._store_is_idle()
                before = time.monotonic_ns() - self.idle_ns
                for instruction in self.leases.idle_since(before):
                    self.carry_out(instruction)
            if trimming:
                trimming = self._store_is_idle() and self._trim()

    def allocated(self) -> None:
        """An object was made: memory for the next ones is made ready in the background."""
        self.freed()
        self.arena.allocate_ahead(self.objects.allocator.touched_end)

    def freed(self) -> None:
        """An object is gone; its memory stays warm for a while."""
        self._store_used = time.monotonic_ns()
        self._trimmed = False

    def reclaim_store(self) -> int:
        """Gives back what the store holds beyond its objects; how many bytes that were."""
        before = self.arena.allocated()
        while self._trim():
            pass
        return before - self.arena.allocated()

    def _store_is_idle(self) -> bool:
        idle = time.monotonic_ns() - self._store_used > self.idle_ns // IDLE_STORE
        return idle and not self._trimmed

    def _trim(self) -> bool:
        """Gives some memory back; whether there may be more to give."""
        ranges = self.objects.allocator.trim(TRIM_BYTES)
        if ranges:
            self.arena.drop(ranges)
            return True
        self.arena.drop_ahead(self.objects.allocator.touched_end)
        self._trimmed = True
        return False

    def _flush(self) -> None:
        dirty = self.dirty
        while dirty:
            process = dirty.popleft()
            connection = process.connection
            if not connection.flush() and not connection.closed:
                self._poll.modify(connection.fd, READ | WRITE)

    def _on_socket(self, process: Process, event: int) -> None:
        connection = process.connection
        if event & WRITE and connection.flush():
            self._poll.modify(connection.fd, READ)
        if event & ~WRITE:
            try:
                messages = connection.receive()
                if connection.received_descriptors:
                    raise FrameError("descriptors came, and the node expects none.")
            except Exception as error:  # whatever the bytes are, the node goes on
                say(f"process {process.pid}: {shown_text(repr(error))}")
                connection.closed = True
                messages = []
            handlers = self.handlers
            for message in messages:
                handlers[message[0]](process, *message)
        if connection.closed and process.address in self.clients:
            self.unwatch(connection.fd)
            self.lost(process)

    def lost(self, process: Process) -> None:
        """The connection to a client is closed: it has ended, or is to end."""
        if self.drivers.is_driver(process):
            self.drivers.left(process)
        else:
            self.pool.lost_connection(process)

    def read_last(self, process: Process, only: int | None = None) -> None:
        """Handles what a client had sent before its end, of one kind ``only`` or all."""
        connection = process.connection
        while not connection.closed:
            try:
                messages = connection.receive()
            except FrameError:
                return
            for message in messages:
                if only is None or message[0] == only:
                    self.handlers[message[0]](process, *message)
            if not messages and not connection.readable():
                return

    def close(self) -> None:
        """Ends every process that this node started, and passes on what they had printed."""
        if "environments" in self.__dict__:
            self.environments.close()
        self.pool.end_all()
        for process in list(self.clients.values()):
            if not self.drivers.is_driver(process):
                self.read_last(process, RELAY_PRINT)
        self.drivers.close()
        self.store.close()
        self.board.close()
        os.close(self._pulse)


def main(driver_fd: int, config: dict[str, Any], zygote: socket.socket, zygote_pid: int) -> None:
    """Runs a node process to its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    platform.name_thread("paralab-node")
    platform.adopt_orphans()
    platform.raise_descriptor_limit()
    node = Node(config, socket.socket(fileno=driver_fd), zygote, zygote_pid)
    try:
        node.run()
    finally:
        node.close()
