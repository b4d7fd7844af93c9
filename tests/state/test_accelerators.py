"""Which GPU a task gets."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from paralab.state.accelerators import Accelerators
from paralab.task_spec import RESOURCE_UNIT as ONE


def test_whole_devices_for_whole_requests() -> None:
    devices = Accelerators(3)
    assert devices.take(2 * ONE) == {0: ONE, 1: ONE}
    assert devices.take(2 * ONE) == {}
    assert devices.take(ONE) == {2: ONE}
    devices.give({1: ONE})
    assert devices.take(ONE) == {1: ONE}


def test_fractions_share_a_device_so_that_others_stay_whole() -> None:
    devices = Accelerators(2)
    first = devices.take(ONE // 2)
    assert devices.take(ONE // 4) == {0: ONE // 4}
    assert devices.take(ONE) == {1: ONE}
    assert devices.take(ONE // 2) == {}, "a fraction is never made of two devices"
    devices.give(first)
    assert devices.take(ONE // 2) == {0: ONE // 2}


def test_the_fullest_device_with_room_is_taken() -> None:
    devices = Accelerators(3)
    devices.take(3000)
    devices.take(8000)
    assert devices.free == [7000, 2000, ONE]
    assert devices.take(2000) == {1: 2000}
    assert devices.take(2000) == {0: 2000}


def test_nothing_asked_nothing_taken() -> None:
    devices = Accelerators(0)
    assert devices.fit(0)
    assert devices.take(0) == {}
    assert not devices.fit(1)
    assert not devices.fit(ONE)


class AcceleratorMachine(RuleBasedStateMachine):
    """Requests come and go in any order."""

    taken = Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.devices = Accelerators(3)
        self.out = 0

    @rule(target=taken, amount=st.one_of(st.integers(1, ONE), st.sampled_from([2 * ONE, 3 * ONE])))
    def take(self, amount: int) -> dict[int, int]:
        before = list(self.devices.free)
        fits = self.devices.fit(amount)
        taken = self.devices.take(amount)
        assert bool(taken) == fits
        assert sum(taken.values()) == (amount if taken else 0)
        assert amount >= ONE or len(taken) <= 1
        if not taken:
            assert self.devices.free == before
            whole = before.count(ONE)
            assert max(before) < amount if amount < ONE else whole * ONE < amount
        self.out += sum(taken.values())
        return taken

    @rule(taken=consumes(taken))
    def give(self, taken: dict[int, int]) -> None:
        self.devices.give(taken)
        self.out -= sum(taken.values())

    @invariant()
    def nothing_is_lost(self) -> None:
        assert all(0 <= free <= ONE for free in self.devices.free)
        assert sum(self.devices.free) + self.out == 3 * ONE


TestAnyOrder = pytest.mark.timeout(300)(
    AcceleratorMachine.TestCase
)  # a failure takes long to shrink
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
