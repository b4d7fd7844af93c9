"""The caller's task table: which worker gets which tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from paralab.object_ref import Mailbox
from paralab.state.at_most_once import TriedOnce
from paralab.state.ownership import Entry
from paralab.state.tasks import (
    MAX_QUEUED,
    QUEUE_NS,
    SHORT_NS,
    STALLED_NS,
    UNKNOWN_NS,
    LeasedWorker,
    SchedulingClass,
    Task,
    TaskTable,
    Template,
    next_attempt,
)
from paralab.task_spec import TaskOptions

SHORT, LONG = 10_000, 50_000_000


class NoMailbox:
    """Keeps what finalisers leave."""

    asleep = False

    def __init__(self) -> None:
        self.forgets: list[Any] = []

    def dropped(self, _entry: Any, /) -> None: ...

    def forgotten(self, template: Any, /) -> None:
        self.forgets.append(template)

    def wake(self) -> None: ...


MAILBOX: Mailbox = NoMailbox()
PEER = object()
"""What stands for the link to a worker."""


def template(mean_ns: int = UNKNOWN_NS, **options: Any) -> Template:
    made = Template(1, 0, None, TaskOptions(**options), "f", MAILBOX)
    made.mean_ns = mean_ns
    return made


UNKNOWN_ONE, SHORT_ONE, LONG_ONE = template(), template(SHORT), template(LONG)


def test_what_may_run_once_only_is_never_queued() -> None:
    once = TriedOnce(1, 0, None, TaskOptions(max_retries=0), "f", MAILBOX)
    for _ in range(10):
        once.measured(0, SHORT)
    assert once.mean_ns == UNKNOWN_NS


def task(key: int, of: Template = SHORT_ONE) -> Task:
    return Task(key, of, [], b"", (), (), 0, 0, 0, 0)


def table_with_workers(count: int) -> tuple[TaskTable, SchedulingClass]:
    table = TaskTable()
    cls = table.scheduling_class(TaskOptions(resources={"CPU": 10_000}), 1)
    lease(table, cls, *(b"w%d" % number for number in range(1, count + 1)))
    return table, cls


def lease(table: TaskTable, cls: SchedulingClass, *addresses: bytes) -> None:
    for address in addresses:
        needed = task(0)
        cls.queue.append(needed)
        assert table.lease(cls.number, address, PEER, 0) is not None
        cls.queue.remove(needed)


def shares(assigned: Sequence[tuple[LeasedWorker, list[Task]]]) -> list[list[int]]:
    return [[each.key for each in tasks] for _worker, tasks in assigned]


# -- the class ---------------------------------------------------------------------------------


def test_same_resources_and_depth_are_one_class() -> None:
    table = TaskTable()
    cls = table.scheduling_class(TaskOptions(resources={"CPU": 1, "x": 2}), 1)
    assert table.scheduling_class(TaskOptions(resources={"x": 2, "CPU": 1}), 1) is cls
    assert table.scheduling_class(TaskOptions(resources={"x": 2, "CPU": 1}), 2) is not cls
    assert table.scheduling_class(TaskOptions(resources={"CPU": 1}), 1) is not cls
    assert all(table.by_number[each.number] is each for each in table.classes.values())


# -- assign ------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [UNKNOWN_ONE, LONG_ONE], ids=["unknown", "long"])
def test_unknown_and_long_tasks_go_one_at_a_time(of: Template) -> None:
    _table, cls = table_with_workers(2)
    cls.queue.extend(task(key, of) for key in range(1, 6))
    assert shares(cls.assign(0)) == [[1], [2]]
    assert shares(cls.assign(0)) == []
    assert [each.key for each in cls.queue] == [3, 4, 5]


def test_short_tasks_are_shared_out_evenly() -> None:
    _table, cls = table_with_workers(3)
    cls.queue.extend(task(key) for key in range(1, 8))
    assert shares(cls.assign(0)) == [[1, 2, 3], [4, 5, 6], [7]]


def test_workers_that_are_still_to_come_count() -> None:
    _table, cls = table_with_workers(1)
    cls.requested = 3
    cls.queue.extend(task(key) for key in range(1, 9))
    assert shares(cls.assign(0)) == [[1, 2]], "a quarter each"


def test_no_more_is_queued_than_a_few_milliseconds() -> None:
    _table, cls = table_with_workers(1)
    mean = SHORT_NS - 1
    cls.queue.extend(task(key, template(mean)) for key in range(1, 1000))
    ((_worker, tasks),) = cls.assign(0)
    assert 1 < len(tasks) * mean <= QUEUE_NS
    _table, cls = table_with_workers(1)
    cls.queue.extend(task(key, template(0)) for key in range(1, 10 * MAX_QUEUED))
    assert sum(map(len, shares(cls.assign(0)))) == MAX_QUEUED


def test_a_long_task_is_not_queued_behind_short_ones() -> None:
    _table, cls = table_with_workers(1)
    cls.queue.extend([task(1), task(2, LONG_ONE), task(3)])
    assert shares(cls.assign(0)) == [[1]]
    assert shares(cls.assign(0)) == []


@pytest.mark.parametrize("of", [UNKNOWN_ONE, LONG_ONE], ids=["unknown", "long"])
def test_a_short_task_is_not_queued_behind_a_long_one(of: Template) -> None:
    _table, cls = table_with_workers(1)
    cls.queue.append(task(1, of))
    assert shares(cls.assign(0)) == [[1]]
    cls.queue.extend(task(key) for key in range(2, 5))
    assert shares(cls.assign(0)) == []


def test_a_cancelled_head_lets_no_long_task_into_a_queue() -> None:
    _table, cls = table_with_workers(1)
    cls.queue.append(task(1))
    assert shares(cls.assign(0)) == [[1]]
    cls.queue.extend([task(2), task(3, LONG_ONE)])
    cls.queue[0].cancelled = True
    assert shares(cls.assign(0)) == []


def test_the_milliseconds_count_for_every_task_that_is_queued() -> None:
    _table, cls = table_with_workers(1)
    nearly_long = template(SHORT_NS - 1)
    cls.queue.append(task(1, template(0)))
    cls.queue.extend(task(key, nearly_long) for key in range(2, 500))
    ((_worker, tasks),) = cls.assign(0)
    assert sum(each.template.mean_ns for each in tasks) <= QUEUE_NS + SHORT_NS


def test_cancel_takes_a_task_out_of_its_queue_or_names_who_has_it() -> None:
    table, cls = table_with_workers(1)
    (worker,) = cls.workers.values()
    worker.peer = object()
    inflight, queued, waiting = (task(n, LONG_ONE) for n in (1, 2, 3))
    cls.queue += [inflight, queued]
    assert shares(cls.assign(0)) == [[1]]
    assert table.cancel(queued) is None
    assert not cls.queue
    assert table.cancel(inflight) is worker.peer
    assert worker.inflight == {1: inflight}, "until it is answered"
    assert table.cancel(waiting) is None
    assert all(each.cancelled for each in (queued, inflight, waiting))
    assert not next_attempt(inflight, begun=False)


def test_a_cancelled_task_is_left_out() -> None:
    _table, cls = table_with_workers(1)
    cls.queue.extend(task(key) for key in range(1, 4))
    for each in list(cls.queue)[:2]:
        each.cancelled = True
    assert shares(cls.assign(0)) == [[3]]
    last = task(4)
    last.cancelled = True
    _table, cls = table_with_workers(1)
    cls.queue.append(last)
    assert shares(cls.assign(0)) == []
    assert not cls.queue


def test_a_worker_that_is_asked_for_its_queue_or_revoked_gets_nothing() -> None:
    table, cls = table_with_workers(2)
    table.leases[b"w1"].taking = True
    table.leases[b"w2"].until = 100
    cls.queue.extend(task(key) for key in range(1, 3))
    assert shares(cls.assign(100)) == []
    assert shares(cls.assign(99)) == [[1]]


def test_tasks_that_were_not_begun_go_to_the_front_in_order() -> None:
    table, cls = table_with_workers(1)
    cls.queue.extend(task(key) for key in range(1, 6))
    cls.assign(0)
    cls.queue.append(task(6))
    worker = table.leases[b"w1"]
    cls.take_back([3, 4, 5, 99], worker)
    assert [each.key for each in cls.queue] == [3, 4, 5, 6]
    assert list(worker.inflight) == [1, 2]
    assert all(each.worker is None for each in cls.queue)


# -- leases ------------------------------------------------------------------------------------


def test_a_queue_behind_a_task_that_takes_long_is_noticed() -> None:
    table, cls = table_with_workers(2)
    worker = table.leases[b"w1"]
    cls.queue.extend(task(key) for key in range(1, 5))
    cls.assign(1_000)
    assert cls.stalled(1_000 + STALLED_NS) == []
    assert worker in cls.stalled(1_001 + STALLED_NS)
    worker.taking = True
    assert worker not in cls.stalled(1_001 + STALLED_NS)


def test_idle_leases_are_found_and_revoked_ones_at_once() -> None:
    table, cls = table_with_workers(2)
    one, other = table.leases[b"w1"], table.leases[b"w2"]
    assert cls.idle(100, 100) == [one, other]
    assert cls.idle(99, 100) == []
    other.revoked = True
    assert cls.idle(99, 100) == [other]
    cls.queue.append(task(1))
    assert cls.idle(100, 100) == [other], "there is work: only who must go goes"
    cls.assign(100)
    assert one.inflight
    assert cls.idle(1000, 100) == [other]


def test_a_lease_that_nobody_needs_any_more_is_not_taken() -> None:
    table = TaskTable()
    cls = table.scheduling_class(TaskOptions(), 1)
    cls.requested = 1
    assert table.lease(cls.number, b"w1", PEER, 0) is None
    assert cls.requested == 0
    assert table.leases == {}


def test_a_worker_that_has_died_meanwhile_is_not_taken() -> None:
    table = TaskTable()
    cls = table.scheduling_class(TaskOptions(), 1)
    cls.queue.append(task(1))
    assert table.lease(cls.number, b"w1", None, 0) is None
    assert table.leases == {}


def test_ending_a_lease_leaves_its_tasks_to_be_seen() -> None:
    table, cls = table_with_workers(1)
    cls.queue.append(task(1))
    cls.assign(0)
    worker = table.end_lease(b"w1")
    assert worker is not None
    assert list(worker.inflight) == [1]
    assert cls.workers == table.leases == {}
    assert table.end_lease(b"w1") is None


# -- a task's life -----------------------------------------------------------------------------


def test_a_task_waits_for_each_missing_input() -> None:
    table = TaskTable()
    entries = [Entry(key, b"owner", MAILBOX) for key in (1, 2)]
    waits = task(9)
    table.enter(waits, entries)
    assert table.pending == {9: waits}
    assert [entry.waiting for entry in entries] == [[waits], [waits]]
    assert not table.input_settled(waits)
    assert table.input_settled(waits)


def test_an_input_given_twice_is_waited_for_twice() -> None:
    table = TaskTable()
    entry = Entry(1, b"owner", MAILBOX)
    waits = task(9)
    table.enter(waits, [entry, entry])
    assert entry.waiting == [waits, waits]
    assert [table.input_settled(each) for each in entry.waiting] == [False, True]


@pytest.mark.parametrize(("limit", "runs"), [(0, 1), (1, 2), (3, 4)])
def test_attempts_are_counted(limit: int, runs: int) -> None:
    each = task(1, template(max_retries=limit))
    attempts = 1
    while next_attempt(each, begun=True):
        attempts += 1
    assert attempts == runs
    assert next_attempt(each, begun=False), "what was not begun moves for nothing"
    assert each.attempt == limit
    each.cancelled = True
    assert not next_attempt(each, begun=False)


def test_endless_retries() -> None:
    each = task(1, template(max_retries=-1))
    assert all(next_attempt(each, begun=True) for _ in range(100))


def test_workers_are_told_of_templates_that_are_gone() -> None:
    mailbox = NoMailbox()
    made = Template(5, 0, None, TaskOptions(), "f", mailbox)
    del made
    assert mailbox.forgets == [], "nobody was sent it"
    made = Template(6, 0, None, TaskOptions(), "f", mailbox)
    made.sent_to.add(b"w1")
    del made
    assert mailbox.forgets == [(6, {b"w1"})]


# -- any order of events -----------------------------------------------------------------------


class TaskMachine(RuleBasedStateMachine):
    """Tasks of several functions on workers that come, go, answer and give back."""

    def __init__(self) -> None:
        super().__init__()
        self.table = TaskTable()
        self.cls = self.table.scheduling_class(TaskOptions(), 1)
        self.templates = [template(), template(SHORT), template(0), template(LONG)]
        self.now = 0
        self.made = 0
        self.names = 0
        self.answered: set[int] = set()
        self.cancelled: set[int] = set()
        self.queued_before: list[int] = []

    @initialize(count=st.integers(0, 3))
    def start(self, count: int) -> None:
        for _ in range(count):
            self.worker_comes()

    @rule(of=st.integers(0, 3), count=st.integers(1, 12))
    def submit(self, of: int, count: int) -> None:
        for _ in range(count):
            self.made += 1
            self.cls.queue.append(task(self.made, self.templates[of]))
            self.table.enter(self.cls.queue[-1], [])

    @rule()
    def worker_comes(self) -> None:
        self.names += 1
        self.cls.requested += 1
        worker = self.table.lease(1, b"w%d" % self.names, PEER, self.now)
        assert (worker is None) == (not self.cls.queue)

    @rule(requested=st.integers(0, 3))
    def assign(self, requested: int) -> None:
        self.now += 1
        cls = self.cls
        cls.requested = requested
        before = [each.key for each in cls.queue if not each.cancelled]
        held = {address: len(worker.inflight) for address, worker in cls.workers.items()}
        waiting = len(cls.queue) + sum(held.values())
        gone: list[int] = []
        for worker, tasks in cls.assign(self.now):
            assert tasks
            assert not worker.taking
            assert worker.until > self.now
            count = held[worker.address] + len(tasks)
            behind = tasks if held[worker.address] else tasks[1:]
            if not self.cancelled:  # else see the test of a cancelled head
                assert all(0 <= each.template.mean_ns < SHORT_NS for each in behind)
            if behind:
                assert count <= -(-waiting // (len(held) + requested)), "more than its share"
                assert count <= MAX_QUEUED
            assert list(worker.inflight.values())[held[worker.address] :] == tasks
            gone += [each.key for each in tasks]
        left = [each.key for each in cls.queue if not each.cancelled]
        assert gone + left == before, "lost, doubled or out of order"
        if left:  # nobody who may get work stands idle
            assert all(
                worker.inflight or worker.taking or worker.until <= self.now
                for worker in cls.workers.values()
            )

    def pick(self, data: st.DataObject) -> LeasedWorker | None:
        workers = sorted(self.table.leases)
        return self.table.leases[data.draw(st.sampled_from(workers))] if workers else None

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        worker = self.pick(data)
        if worker is not None and worker.inflight:
            key = next(iter(worker.inflight))
            each = self.table.answered(key)
            assert each is not None
            assert self.table.answered(key) is None, "came twice"
            self.answered.add(key)
            worker.answered = self.now

    @rule(data=st.data())
    def asks_back(self, data: st.DataObject) -> None:
        worker = self.pick(data)
        if worker is not None:
            worker.taking = True

    @rule(data=st.data(), begun=st.integers(0, 2))
    def gives_back(self, data: st.DataObject, begun: int) -> None:
        worker = self.pick(data)
        if worker is not None:
            keys = list(worker.inflight)[begun:]
            waiting = [each.key for each in self.cls.queue]
            self.cls.take_back(keys, worker)
            worker.taking = False
            assert [each.key for each in self.cls.queue] == keys + waiting

    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        worker = self.pick(data)
        if worker is not None:
            worker.revoked = True
            worker.until = self.now + 2

    @rule(data=st.data())
    def worker_goes(self, data: st.DataObject) -> None:
        worker = self.pick(data)
        if worker is not None:
            assert self.table.end_lease(worker.address) is worker
            for each in reversed(list(worker.inflight.values())):
                each.worker = None
                self.cls.queue.appendleft(each)

    @precondition(lambda self: self.cls.queue)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(list(self.cls.queue)))
        each.cancelled = True
        self.cancelled.add(each.key)
        self.table.answered(each.key)

    @invariant()
    def each_task_is_in_one_place(self) -> None:
        places = [each.key for each in self.cls.queue if not each.cancelled]
        for worker in self.table.leases.values():
            places += list(worker.inflight)
            assert all(each.worker is worker for each in worker.inflight.values())
        assert len(places) == len(set(places))
        assert set(places) == self.table.pending.keys()
        assert set(places) | self.answered | self.cancelled == set(range(1, self.made + 1))
        assert self.cls.workers == self.table.leases


TestAnyOrder = pytest.mark.timeout(300)(TaskMachine.TestCase)  # a failure takes long to shrink
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
