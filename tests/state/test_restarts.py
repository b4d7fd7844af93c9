"""The life of an actor: what may follow what, and how often it is started again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paralab.state.restarts import FOR_EVER, Event, Life, Restarts


def placed(max_restarts: int) -> Restarts:
    restarts = Restarts(max_restarts)
    assert restarts.happened(Event.PLACED) is Life.ALIVE
    return restarts


def test_an_actor_is_started_again_as_often_as_it_may() -> None:
    restarts = placed(2)
    for count in (1, 2):
        assert restarts.may_restart()
        assert restarts.happened(Event.LOST) is Life.RESTARTING
        assert restarts.count == count
        assert restarts.happened(Event.PLACED) is Life.ALIVE
    assert not restarts.may_restart()
    assert restarts.happened(Event.ENDED) is Life.DEAD
    assert restarts.told() == "It was restarted 2 times (max_restarts=2)."


def test_for_ever() -> None:
    restarts = placed(FOR_EVER)
    restarts.count = 10**9
    assert restarts.may_restart()


def test_what_ends_on_purpose_is_not_started_again() -> None:
    restarts = placed(FOR_EVER)
    restarts.final = True
    assert not restarts.may_restart()


def test_nothing_is_said_of_restarts_that_were_never_promised() -> None:
    assert placed(0).told() == ""


def test_a_kill_before_there_is_a_process_uses_a_restart() -> None:
    restarts = Restarts(2)
    for _ in range(2):
        assert restarts.may_restart()
        assert restarts.happened(Event.LOST) is Life.RESTARTING
    assert not restarts.may_restart()
    assert restarts.happened(Event.PLACED) is Life.ALIVE


def test_what_cannot_be_is_an_error() -> None:
    restarts = placed(1)
    with pytest.raises(RuntimeError, match=r"An actor that is alive .* it has a process"):
        restarts.happened(Event.PLACED)
    restarts.happened(Event.ENDED)
    for event in Event:
        with pytest.raises(RuntimeError, match="An actor that is dead"):
            restarts.happened(event)


@given(st.integers(-1, 3), st.lists(st.sampled_from(Event)))
def test_any_order(max_restarts: int, events: list[Event]) -> None:
    restarts = Restarts(max_restarts)
    for drawn in events:
        ends = drawn is Event.LOST and not restarts.may_restart()
        event = Event.ENDED if ends else drawn
        before = restarts.life
        try:
            after = restarts.happened(event)
        except RuntimeError:
            assert restarts.life is before
            continue
        assert before is not Life.DEAD
        assert (after is Life.DEAD) == (event is Event.ENDED)
        assert max_restarts == FOR_EVER or restarts.count <= max_restarts
