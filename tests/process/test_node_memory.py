"""What the memory monitor does at each look, with a clock that jumps and sizes that are made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from paralab import limits
from paralab.ids import make_address
from paralab.messages import SHORT_OF_MEMORY, WHAT_RUNS
from paralab.process.node_memory import ANSWER_SECONDS, FAREWELL_LOOKS, LATE, NodeMemory
from paralab.state.lease_parts import WorkerState
from paralab.state.leases import LeaseTable, Retire
from paralab.state.resources import Resources

NODE = b"n" * 8
DRIVER = make_address(NODE, 1, 1)
MB = 1_000_000
LIMIT = 1_000 * MB
REFRESH_MS = 250
FAREWELL_SECONDS = FAREWELL_LOOKS * REFRESH_MS / 1000


class Machine:
    """A node as its memory monitor sees it: workers of so many MB, and what is sent and killed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **sizes: int) -> None:
        self.sizes = {pid: size * MB for pid, size in enumerate(sizes.values(), 100)}
        self.addresses = {name: make_address(NODE, n, 1) for n, name in enumerate(sizes, 10)}
        self.posted: list[tuple[Any, ...]] = []
        self.retired: list[str] = []
        self.killed: list[str] = []
        self.leases = LeaseTable(Resources({"CPU": 40_000}), 64, 2_000)
        self.clients = {
            address: SimpleNamespace(pid=pid, address=address)
            for pid, address in zip(self.sizes, self.addresses.values(), strict=True)
        }
        for address in self.clients:
            self.leases.worker_ready(address, 0)
        for name in sizes:
            if name.startswith("task"):
                worker = self.leases.workers[self.addresses[name]]
                worker.state, worker.holder = WorkerState.LEASED, DRIVER
        settings = {
            "memory_usage_threshold": 0.9,
            "memory_limit_bytes": LIMIT,
            "memory_monitor_refresh_ms": REFRESH_MS,
        }
        node: Any = SimpleNamespace(
            config={"settings": settings},
            leases=self.leases,
            clients=self.clients,
            helpers=[],
            node_id=NODE,
            drivers=SimpleNamespace(is_driver=lambda _client: False),
            pool=SimpleNamespace(zygote_pid=1, kill=lambda at: self.killed.append(self.name(at))),
            arena=SimpleNamespace(allocated=lambda: 0),
            directory=SimpleNamespace(by_worker={}),
            reclaim_store=lambda: 0,
            carry_out=self.carry_out,
            post=lambda to, message: self.posted.append((to, *message)),
        )
        self.memory = NodeMemory(node)
        for measure in ("private_memory", "proportional_memory"):
            monkeypatch.setattr(limits, measure, lambda pid: self.sizes.get(pid, 0))
        monkeypatch.setattr(limits, "descendants", lambda _pid: [])

    def name(self, address: bytes) -> str:
        return next(name for name, each in self.addresses.items() if each == address)

    def carry_out(self, instruction: Any) -> None:
        assert isinstance(instruction, Retire)
        self.retired.append(self.name(instruction.worker))

    def look(self, now: float) -> None:
        self.memory.look(now)

    def ended(self, name: str) -> None:
        """A process is gone."""
        address = self.addresses[name]
        del self.sizes[self.clients.pop(address).pid]
        self.leases.worker_died(address)
        self.memory.ended(address)


def test_who_said_that_it_ends_and_does_not_is_killed_in_the_place_of_a_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, idle=500, task=450)
    machine.look(0.0)
    assert machine.retired == ["idle"]
    machine.memory.farewells.add(machine.addresses["idle"])
    machine.look(FAREWELL_SECONDS * 0.9)
    assert machine.killed == []
    machine.look(FAREWELL_SECONDS)
    assert machine.killed == ["idle"]
    assert machine.memory.why(machine.addresses["idle"]) == LATE
    machine.look(FAREWELL_SECONDS * 9)
    assert machine.posted == [], "nobody is asked while its memory is to come"
    machine.ended("idle")
    machine.look(FAREWELL_SECONDS * 10)
    assert machine.posted == [], "there is room again"
    assert not machine.memory.farewells
    assert machine.memory.why(machine.addresses["idle"]) == ""


def test_one_that_has_not_answered_may_own_what_others_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, idle=500, task=450)
    machine.look(0.0)
    machine.look(FAREWELL_SECONDS)
    assert machine.killed == []
    assert machine.posted == [(DRIVER, WHAT_RUNS, [machine.addresses["task"]])]
    machine.look(FAREWELL_SECONDS + ANSWER_SECONDS)
    assert machine.killed == ["task"]
    (_, kind, worker, text, again) = machine.posted[-1]
    assert (kind, worker, again) == (SHORT_OF_MEMORY, machine.addresses["task"], False)
    assert "450 MB for task ? (its caller has not said which in time): " in text


def test_one_that_was_to_end_before_is_awaited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, idle=500, task=450)
    assert machine.leases.retire([machine.leases.workers[machine.addresses["idle"]]])
    machine.memory.farewells.add(machine.addresses["idle"])
    machine.look(0.0)
    machine.look(FAREWELL_SECONDS)
    assert (machine.posted, machine.killed) == ([], ["idle"])


def test_idle_workers_that_hold_little_go_if_together_they_are_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, idle_1=15, idle_2=15, task=880)
    machine.look(0.0)
    assert (machine.retired, machine.posted) == (["idle_1", "idle_2"], [])
    machine = Machine(monkeypatch, idle_1=15, idle_2=15, task=960)
    machine.look(0.0)
    assert machine.retired == [], "30 MB, where 90 are too much"
    assert machine.posted
