"""The caller's side of actors: order, head of line, window, and one end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from paralab.object_ref import Mailbox
from paralab.state.actors import WINDOW, Actor, ActorState
from paralab.state.tasks import Task, Template
from paralab.task_spec import AS_ACTOR, TaskOptions

REF = (b"creator", 7)


class NoMailbox:
    """Nobody listens."""

    asleep = False

    def dropped(self, _entry: Any, /) -> None: ...

    def forgotten(self, _template: Any, /) -> None: ...

    def wake(self) -> None: ...


MAILBOX: Mailbox = NoMailbox()
TEMPLATE = Template(1, 1, None, TaskOptions(max_retries=AS_ACTOR), "method", MAILBOX)


def call(key: int, missing: int = 0) -> Task:
    task = Task(key, TEMPLATE, [], b"", (), (), 0, 0, 0, 0)
    task.missing = missing
    return task


def keys(calls: list[Task]) -> list[int]:
    return [task.key for task in calls]


@pytest.fixture
def actor() -> Actor:
    return Actor(REF)


def test_calls_wait_for_the_actors_place(actor: Actor) -> None:
    actor.queue.extend(map(call, (1, 2)))
    assert actor.sendable() == []
    actor.placed(b"worker", "its socket")
    assert actor.state is ActorState.ALIVE
    assert keys(actor.sendable()) == [1, 2]
    assert list(actor.inflight) == [1, 2]
    assert actor.sendable() == []


def test_the_head_holds_back_what_follows(actor: Actor) -> None:
    actor.placed(b"worker", None)
    head = call(2, missing=1)
    actor.queue.extend([call(1), head, call(3)])
    assert keys(actor.sendable()) == [1]
    head.missing = 0
    assert keys(actor.sendable()) == [2, 3]


def test_a_cancelled_call_holds_nothing_back(actor: Actor) -> None:
    actor.placed(b"worker", None)
    head = call(1, missing=1)
    head.cancelled = True
    actor.queue.extend([head, call(2)])
    assert keys(actor.sendable()) == [2]
    assert list(actor.inflight) == [2]


def test_only_so_many_calls_are_under_way(actor: Actor) -> None:
    actor.placed(b"worker", None)
    actor.queue.extend(map(call, range(WINDOW + 2)))
    assert len(actor.sendable()) == WINDOW
    del actor.inflight[0]
    assert keys(actor.sendable()) == [WINDOW]


def test_an_actor_ends_once_with_one_cause(actor: Actor) -> None:
    actor.placed(b"worker", None)
    actor.queue.extend([call(1), call(2), call(3, missing=1)])
    actor.sendable()
    assert keys(actor.died(b"why")) == [1, 2, 3]
    assert actor.died(b"something else") == []
    assert actor.cause == b"why"
    assert actor.state is ActorState.DEAD
    actor.placed(b"another", None)
    assert actor.state is ActorState.DEAD, "a place that comes late brings nobody back"
    assert actor.peer is None


def test_calls_that_were_on_their_way_fail_or_go_again_in_order(actor: Actor) -> None:
    actor.placed(b"worker", None)
    actor.max_task_retries = 1
    tired = call(1)
    tired.attempt = 1
    actor.queue.extend([tired, call(2), call(3), call(4, missing=1)])
    actor.sendable()
    assert keys(actor.lost()) == [1]
    assert actor.lost() == []
    assert actor.state is ActorState.RESTARTING
    assert not actor.inflight
    assert [(task.key, task.attempt) for task in actor.queue] == [(2, 1), (3, 1), (4, 0)]
    assert actor.sendable() == []
    actor.placed(b"another", None)
    assert keys(actor.sendable()) == [2, 3]
    assert keys(actor.lost()) == [2, 3]
    assert keys(actor.died(b"why")) == [4]


def test_what_waited_for_a_constructor_goes_again_for_nothing(actor: Actor) -> None:
    actor.placed(b"worker", None)
    actor.queue.extend([call(1), call(2)])
    actor.sendable()
    assert actor.lost(has_begun=False) == []
    assert [(task.key, task.attempt) for task in actor.queue] == [(1, 0), (2, 0)]


def test_a_method_may_say_itself_how_often_it_is_retried(actor: Actor) -> None:
    actor.max_task_retries = 5
    of = Template(1, 1, None, TaskOptions(max_retries=0), "m", MAILBOX)
    never = Task(1, of, [], b"", (), (), 0, 0, 0, 0)
    assert not actor.may_retry(never)
    cancelled = call(2)
    cancelled.cancelled = True
    assert not actor.may_retry(cancelled)


class ActorMachine(RuleBasedStateMachine):
    """Each call is sent in the order of the calls, or fails; none twice."""

    def __init__(self) -> None:
        super().__init__()
        self.actor = Actor(REF)
        self.made = 0
        self.sent: list[int] = []
        self.failed: list[int] = []
        self.answered: set[int] = set()
        self.cancelled: set[int] = set()

    @precondition(lambda self: self.actor.state is not ActorState.DEAD)
    @rule(missing=st.integers(0, 2))
    def call(self, missing: int) -> None:
        self.made += 1
        self.actor.queue.append(call(self.made, missing))
        self.send()

    @rule(data=st.data())
    def input_settles(self, data: st.DataObject) -> None:
        waiting = [task for task in self.actor.queue if task.missing]
        if waiting:
            data.draw(st.sampled_from(waiting)).missing -= 1
            self.send()

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.actor.queue:
            task = data.draw(st.sampled_from(list(self.actor.queue)))
            task.cancelled = True
            self.cancelled.add(task.key)
            self.send()

    @precondition(lambda self: self.actor.state is ActorState.ALIVE)
    @rule(retries=st.integers(-1, 1))
    def lose(self, retries: int) -> None:
        """Its process dies; what goes again is sent a second time, in the old order."""
        self.actor.max_task_retries = retries
        under_way = list(self.actor.inflight)
        failed = keys(self.actor.lost())
        self.failed = sorted(self.failed + failed)
        again = [key for key in under_way if key not in failed]
        assert keys(list(self.actor.queue))[: len(again)] == again
        self.sent = [key for key in self.sent if key not in again]
        self.send()

    @rule()
    def place(self) -> None:
        self.actor.placed(b"worker", None)
        self.send()

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        if self.actor.inflight:
            key = data.draw(st.sampled_from(sorted(self.actor.inflight)))
            del self.actor.inflight[key]
            self.answered.add(key)

    @rule()
    def die(self) -> None:
        self.failed += keys(self.actor.died(b"why"))

    def send(self) -> None:
        sent = keys(self.actor.sendable())
        assert sent == sorted(sent), "out of order"
        assert not set(sent) & set(self.sent), "twice"
        self.sent += sent
        queue = self.actor.queue
        if queue and self.actor.state is ActorState.ALIVE:
            assert queue[0].missing
            assert not queue[0].cancelled

    def teardown(self) -> None:
        self.failed += keys(self.actor.died(b"why"))
        assert len(self.failed) == len(set(self.failed))
        ended = self.answered | set(self.failed) | self.cancelled
        assert ended == set(range(1, self.made + 1)), "each call ends"
        assert not self.answered & set(self.failed)


TestAnyOrder = pytest.mark.timeout(300)(ActorMachine.TestCase)  # a failure takes long to shrink
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
