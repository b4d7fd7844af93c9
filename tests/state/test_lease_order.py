"""The node's lease table under any order of events: nothing lost, nothing granted twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from paralab.state.lease_instructions import (
    EndWorker,
    Grant,
    Instruction,
    PlaceActor,
    Refuse,
    Retire,
    Revoke,
    StartWorker,
    Unmet,
)
from paralab.state.lease_parts import WorkerState
from paralab.state.leases import LeaseTable
from paralab.state.resources import Resources
from paralab.task_spec import RESOURCE_UNIT as ONE

DRIVER = b"driver"
HALF = ONE // 2
CPU = {"CPU": ONE}

TOTAL = {"CPU": 3 * ONE, "GPU": 2 * ONE, "disk": ONE}
NEEDS: tuple[dict[str, int], ...] = (
    {},
    CPU,
    {"CPU": HALF},
    {"CPU": 2 * ONE},
    {"CPU": ONE, "disk": ONE},
    {"GPU": ONE},
    {"GPU": 2 * ONE},
    {"GPU": HALF},
    {"GPU": 3000, "CPU": HALF},
    {"CPU": 100 * ONE},
)
SOFT, HARD = 3, 5


def kinds(instructions: list[Instruction]) -> list[type]:
    return [type(instruction) for instruction in instructions]


class LeaseMachine(RuleBasedStateMachine):
    """A node whose clients, workers and forks do what they like, messages late or early."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = LeaseTable(Resources(TOTAL), SOFT, HARD)
        self.numbers = 0
        self.forks = 0
        self.alive: set[bytes] = set()
        self.held: dict[bytes, bytes] = {}
        """Worker → client, as the clients see it."""
        self.revoked: set[bytes] = set()
        self.actors: dict[bytes, Any] = {}
        self.retiring: set[bytes] = set()
        self.doomed: set[bytes] = set()
        self.waits: set[bytes] = set()
        """Workers that have said BLOCKED and not yet UNBLOCKED."""
        self.said_unmet: set[tuple[bytes, int]] = set()
        self.actor_keys = 0
        self.classes: dict[int, tuple[int, int]] = {}

    # What the shell does with instructions.

    def carry_out(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case StartWorker():
                    self.forks += 1
                case Grant(client, _number, worker, devices):
                    self.take_worker(worker, devices)
                    self.held[worker] = client
                case PlaceActor(_client, actor, worker, devices):
                    self.take_worker(worker, devices)
                    self.actors[worker] = actor
                case Revoke(client, worker, _depth):
                    assert self.held.get(worker) == client
                    assert worker not in self.revoked, "revoked twice"
                    self.revoked.add(worker)
                case Retire(worker):
                    assert worker in self.alive
                    assert worker not in self.held
                    assert worker not in self.retiring or self.leases.workers[worker].outdated
                    self.retiring.add(worker)
                case EndWorker(worker):
                    self.doomed.add(worker)
                case Unmet(client, number, _name, _resources):
                    assert number == 0 or (client, number) not in self.said_unmet
                    self.said_unmet.add((client, number))
                case Refuse(_client, _number, chain, processes):
                    assert processes >= HARD
                    assert chain

    def take_worker(self, worker: bytes, devices: tuple[int, ...]) -> None:
        assert worker in self.alive
        assert worker not in self.held, "granted twice"
        assert worker not in self.actors, "granted twice"
        assert worker not in self.retiring, "granted while it may be ending"
        self.revoked.discard(worker)
        held = self.leases.workers[worker].resources
        assert len(devices) == -(-held.get("GPU", 0) // ONE)
        for name, amount in held.items():
            assert not amount or self.leases.resources.available[name] >= 0, "granted on credit"

    def decide(self) -> None:
        leases = self.leases
        before = leases.starting.total
        running = any(
            worker.state is WorkerState.LEASED and not worker.blocked
            for worker in leases.workers.values()
        )
        asked = [request.client for request in leases.requests if request.actor is None]
        processes = len(leases.workers) - len(self.actors) + before
        instructions = leases.decide(0)
        forked = kinds(instructions).count(StartWorker)
        if forked and processes >= SOFT and not self.actor_keys:
            waiting = [c for c in asked if c in leases.workers and leases.workers[c].blocked]
            assert waiting or not running
        if Refuse in kinds(instructions):
            assert not running, "refused what could have waited"
        self.carry_out(instructions)
        self.check_order(instructions)

    def check_order(self, instructions: list[Instruction]) -> None:
        """Nothing deeper, that needs no more, is left while something else was granted."""
        for instruction in instructions:
            if isinstance(instruction, Grant):
                worker = self.leases.workers[instruction.worker]
                for request in self.leases.requests:
                    if request.client == instruction.worker:
                        continue  # nobody gets a lease on himself
                    if request.depth > worker.depth and "GPU" not in request.resources:
                        assert any(
                            amount > worker.resources.get(name, 0)
                            for name, amount in request.resources.items()
                        ), f"{request} was passed over"

    def clients(self) -> list[bytes]:
        return [DRIVER, *sorted(self.held.keys() | self.actors.keys())]

    # What may happen.

    @initialize(data=st.data(), workers=st.integers(0, SOFT))
    def start(self, data: Any, workers: int) -> None:
        """Few classes, so that requests meet, and some workers that are there already."""
        self.forks = workers
        for _ in range(workers):
            self.leases.prestart(b"")
        while self.forks:
            self.fork_ends(1)
        for number in range(1, 5):
            needs = data.draw(st.integers(0, len(NEEDS) - 1))
            self.classes[number] = (needs, data.draw(st.integers(1, 3)))

    @rule(data=st.data(), number=st.integers(1, 4), count=st.integers(0, 4))
    def want(self, data: Any, number: int, count: int) -> None:
        needs, depth = self.classes[number]
        client = data.draw(st.sampled_from(self.clients()))
        self.leases.want(client, number, dict(NEEDS[needs]), count, depth, f"task {number}")
        self.decide()

    @rule(data=st.data(), needs=st.sampled_from(NEEDS), keeps=st.booleans())
    def want_actor(self, data: Any, needs: dict[str, int], keeps: bool) -> None:
        self.actor_keys += 1
        client = data.draw(st.sampled_from(self.clients()))
        placing = {"CPU": ONE, **needs}
        held = dict(needs) if keeps or "GPU" in needs else {}
        self.leases.want_actor(client, (client, self.actor_keys), placing, held, 1, "actor")
        self.decide()

    @rule(data=st.data())
    def drop_actor(self, data: Any) -> None:
        waiting = [r.actor for r in self.leases.requests if r.actor is not None]
        if waiting:
            assert self.leases.drop_actor(data.draw(st.sampled_from(waiting)))
            self.decide()

    @precondition(lambda self: self.forks)
    @rule(fails=st.integers(0, 4))
    def fork_ends(self, fails: int) -> None:
        self.forks -= 1
        if not fails:
            self.leases.starting.end(b"")
        else:
            self.numbers += 1
            address = b"w%d" % self.numbers
            self.alive.add(address)
            self.leases.worker_ready(address, self.numbers)
        self.decide()

    def pick(self, data: Any, of: Any) -> bytes | None:
        return data.draw(st.sampled_from(sorted(of))) if of else None

    @rule(data=st.data())
    def give_back(self, data: Any) -> None:
        worker = self.pick(data, self.held)
        if worker is not None:
            self.do_give_back(worker)
            self.decide()

    def do_give_back(self, worker: bytes) -> None:
        client = self.held.pop(worker)
        self.carry_out(self.leases.returned(client, worker, 0))
        assert self.leases.returned(client, worker, 0) == [], "came twice"

    @rule(data=st.data())
    def says_blocked_or_unblocked(self, data: Any) -> None:
        # Whatever it is doing by now: this comes over another socket than what its caller says.
        worker = self.pick(data, self.alive)
        if worker is not None:
            self.do_say(worker)
            self.decide()

    def do_say(self, worker: bytes) -> None:
        if worker in self.waits:
            self.waits.discard(worker)
            self.leases.unblocked(worker)
        else:
            self.waits.add(worker)
            self.leases.blocked(worker)

    @rule(data=st.data())
    def worker_dies(self, data: Any) -> None:
        worker = self.pick(data, self.alive)
        if worker is not None:
            self.do_die(worker)
            self.decide()

    def do_die(self, worker: bytes) -> None:
        self.alive.discard(worker)
        self.leases.worker_died(worker)
        for group in (self.retiring, self.doomed, self.waits, self.revoked):
            group.discard(worker)
        self.held.pop(worker, None)
        self.actors.pop(worker, None)
        self.carry_out(self.leases.client_died(worker))

    @precondition(lambda self: self.retiring)
    @rule(data=st.data(), stays=st.booleans())
    def answers_retire(self, data: Any, stays: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.retiring)))
        if stays:
            if not self.leases.workers[worker].outdated:
                self.retiring.discard(worker)
            self.leases.worker_ready(worker, self.numbers)
        else:
            self.do_die(worker)
        self.decide()

    @rule(before=st.integers(0, 20))
    def idle(self, before: int) -> None:
        self.carry_out(self.leases.idle_since(before))
        self.decide()

    @rule()
    def restart(self) -> None:
        self.revoked.clear()  # restart says so once more
        self.carry_out(self.leases.restart())
        self.decide()

    # What always holds.

    @invariant()
    def resources_add_up(self) -> None:
        leases = self.leases
        used: dict[str, int] = {}
        devices = [0] * len(leases.node.devices.free)
        for worker in leases.workers.values():
            for name, amount in worker.resources.items():
                if not (worker.blocked and name == "CPU"):
                    used[name] = used.get(name, 0) + amount
            for device, share in worker.devices.items():
                devices[device] += share
        for name, total in leases.resources.total.items():
            available = leases.resources.available[name]
            assert available == total - used.get(name, 0), name
            assert available >= 0 or name == "CPU", "only a CPU is ever lent"
        for free, taken in zip(leases.node.devices.free, devices, strict=True):
            assert free + taken == ONE
            assert 0 <= free <= ONE

    @invariant()
    def table_and_clients_agree(self) -> None:
        for address, worker in self.leases.workers.items():
            assert (worker.state is WorkerState.LEASED) == (address in self.held)
            assert (worker.state is WorkerState.ACTOR) == (address in self.actors)
            assert (worker.state is WorkerState.RETIRING) == (address in self.retiring)
        assert self.leases.workers.keys() == self.alive
        assert self.leases.starting.total == self.forks
        if not self.actor_keys:  # a fork meant for an actor may get a task after all
            assert len(self.alive) + self.forks <= HARD

    def teardown(self) -> None:
        """Everything ends in good order: each request that can be met has been, all is back."""
        leases = self.leases
        for _ in range(200):
            for worker in sorted(self.waits):
                self.do_say(worker)
            while self.forks:
                self.fork_ends(1)
            for worker in sorted(self.doomed | self.actors.keys()):
                self.do_die(worker)
            for worker in sorted(self.retiring):
                self.do_die(worker)
            for worker in sorted(self.held.keys()):
                self.do_give_back(worker)
            self.decide()
            if not any((self.held, self.actors, self.forks, self.doomed, self.retiring)):
                break
        left = [r for r in leases.requests if leases.resources.feasible(r.resources)]
        assert not left, f"never met: {left}"
        for worker in sorted(self.alive):
            self.do_die(worker)
        assert leases.client_died(DRIVER) == []
        assert leases.requests == []
        assert leases.resources.available == leases.resources.total
        assert leases.node.devices.free == [ONE] * 2
        for left_over in (leases._idle, leases._unrevoked, leases._said_unmet):
            assert not left_over
        assert leases._actors == 0


TestAnyOrder = pytest.mark.timeout(300)(LeaseMachine.TestCase)  # a failure takes long to shrink
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
