"""The node's decisions: which process runs whose work.

Callers ask for leases on workers, creators ask for places for actors; both are *requests*.  The
table answers events with instructions and does nothing itself.  Its rules:

1. Deeper requests go first (a nested task before a new top one), then older ones.  So the
   processes that a recursion needs grow with its depth and not with its size.
2. A request is granted when its resources are free and a worker of its job, environment and node
   is idle; an actor's one has run nothing.  Where only the worker is missing, one is started.
3. A worker whose task waits in ``get`` lends its CPU; when it goes on it takes it back at once,
   into debt if need be.
4. When a request waits for what leases hold, those leases are revoked, once.  Their holders
   return idle ones at once, and busy ones of the same or a lesser depth at the first task
   boundary after ``state.tasks.SLICE_NS``.
5. What a request takes it takes from a *pool*: the node's, or a bundle's if it is in a placement
   group.  A group is a request too, for all its bundles at once and for no worker.
6. A request that has lacked resources for long gets a *reservation* (``state.reservation``):
   what is free is kept for it, so that a wide request is not overtaken for ever.
7. When one actor follows another, workers for the next are started ahead, so that actors made
   in a loop do not each wait for a fork.
8. At the soft limit of processes only a blocked process's requests start a new one, or any
   request when no process is left running.  At the hard limit a request waits while any process
   runs; when all of them wait it is refused, with the chain of tasks that wait for each other.

======== ==================== ================================================
worker   from                 to
======== ==================== ================================================
STARTING fork                 IDLE when it reports
IDLE     STARTING, LEASED     LEASED, ACTOR, RETIRING
LEASED   IDLE                 IDLE when the lease ends
ACTOR    IDLE                 (ends with its actor)
RETIRING IDLE, LEASED         IDLE if it must stay and is not outdated, else it ends
======== ==================== ================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping

from paralab.ids import Address
from paralab.state.environments import Environments
from paralab.state.lease_instructions import (
    EndWorker,
    Grant,
    Instruction,
    PlaceActor,
    Refuse,
    RefuseEnvironment,
    Retire,
    Revoke,
    StartWorker,
    Unmet,
)
from paralab.state.lease_parts import (
    Forks,
    Kind,
    Request,
    Worker,
    WorkerState,
    cpu_of,
    short_of,
    take_idle,
)
from paralab.state.ownership import Ref
from paralab.state.placement import Group, GroupState
from paralab.state.places import Places
from paralab.state.pool import Pool
from paralab.state.process_limits import chain_of, may_start, something_runs, to_make_room
from paralab.state.requests import Requests
from paralab.state.reservation import is_due, pool_for
from paralab.state.resources import Resources

MAX_STARTING = 8
"""Forks under way at once."""
SERIES_NS = 1_000_000_000
"""An actor so soon after the last one is taken for a part of a series."""
AHEAD = 2
"""Workers ready or starting for a series: one is taken while the next one starts."""


class LeaseTable(Requests):
    """Workers, requests and resources of one node."""

    def __init__(
        self,
        resources: Resources,
        soft_limit: int,
        hard_limit: int,
        node_id: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.resources = resources
        self.places = Places(resources, node_id, labels or {})
        self.node = self.places.node
        self.groups = self.places.groups
        self.soft_limit = soft_limit
        self.hard_limit = hard_limit
        self.workers: dict[Address, Worker] = {}
        self.starting = Forks()
        self.environments = Environments()
        self._idle: dict[Address, Worker] = {}
        """Workers without work; the one that was used last, which is warm, stands last."""
        self._unrevoked: dict[Address, Worker] = {}
        """Leased workers that nobody has asked back."""
        self._lacking: Counter[Kind] = Counter()
        """Workers that requests of this round still wait for."""
        self._planned: list[Pool] = []
        """Pools in which this round has promised something."""
        self._actors = 0
        self._last_actor = -SERIES_NS
        """When an actor was placed last."""
        self._next_actor: Kind | None = None
        """The kind of a series of actors, in the round that placed one of them."""
        self._said_unmet: set[tuple[Address, int, Ref | None, Group | None]] = set()

    # -- workers -----------------------------------------------------------------------------

    def worker_ready(
        self, address: Address, now: int, environment: str = "", node: int = 0
    ) -> None:
        """A worker that was started reports, or one that was asked to retire must stay."""
        worker = self.workers.get(address)
        if worker is None:
            worker = self.workers[address] = Worker(address, environment=environment, node=node)
            self.starting.end(worker.job, environment, node)
            self.environments.started(environment)
        if worker.outdated:  # it owns what others need; until they do not, it gets no work
            worker.since = now
        elif worker.state in (WorkerState.STARTING, WorkerState.RETIRING):
            self._make_idle(worker, now)

    def _make_idle(self, worker: Worker, now: int) -> None:
        worker.state = WorkerState.IDLE
        worker.since = now
        self._idle[worker.address] = worker

    def prestart(self, job: bytes, environment: str = "", node: int = 0) -> list[Instruction]:
        """One worker before anybody asks, so that the first task finds it ready."""
        if not self.environments.is_ready(environment):
            return [*self.environments.prepare(environment)]
        self.starting.begin(job, environment, node)
        return [StartWorker(job, environment, node)]

    def environment_failed(self, environment: str, text: str) -> list[Instruction]:
        """There is no such environment: who waits for a worker of it learns why."""
        self.environments.failed(environment)
        failed = [r for r in self.requests if environment == r.environment]
        self.requests = [r for r in self.requests if environment != r.environment]
        return [RefuseEnvironment(r.client, r.class_number, r.actor, text) for r in failed]

    def job_ended(self, job: bytes) -> list[Instruction]:
        """A driver has gone: nobody will use its idle workers."""
        return self.retire([worker for worker in self._idle.values() if worker.job == job])

    def returned(self, client: Address, address: Address, now: int) -> list[Instruction]:
        """``client`` ends its lease."""
        worker = self.workers.get(address)
        if worker is None or worker.state is not WorkerState.LEASED or worker.holder != client:
            return []
        self._free(worker)
        if worker.outdated:
            worker.state = WorkerState.RETIRING
            return [Retire(address)]
        self._make_idle(worker, now)
        return []

    def _free(self, worker: Worker) -> None:
        pool = worker.pool
        if pool is None:
            return
        if worker.blocked:
            pool.resources.take(cpu_of(worker.resources))
            worker.blocked = False
        pool.give(worker.resources, worker.devices)
        self._unrevoked.pop(worker.address, None)
        worker.pool = worker.where = None
        worker.resources = {}
        worker.devices = {}
        worker.holder = None
        worker.name = ""

    def blocked(self, address: Address) -> None:
        """The worker's task waits: its CPU is free for others."""
        worker = self.workers.get(address)
        if worker is None or worker.state not in (WorkerState.LEASED, WorkerState.ACTOR):
            return  # the lease ended before this came
        if not worker.blocked and worker.pool is not None:
            worker.blocked = True
            worker.pool.resources.give(cpu_of(worker.resources))

    def unblocked(self, address: Address) -> None:
        """The worker's task goes on."""
        worker = self.workers.get(address)
        if worker is not None and worker.blocked and worker.pool is not None:
            worker.blocked = False
            worker.pool.resources.take(cpu_of(worker.resources))

    def worker_died(self, address: Address) -> Worker | None:
        """A worker process is gone; returns what it was."""
        worker = self.workers.pop(address, None)
        if worker is not None:
            self._free(worker)
            self._idle.pop(address, None)
            self._actors -= worker.state is WorkerState.ACTOR
        return worker

    def client_died(self, address: Address) -> list[Instruction]:
        """A caller is gone: nobody can use what its leased workers do."""
        self.requests = [r for r in self.requests if r.client != address or r.makes]
        self._said_unmet = {mark for mark in self._said_unmet if mark[0] != address}
        return [
            EndWorker(worker.address)
            for worker in self.workers.values()
            if worker.holder == address
        ]

    def restart(self) -> list[Instruction]:
        """Lets idle workers go now and leased ones when their lease ends; none gets new work."""
        return [each for address in list(self.workers) for each in self.outdate(address)]

    def outdate(self, address: Address) -> list[Instruction]:
        """The same for one worker."""
        worker = self.workers.get(address)
        if worker is None or worker.state is WorkerState.ACTOR:
            return []
        worker.outdated = True
        if worker.state is WorkerState.LEASED:
            return [self._revoke(worker, -1)]
        return self.retire([worker]) if worker.state is WorkerState.IDLE else []

    def _revoke(self, worker: Worker, depth: int) -> Revoke:
        assert worker.holder is not None
        self._unrevoked.pop(worker.address, None)
        return Revoke(worker.holder, worker.address, depth)

    def retire(self, workers: list[Worker]) -> list[Instruction]:
        """Asks idle workers to end."""
        for worker in workers:
            worker.state = WorkerState.RETIRING
            self._idle.pop(worker.address, None)
        return [Retire(worker.address) for worker in workers]

    def idle_since(self, before: int) -> list[Instruction]:
        """Asks workers that have been idle since ``before`` to end, and outdated ones again."""
        workers = [
            worker
            for worker in self.workers.values()
            if worker.since <= before
            and (
                worker.state is WorkerState.IDLE
                or (worker.state is WorkerState.RETIRING and worker.outdated)
            )
        ]
        return self.retire(workers)

    # -- decisions ---------------------------------------------------------------------------

    def decide(self, now: int) -> list[Instruction]:
        """Grants what can be granted; called after each event, or batch of events."""
        instructions: list[Instruction] = []
        if not self.requests:
            return instructions
        self._lacking.clear()
        reserved = False
        stuck: dict[Hashable, bool] = {}
        """Actors that cannot be placed in this round, and whether it is resources they lack."""
        for request in list(self.requests):
            if (lacks := stuck.get(request.like)) is not None:
                request.since = request.since or now * lacks
                continue  # a thousand like the first: each is looked at when its turn comes
            pools = self.places.pools(request)
            if pools is None:
                instructions.append(self.places.unplaceable(request))
                self.requests.remove(request)
            elif pools and not self.places.feasible(request, pools):
                instructions += self._unmet(request)
            elif not self.environments.is_ready(request.environment):
                instructions += self.environments.prepare(request.environment)
            elif pools:  # else the group that it is for waits itself
                met = self._meet(request, pools, now, instructions)
                if met is not True and request.like is not None and request.count:
                    stuck[request.like] = met is False
                if met is False:
                    instructions += self._revoke_for(request, pools)
                    request.since = request.since or now
                    if not reserved and is_due(now - request.since):
                        reserved = self._reserve(request, pools)
                if not request.count:
                    self.requests.remove(request)
        for pool in self._planned:
            pool.planned.clear()
        self._planned.clear()
        return instructions + self._ahead()

    def _meet(
        self, request: Request, pools: list[Pool], now: int, instructions: list[Instruction]
    ) -> bool | None:
        """Gives a request what there is; False if resources are lacking, None if processes are."""
        if request.makes is not None:
            made = self.places.make(request.makes, now)
            if made is None:
                return False
            instructions.append(made)
            request.count = 0
            return True
        needed, caller = request.count, self.workers.get(request.client)
        while needed:
            pool = self.places.choose(request, pools, caller, self._planned)
            if pool is None:
                return False
            kind = (request.job, request.environment, pool.node.number)
            idle = take_idle(self._idle, *kind, request)
            if idle is not None:
                instructions.append(self._grant(request, idle, pool, now))
                needed -= 1
                continue
            if self._lacking[kind] == self.starting.of(*kind):
                if not self._may_start(request):
                    workers = self.workers.values()
                    room = to_make_room(self.requests, workers, self._idle.values())
                    instructions += self.retire(room)
                    if self._processes() >= self.hard_limit and not (
                        self.starting.total or something_runs(workers)
                    ):
                        facts = (chain_of(request, self.workers), self._processes())
                        instructions.append(Refuse(request.client, request.class_number, *facts))
                        request.count = 0
                    return None
                instructions += self.prestart(*kind)
            self._lacking[kind] += 1
            needed -= 1
            pool.plan(request.held if request.actor else request.resources)
            self._planned.append(pool)
        return True

    def _reserve(self, request: Request, pools: list[Pool]) -> bool:
        pool = pool_for(request, pools, self.workers.values())
        if pool is not None:
            pool.plan(request.resources)
            self._planned.append(pool)
        return pool is not None

    def _grant(self, request: Request, worker: Worker, pool: Pool, now: int) -> Grant | PlaceActor:
        held = request.held if request.actor else request.resources
        devices = pool.take(held)
        request.count -= 1
        request.since = 0
        worker.pool = pool
        worker.where = request.where
        if request.where is not None and request.where.spreads:
            self.places.turn = pool.node.number + 1
        worker.resources = dict(held)
        worker.devices = devices
        worker.name = request.name
        worker.depth = request.depth
        worker.since = now
        worker.asked, worker.used = False, True
        if request.actor is not None:
            worker.state = WorkerState.ACTOR
            self._actors += 1
            worker.actor = request.actor
            if now - self._last_actor < SERIES_NS:
                self._next_actor = (worker.job, worker.environment, worker.node)
            self._last_actor = now
            return PlaceActor(request.client, request.actor, worker.address, tuple(devices))
        worker.state = WorkerState.LEASED
        self._unrevoked[worker.address] = worker
        worker.holder = request.client
        worker.class_number = number = request.class_number
        self._order += 1
        return Grant(request.client, number, worker.address, tuple(devices), self._order)

    def _ahead(self) -> list[Instruction]:
        """Workers for the next actors of a series."""
        kind, self._next_actor = self._next_actor, None
        if kind is None or self._processes() >= self.soft_limit:
            return []
        fresh = [w for w in self._idle.values() if not w.used]
        ready = sum((w.job, w.environment, w.node) == kind for w in fresh)
        missing = AHEAD - ready - self.starting.of(*kind)
        return [each for _ in range(missing) for each in self.prestart(*kind)]

    def _processes(self) -> int:
        return len(self.workers) - self._actors

    def _may_start(self, request: Request) -> bool:
        starting, limits = self.starting.total, (self.soft_limit, self.hard_limit)
        processes = self._processes() + starting
        return starting < MAX_STARTING and may_start(
            request, self.workers, processes, bool(starting), *limits
        )

    def _revoke_for(self, request: Request, pools: list[Pool]) -> list[Instruction]:
        short = short_of(request, pools)
        same = (request.client, request.class_number)
        return [
            self._revoke(w, request.depth)
            for w in list(self._unrevoked.values())
            if not w.blocked and w.pool in pools and short & w.resources.keys()
            if request.actor is not None or (w.holder, w.class_number) != same
        ]

    def _unmet(self, request: Request) -> list[Instruction]:
        mark = (request.client, request.class_number, request.actor, request.makes)
        if mark in self._said_unmet:
            return []
        self._said_unmet.add(mark)
        shown = self.resources.shown({**request.resources, **request.held})
        place = self.places.in_words(request)
        client = request.client or (request.actor or (b"",))[0]
        return [Unmet(client, request.class_number, request.name, shown, place)]

    # -- placement groups --------------------------------------------------------------------

    def want_group(self, group: Group, client: Address, depth: int) -> bool:
        """A group waits for its resources; False if its name is taken."""
        self._order += 1
        if not self.places.groups.add(group):
            return False
        self._insert(self.places.group_request(group, client, depth, self._order))
        return True

    def remove_group(self, group: Group) -> list[Instruction]:
        """Ends a group and all that runs in it."""
        self.requests = [request for request in self.requests if request.makes is not group]
        return self.places.end_group(group, self.workers.values())

    # -- nodes -------------------------------------------------------------------------------

    def nodes_changed(self) -> None:
        """A node has come or gone: groups that wait may fit now, or not any more."""
        for request in self.requests:
            if request.makes is not None:
                self.places.look_again(request.makes)

    def remove_node(self, pool: Pool) -> list[Instruction]:
        """A node is gone, with its workers; the bundles that were on it look for another place."""
        for group in self.places.remove_node(pool):
            group.state = GroupState.RESCHEDULING
            self.requests = [request for request in self.requests if request.makes is not group]
            self._order += 1
            self._insert(self.places.group_request(group, group.owner or b"", 0, self._order))
        self.nodes_changed()
        there = [worker for worker in self.workers.values() if worker.node == pool.node.number]
        for worker in there:
            self._idle.pop(worker.address, None)
        return [EndWorker(worker.address) for worker in there]
