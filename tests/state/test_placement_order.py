"""Requests and placement groups in any order: what is given out and what is free add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from paralab.state.lease_instructions import (
    EndWorker,
    Grant,
    GroupEnded,
    GroupMade,
    Instruction,
    PlaceActor,
    StartWorker,
    Unplaceable,
)
from paralab.state.leases import LeaseTable
from paralab.state.placement import Group, GroupState
from paralab.state.resources import Resources
from paralab.task_spec import RESOURCE_UNIT as ONE
from paralab.task_spec import Where

DRIVER = b"driver"
TOTAL = {"CPU": 4 * ONE, "GPU": 2 * ONE}
NEEDS: tuple[dict[str, int], ...] = (
    {},
    {"CPU": ONE},
    {"CPU": 2 * ONE},
    {"GPU": ONE // 2},
    {"CPU": ONE, "GPU": ONE},
)
STEP = 150_000_000
"""Of the clock, in ns: some requests reserve, some reservations lapse."""


class GroupMachine(RuleBasedStateMachine):
    """One client, some groups, and workers that come, wait, end and die as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = LeaseTable(Resources(TOTAL), 64, 2000)
        self.now = 1
        self.number = 0
        self.held: set[bytes] = set()
        self.actors: set[bytes] = set()

    def carry_out(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case StartWorker():
                    self.number += 1
                    self.leases.worker_ready(b"w%d" % self.number, self.now)
                case Grant(_client, _number, worker, _devices):
                    assert worker not in self.held | self.actors
                    self.held.add(worker)
                case PlaceActor(_client, _actor, worker, _devices):
                    self.actors.add(worker)
                case EndWorker(worker):
                    self.die(worker)
                case GroupMade(group):
                    assert group.state is GroupState.CREATED
                case GroupEnded(group):
                    assert group.state is GroupState.REMOVED
                case Unplaceable():
                    assert instruction.in_group

    def decide(self) -> None:
        while instructions := self.leases.decide(self.now):
            self.carry_out(instructions)

    def die(self, worker: bytes) -> None:
        self.held.discard(worker)
        self.actors.discard(worker)
        self.leases.worker_died(worker)

    def place(self, data: Any) -> Where | None:
        """Nowhere in particular, a group that there is or was, or one that never was."""
        ids = [None, "none", *self.leases.groups.groups]
        chosen = data.draw(st.sampled_from(ids))
        return None if chosen is None else Where(chosen, data.draw(st.integers(-1, 1)))

    @rule(data=st.data(), needs=st.sampled_from(NEEDS), depth=st.integers(1, 2))
    def want(self, data: Any, needs: dict[str, int], depth: int) -> None:
        self.number += 1
        place = self.place(data)
        self.leases.want(DRIVER, self.number, dict(needs), 1, depth, "task", place)
        self.decide()

    @rule(data=st.data(), needs=st.sampled_from(NEEDS))
    def want_actor(self, data: Any, needs: dict[str, int]) -> None:
        self.number += 1
        ref = (DRIVER, self.number)
        placing = {"CPU": ONE, **needs}
        self.leases.want_actor(DRIVER, ref, placing, dict(needs), 1, "actor", self.place(data))
        self.decide()

    @rule(
        bundles=st.lists(st.sampled_from(NEEDS[1:]), min_size=1, max_size=3),
        strategy=st.sampled_from(["PACK", "STRICT_SPREAD"]),
    )
    def create(self, bundles: list[dict[str, int]], strategy: str) -> None:
        self.number += 1
        copies = [dict(bundle) for bundle in bundles]
        group = Group(f"g{self.number}", copies, strategy, "", DRIVER, [], self.now)
        assert self.leases.want_group(group, DRIVER, 1)
        self.decide()

    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        living = self.leases.groups.owned_by(DRIVER)
        if living:
            self.carry_out(self.leases.remove_group(data.draw(st.sampled_from(living))))
            self.decide()

    @rule(data=st.data(), dies=st.booleans())
    def end(self, data: Any, dies: bool) -> None:
        busy = sorted(self.held | self.actors)
        if busy:
            worker = data.draw(st.sampled_from(busy))
            if dies or worker in self.actors:
                self.die(worker)
            else:
                self.held.discard(worker)
                self.carry_out(self.leases.returned(DRIVER, worker, self.now))
            self.decide()

    @rule(data=st.data(), goes_on=st.booleans())
    def waits(self, data: Any, goes_on: bool) -> None:
        busy = sorted(self.held | self.actors)
        if busy:
            worker = data.draw(st.sampled_from(busy))
            (self.leases.unblocked if goes_on else self.leases.blocked)(worker)
            self.decide()

    @rule(steps=st.integers(1, 20))
    def time_passes(self, steps: int) -> None:
        self.now += steps * STEP
        self.decide()

    @invariant()
    def it_adds_up(self) -> None:
        leases = self.leases
        pools = [leases.node, *(p for g in leases.groups.groups.values() for p in g.pools)]
        for name, total in TOTAL.items():
            there = sum(pool.resources.available.get(name, 0) for pool in pools)
            for worker in leases.workers.values():
                if not (worker.blocked and name == "CPU"):
                    there += worker.resources.get(name, 0)
            assert there == total, name
        shares = [sum(pool.devices.free[device] for pool in pools) for device in range(2)]
        for worker in leases.workers.values():
            for device, share in worker.devices.items():
                shares[device] += share
        assert shares == [ONE, ONE]
        assert not any(pool.planned for pool in pools)
        assert all(min(pool.devices.free) >= 0 for pool in pools)

    @invariant()
    def a_group_is_whole_or_not_there(self) -> None:
        for group in self.leases.groups.groups.values():
            made = group.state is GroupState.CREATED
            assert len(group.pools) == (len(group.bundles) if made else 0)

    def teardown(self) -> None:
        """Groups are removed, work ends: whatever can be met is, and all is back."""
        for group in self.leases.groups.owned_by(DRIVER):
            self.carry_out(self.leases.remove_group(group))
        for _ in range(300):
            self.decide()
            busy = sorted(self.held | self.actors)
            if not busy:
                break
            for worker in busy:
                self.die(worker)
        left = [r for r in self.leases.requests if self.leases.resources.feasible(r.resources)]
        assert not left, f"never met: {left}"
        assert self.leases.resources.available == TOTAL


TestAnyOrder = pytest.mark.timeout(300)(GroupMachine.TestCase)
