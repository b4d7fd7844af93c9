"""A wide request is not overtaken for ever, and a reservation never holds up what it waits for."""

from __future__ import annotations

from paralab.state.lease_instructions import Grant, Instruction
from paralab.state.leases import LeaseTable
from paralab.state.reservation import FIRST_SPAN_NS, RESERVE_AFTER_NS, is_due
from paralab.state.resources import Resources
from paralab.task_spec import RESOURCE_UNIT as ONE

DRIVER = b"driver"
CPU = {"CPU": ONE}
BOTH = {"CPU": 2 * ONE}
START = 1_000
LATER = START + RESERVE_AFTER_NS


def table() -> LeaseTable:
    leases = LeaseTable(Resources({"CPU": 2 * ONE}), 64, 2000)
    for worker in (b"w1", b"w2", b"w3"):
        leases.worker_ready(worker, 0)
    return leases


def granted(instructions: list[Instruction]) -> list[int]:
    return [i.class_number for i in instructions if isinstance(i, Grant)]


def waiting_wide() -> LeaseTable:
    """One CPU in use by b"w3", and a request for both that has waited."""
    leases = table()
    leases.want(DRIVER, 1, CPU, 1, 1, "narrow")
    leases.decide(START)
    leases.want(DRIVER, 2, BOTH, 1, 1, "wide")
    leases.decide(START)
    return leases


def test_at_first_a_wide_request_is_overtaken() -> None:
    leases = waiting_wide()
    leases.want(b"other", 1, CPU, 1, 1, "narrow")
    assert granted(leases.decide(LATER - 1)) == [1]


def test_one_that_has_waited_is_not() -> None:
    leases = waiting_wide()
    leases.want(b"other", 1, CPU, 1, 1, "narrow")
    assert granted(leases.decide(LATER)) == []
    leases.returned(DRIVER, b"w3", LATER)
    assert granted(leases.decide(LATER)) == [2]
    assert not leases.node.planned


def test_endless_small_requests_do_not_starve_it() -> None:
    leases = waiting_wide()
    running = [(DRIVER, b"w3")]
    for number in range(100):  # one ends only when the next one waits already
        now = START + number * RESERVE_AFTER_NS // 10
        leases.want(b"other" if number % 2 else b"another", 1, CPU, 1, 1, "narrow")
        for instruction in leases.decide(now):
            if isinstance(instruction, Grant):
                if instruction.class_number == 2:
                    assert number > 10
                    return
                running.append((instruction.client, instruction.worker))
        leases.returned(*running.pop(0), now)
    raise AssertionError("it starved")


def test_deeper_requests_are_not_held_up() -> None:
    leases = waiting_wide()
    leases.want(b"w3", 1, CPU, 1, 2, "child of the running one")
    assert granted(leases.decide(LATER)) == [1]


def test_nothing_is_reserved_against_a_blocked_task_or_an_actor() -> None:
    leases = table()
    leases.want(DRIVER, 1, CPU, 1, 1, "waits")
    leases.decide(START)
    leases.blocked(b"w3")
    leases.want_actor(DRIVER, (DRIVER, 7), CPU, CPU, 1, "A")
    leases.decide(START)
    leases.want(DRIVER, 2, BOTH, 1, 1, "wide")
    leases.want(b"other", 1, CPU, 1, 1, "for which the blocked one waits")
    leases.decide(START)
    # The actor holds one CPU for life: the wide request may never be met.
    assert granted(leases.decide(LATER)) == []
    assert leases.resources.available["CPU"] == 0


def test_a_reservation_lapses_and_comes_back_for_longer() -> None:
    assert not is_due(RESERVE_AFTER_NS - 1)
    waited = RESERVE_AFTER_NS
    for span in (FIRST_SPAN_NS, 2 * FIRST_SPAN_NS, 4 * FIRST_SPAN_NS):
        assert is_due(waited)
        assert is_due(waited + span - 1)
        assert not is_due(waited + span)
        assert not is_due(waited + 2 * span - 1)
        waited += 2 * span


def test_what_it_waits_for_unknown_to_us_runs_when_it_lapses() -> None:
    leases = waiting_wide()
    leases.want(b"other", 1, CPU, 1, 1, "for which the running one waits, by a file")
    assert granted(leases.decide(LATER)) == []
    assert granted(leases.decide(LATER + FIRST_SPAN_NS)) == [1]
