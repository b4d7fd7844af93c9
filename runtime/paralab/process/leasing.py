"""A client's leases: asking the node for workers, and giving them back.

    queue without a worker ──WANT_LEASE──▶ node ──LEASED──▶ a worker of ours
    idle for IDLE_LEASE_NS, or REVOKE and idle ──RETURN_LEASE──▶ node
    a queue behind a task that takes long ──TAKE_BACK──▶ worker ──RETURNED──▶ the queue

See ``state.tasks`` for what is given to which worker, ``state.leases`` for the node's side.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paralab.ids import Address
from paralab.messages import (
    ASSIGNED,
    LEASED,
    REFUSED,
    RESOURCES,
    RETURN_LEASE,
    RETURNED,
    REVOKE,
    TAKE_BACK,
    WANT_LEASE,
)
from paralab.process.links import Link
from paralab.state.tasks import SLICE_NS, LeasedWorker, SchedulingClass

if TYPE_CHECKING:
    from paralab.process.client import CoreClient

IDLE_LEASE_NS = 100_000_000
"""A lease without work is returned after this time."""

_now = time.monotonic_ns


class Leasing:
    """The lease part of one client, under the baton."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._table = core.calls.table
        self._ready = core.calls.ready
        self.paused = core.low_memory.paused
        self.handlers: dict[int, Callable[..., None]] = {
            LEASED: self._on_leased,
            REFUSED: self._on_refused,
            REVOKE: self._on_revoke,
            RETURNED: self._on_returned,
            RESOURCES: self._on_resources,
        }

    def want(self, cls: SchedulingClass) -> None:
        """Asks the node for the workers that the queue of ``cls`` lacks."""
        slots = self._core.slots(cls.resources) - len(cls.workers)
        wanted = max(1, min(len(cls.queue), slots)) - cls.requested
        if wanted > 0:
            self._core.look_around(leading=True)
            name = cls.queue[0].template.name
            cls.requested += wanted
            request = (cls.number, cls.resources, wanted, cls.depth, name, cls.where)
            self._core.node.post((WANT_LEASE, *request, cls.environment))
            self.return_idle(0, cls)

    def withdraw(self, cls: SchedulingClass) -> None:
        """Takes back what was asked of the node for ``cls``."""
        if cls.requested:
            cls.requested = 0
            self._core.node.post((WANT_LEASE, cls.number, {}, 0, 0, "", None, ""))

    def _on_leased(
        self, _link: Link, _kind: int, number: int, address: Address, devices: Any, order: int
    ) -> None:
        """The node grants a lease."""
        peer = None if address in self._core.dead else self._core.links.peer(address)
        worker = self._table.lease(number, address, peer, _now())
        if worker is not None:
            cls = worker.cls
            self._core.tell_where(worker.peer)
            worker.peer.post((ASSIGNED, cls.resources, devices, cls.depth, cls.where, order))
        elif peer is not None:
            self._core.node.post((RETURN_LEASE, address))

    def _on_refused(self, _link: Link, _kind: int, number: int, failure: bytes) -> None:
        """The node cannot run this class: everything queued in it fails."""
        cls = self._table.by_number[number]
        cls.requested = 0
        while cls.queue:
            self._core.calls.fail(cls.queue.popleft(), failure)

    def _on_resources(self, _link: Link, _kind: int, total: dict[str, int], nodes: int) -> None:
        """A node has come or gone: more workers may be had for what waits, or fewer."""
        self._core.total, self._table.nodes = total, nodes
        self._ready.update((cls, None) for cls in self._table.by_number.values() if cls.queue)

    def _on_revoke(self, _link: Link, _kind: int, address: Address, depth: int) -> None:
        """The node wants a worker back: at once if it is idle, else after its time slice."""
        worker = self._table.leases.get(address)
        if worker is None:
            return
        worker.revoked = True
        if depth < 0:
            worker.until = 0
        elif worker.cls.depth <= depth:
            worker.until = worker.leased + SLICE_NS
        if not worker.inflight and (not worker.cls.queue or worker.until <= _now()):
            self.give_back(worker)

    def give_back(self, worker: LeasedWorker) -> None:
        """Ends a lease."""
        self._table.end_lease(worker.address)
        self._core.node.post((RETURN_LEASE, worker.address))
        cls = worker.cls
        if worker.revoked:  # ours is not the oldest request any more
            self.withdraw(cls)
        if cls.queue:
            self._ready[cls] = None

    def return_idle(self, after_ns: int, but: SchedulingClass | None = None) -> None:
        """Returns leases that have had no work for ``after_ns``."""
        now = _now()
        for cls in self._table.by_number.values():
            if cls.workers and cls is not but:
                for worker in cls.idle(now, after_ns):
                    self.give_back(worker)

    def check(self) -> None:
        """Looks for idle leases, queues behind a task that takes long, and pauses that end."""
        now = _now()
        if self.paused:
            self._core.low_memory.retry(now)
        for cls in self._table.by_number.values():
            if cls.workers:
                for worker in cls.stalled(now):
                    self._take_back(worker)
                for worker in cls.idle(now, IDLE_LEASE_NS):
                    self.give_back(worker)

    def next_check(self) -> float | None:
        """Seconds until :meth:`check` may find something; None when nothing is on lease."""
        wait = self._core.low_memory.next_retry(_now()) if self.paused else None
        for worker in self._table.leases.values():
            inflight = len(worker.inflight)
            if inflight > 1:
                return 0.01
            if not inflight and (wait is None or wait > 0.1):
                wait = 0.1
        return wait

    def _take_back(self, worker: LeasedWorker) -> None:
        worker.taking = True
        worker.peer.post((TAKE_BACK, list(worker.inflight)))

    def _on_returned(self, link: Link, _kind: int, keys: list[int]) -> None:
        """A worker gives back calls that it has not started."""
        worker = self._table.leases.get(link.address)
        if worker is None:
            return
        worker.taking = False
        worker.answered = _now()
        if keys:
            cls = worker.cls
            for key in keys:
                task = worker.inflight.get(key)
                if task is not None:
                    task.template.mean_ns = max(task.template.mean_ns, 2_000_000)
                    if task.cancelled:
                        self._core.cancelling.end(task)
            cls.take_back(keys, worker)
            self._ready[cls] = None
        if worker.revoked and not worker.inflight and worker.until <= worker.answered:
            self.give_back(worker)
