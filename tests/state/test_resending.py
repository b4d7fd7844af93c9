"""Sending again: whatever the wire does, each frame is handed on once and in order."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from paralab.state.resending import ACK_AFTER, NEVER, RESEND_AFTER, Resending


def test_nothing_is_due_where_nothing_is_sent() -> None:
    assert Resending().due() == NEVER


def test_what_is_not_acknowledged_goes_again_each_second() -> None:
    end = Resending()
    end.keep("a", 0.0)
    end.keep("b", 0.5)
    assert end.due() == RESEND_AFTER
    assert end.again(RESEND_AFTER - 0.01) == []
    assert end.again(RESEND_AFTER) == ["a", "b"]
    assert end.again(RESEND_AFTER + 0.01) == []
    assert end.again(2 * RESEND_AFTER) == ["a", "b"]
    assert end.acknowledged(1, 2.0) == ["a"]
    assert list(end.kept) == ["b"]
    assert end.due() == 2.0 + RESEND_AFTER, "the other side lives: it has another second"
    assert end.acknowledged(2, 2.0) == ["b"]
    assert end.due() == NEVER


def test_acknowledgements_may_come_late_and_twice() -> None:
    end = Resending()
    for frame in "abc":
        end.keep(frame, 0.0)
    assert end.acknowledged(2, 0.1) == ["a", "b"]
    assert end.acknowledged(1, 0.2) == []
    assert end.acknowledged(2, 0.3) == []
    assert end.acknowledged(1_000, 0.4) == ["c"], "nonsense acknowledges no more than there is"
    assert end.acknowledged(3, 0.5) == []


def test_who_receives_owes_an_acknowledgement_until_something_goes_back() -> None:
    end = Resending()
    assert end.arrived(1, "a", 5.0) == ["a"]
    assert end.due() == 5.0 + ACK_AFTER
    assert not end.owes(5.0)
    assert end.owes(5.0 + ACK_AFTER)
    end.told()
    assert end.due() == NEVER
    assert end.arrived(1, "a", 6.0) is None, "it came before"
    assert end.owes(6.0 + ACK_AFTER), "what was lost may have been the acknowledgement"


def test_a_gap_waits_for_what_is_missing() -> None:
    end = Resending()
    assert end.arrived(3, "c", 0.0) == []
    assert end.arrived(2, "b", 0.0) == []
    assert end.arrived(3, "c", 0.0) is None
    assert end.received == 0
    assert end.arrived(1, "a", 0.0) == ["a", "b", "c"]
    assert end.received == 3
    assert end.arrived(5, "e", 0.0) == []
    assert end.waiting() == ["e"]
    assert end.waiting() == []


@settings(max_examples=50)
@given(
    seed=st.integers(0, 1 << 32),
    counts=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    loss=st.floats(0.0, 0.8),
)
def test_a_wire_that_loses_doubles_and_reorders(
    seed: int, counts: tuple[int, int], loss: float
) -> None:
    """Two ends; time jumps to the next thing that is due, whatever the wire holds back."""
    chance = random.Random(seed)
    ends = Resending(), Resending()
    wires: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])  # number, seen
    heard: tuple[list[int], list[int]] = ([], [])
    to_send = list(counts)
    now, rounds = 0.0, 0

    def put(side: int, number: int) -> None:
        for _ in range(chance.choice((1, 1, 2))):
            if chance.random() >= loss:
                wires[side].insert(
                    chance.randint(0, len(wires[side])), (number, ends[side].received)
                )

    while any(to_send) or any(end.kept for end in ends) or any(wires):
        rounds += 1
        assert rounds < 100_000, f"it never ends with seed {seed}"
        side = chance.randrange(2)
        if to_send[side] and chance.random() < 0.5:
            number = ends[side].sent + 1
            ends[side].keep(number, now)
            to_send[side] -= 1
            ends[side].told()
            put(side, number)
        elif wires[side] and chance.random() < 0.7:
            number, seen = wires[side].pop(0)
            other = ends[1 - side]
            assert all(frame <= seen for frame in other.acknowledged(seen, now))
            if number:
                heard[1 - side].extend(other.arrived(number, number, now) or ())
        else:
            due = min(end.due() for end in ends)
            now = now + 0.01 if any(wires) else max(now, due) if due < NEVER else now
            for number in ends[side].again(now):
                put(side, number)
            if ends[side].owes(now):
                ends[side].told()
                put(side, 0)
    assert heard[1] == list(range(1, counts[0] + 1))
    assert heard[0] == list(range(1, counts[1] + 1))
