"""Who holds which object: nothing is freed while it is needed, everything is at the end."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from paralab.messages import FAILED, INLINE, STORED
from paralab.object_ref import ObjectRef
from paralab.state.ownership import Entry, Ownership

ME, YOU, THIRD = b"me", b"you", b"third"


class Changes:
    """A mailbox that only keeps what is dropped."""

    asleep = False

    def __init__(self) -> None:
        self.changes: deque[Any] = deque()
        self.dropped = self.changes.append

    def wake(self) -> None: ...


@pytest.fixture
def mailbox() -> Changes:
    return Changes()


@pytest.fixture
def ownership(mailbox: Changes) -> Ownership:
    return Ownership(ME, mailbox)


def test_the_last_ref_frees(ownership: Ownership, mailbox: Changes) -> None:
    entry = ownership.own(1)
    ref: ObjectRef | None = ObjectRef(entry)
    mailbox.dropped((entry,))
    other: ObjectRef | None = ObjectRef(entry)
    assert ownership.count(mailbox.changes) == []
    del ref
    assert ownership.count(mailbox.changes) == []
    del other
    assert ownership.count(mailbox.changes) == [entry]
    assert ownership.forget(entry)
    assert not ownership.forget(entry), "once"
    assert ownership.owned == {}


def test_a_task_that_will_settle_it_keeps_an_entry(ownership: Ownership, mailbox: Changes) -> None:
    entry = ownership.own(1)
    entry.pending = True
    mailbox.dropped(entry)
    assert ownership.count(mailbox.changes) == []
    assert not ownership.forget(entry)
    assert ownership.settle(entry, INLINE, b"value") == []
    assert ownership.forget(entry)


def test_holds_may_arrive_after_their_release(ownership: Ownership, mailbox: Changes) -> None:
    entry = ownership.own(1)
    assert ownership.hold(1, YOU, 1) is None
    mailbox.dropped(entry)
    ownership.count(mailbox.changes)
    assert ownership.hold(1, YOU, -2) is None, "below zero is not free: a HOLD is on its way"
    assert not ownership.forget(entry)
    assert ownership.hold(1, YOU, 1) is entry
    assert ownership.forget(entry)


def test_the_dead_hold_nothing(ownership: Ownership, mailbox: Changes) -> None:
    mine, shared = ownership.own(1), ownership.own(2)
    for key, holder in ((1, YOU), (2, YOU), (2, THIRD)):
        ownership.hold(key, holder, 1)
    for entry in (mine, shared):
        mailbox.dropped(entry)
    ownership.count(mailbox.changes)
    theirs = ownership.receive((YOU, 9), 1)
    ownership.receive((THIRD, 9), 1)
    assert ownership.process_died(YOU) == ([mine], [theirs])
    assert ownership.process_died(YOU)[0] == []
    assert ownership.process_died(THIRD)[0] == [shared]


def test_a_borrowed_entry_collects_the_holds_that_came(
    ownership: Ownership, mailbox: Changes
) -> None:
    entry = ownership.receive((YOU, 1), 1)
    assert ownership.receive((YOU, 1), 1) is entry
    assert ownership.receive((YOU, 1), 0) is entry
    assert entry.handed == 2
    assert entry.refs == 3
    for _ in range(3):
        mailbox.dropped(entry)
    assert ownership.count(mailbox.changes) == [entry]
    assert ownership.forget(entry)
    assert ownership.borrowed == {}


def test_our_own_ref_that_comes_home_is_no_borrowing(ownership: Ownership) -> None:
    entry = ownership.own(1)
    assert ownership.receive((ME, 1), 1) is entry
    assert entry.handed == 0
    assert ownership.borrowed == {}


def test_a_ref_that_comes_back_before_the_count_revives(
    ownership: Ownership, mailbox: Changes
) -> None:
    entry = ownership.receive((YOU, 1), 1)
    mailbox.dropped(entry)
    mailbox.dropped((entry,))  # unpickled again by another thread
    free = ownership.count(mailbox.changes)
    assert not any(ownership.forget(each) for each in free)
    assert ownership.find(YOU, 1) is entry


def test_an_object_settles_once(ownership: Ownership) -> None:
    entry = ownership.own(1)
    entry.pending = True
    entry.waiting = ["a", "b"]
    assert ownership.settle(entry, INLINE, b"first") == ["a", "b"]
    assert ownership.settle(entry, FAILED, b"second") == []
    assert (entry.outcome, entry.payload) == (INLINE, b"first")
    assert entry.waiting is None
    assert not entry.pending


def test_forgetting_lets_go_of_the_refs_inside(ownership: Ownership, mailbox: Changes) -> None:
    inside = ownership.own(1)
    outer = ownership.own(2)
    outer.inner = [ObjectRef(inside)]
    mailbox.dropped(outer)
    (free,) = ownership.count(mailbox.changes)
    assert ownership.forget(free)
    assert ownership.count(mailbox.changes) == [inside]


def test_what_is_looked_at_in_the_store(ownership: Ownership) -> None:
    for key, outcome, payload in ((1, STORED, (0, 64)), (2, INLINE, b""), (3, STORED, None)):
        entry = ownership.receive((YOU, key), 1)
        entry.outcome, entry.payload = outcome, payload
    ownership.receive((THIRD, 4), 1).outcome = STORED
    assert ownership.stored_of(YOU) == [1]


def test_refs_that_are_still_alive_are_not_counted_twice(
    ownership: Ownership, mailbox: Changes
) -> None:
    refs = [ObjectRef(ownership.receive((YOU, 1), 1)) for _ in range(4)]
    kept = refs.pop()
    refs.clear()
    assert ownership.count(mailbox.changes) == []
    assert kept._entry.refs == 1


class OwnershipMachine(RuleBasedStateMachine):
    """Real refs are the model: what Python, a task or a holder still has is never freed."""

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = Changes()
        self.ownership = Ownership(ME, self.mailbox)
        self.key = 0
        self.refs: list[ObjectRef] = []
        self.pending: list[Entry] = []
        self.holds: dict[tuple[int, bytes], int] = {}
        self.entries: list[Entry] = []
        self.freed: set[int] = set()
        """Ids of entries; ``entries`` keeps them from being used again."""

    def entry_of(self, data: st.DataObject, entries: list[Entry]) -> Entry | None:
        return data.draw(st.sampled_from(entries)) if entries else None

    @rule(pending=st.booleans())
    def own(self, pending: bool) -> None:
        self.key += 1
        entry = self.ownership.own(self.key)
        self.entries.append(entry)
        self.refs.append(ObjectRef(entry))
        if pending:
            entry.pending = True
            self.pending.append(entry)

    @rule(owner=st.sampled_from([YOU, THIRD]), key=st.integers(1, 3), handed=st.integers(0, 1))
    def receive(self, owner: bytes, key: int, handed: int) -> None:
        entry = self.ownership.receive((owner, key), handed)
        if not any(entry is each for each in self.entries):
            self.entries.append(entry)
        self.refs.append(ObjectRef(entry))

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if self.refs:
            del self.refs[data.draw(st.integers(0, len(self.refs) - 1))]

    @rule(data=st.data())
    def copy(self, data: st.DataObject) -> None:
        if self.refs:
            # By index: what is drawn itself, Hypothesis keeps.
            entry = self.refs[data.draw(st.integers(0, len(self.refs) - 1))]._entry
            self.mailbox.dropped((entry,))
            self.refs.append(ObjectRef(entry))

    @rule(data=st.data(), outcome=st.sampled_from([INLINE, FAILED]))
    def settle(self, data: st.DataObject, outcome: int) -> None:
        entry = self.entry_of(data, self.pending)
        if entry is not None:
            self.pending.remove(entry)
            self.ownership.settle(entry, outcome, b"payload")
            self.free([entry])

    @rule(data=st.data(), holder=st.sampled_from([YOU, THIRD]), count=st.sampled_from([1, 1, -1]))
    def hold(self, data: st.DataObject, holder: bytes, count: int) -> None:
        entry = self.entry_of(data, list(self.ownership.owned.values()))
        if entry is not None:
            at = (entry.key, holder)
            self.holds[at] = self.holds.get(at, 0) + count
            free = self.ownership.hold(entry.key, holder, count)
            if free is not None:
                assert free is entry
                self.free([free])

    @rule(count=st.integers(1, 4))
    def look_into_the_mailbox(self, count: int) -> None:
        changes = self.mailbox.changes
        some = deque([changes.popleft() for _ in range(min(count, len(changes)))])
        self.free(self.ownership.count(some))

    @rule(address=st.sampled_from([YOU, THIRD]))
    def dies(self, address: bytes) -> None:
        free, orphans = self.ownership.process_died(address)
        for at in [at for at in self.holds if at[1] == address]:
            del self.holds[at]
        assert all(entry.owner == address for entry in orphans)
        self.free(free)

    def free(self, entries: list[Entry]) -> None:
        for entry in entries:
            if self.ownership.forget(entry):
                assert id(entry) not in self.freed, "freed twice"
                if entry.owner == ME:
                    self.freed.add(id(entry))

    @invariant()
    def needed_entries_are_there(self) -> None:
        ownership = self.ownership
        for ref in self.refs:
            entry = ref._entry
            assert ownership.find(entry.owner, entry.key) is entry
        for entry in self.pending:
            assert ownership.owned[entry.key] is entry
        for (key, holder), count in self.holds.items():
            if count:
                assert (ownership.owned[key].holders or {})[holder] == count

    @invariant()
    def counts_are_right_but_for_the_mailbox(self) -> None:
        waiting: dict[int, int] = {}
        for change in self.mailbox.changes:
            entry, by = (change[0], 1) if type(change) is tuple else (change, -1)
            waiting[id(entry)] = waiting.get(id(entry), 0) + by
        alive: dict[int, int] = {}
        for ref in self.refs:
            alive[id(ref._entry)] = alive.get(id(ref._entry), 0) + 1
        for entry in self.entries:
            assert entry.refs + waiting.get(id(entry), 0) == alive.get(id(entry), 0)

    def teardown(self) -> None:
        self.refs.clear()
        for entry in self.pending:
            self.ownership.settle(entry, INLINE, b"")
            self.free([entry])
        self.pending.clear()
        for address in (YOU, THIRD):
            self.dies(address)
        while self.mailbox.changes:
            self.free(self.ownership.count(self.mailbox.changes))
        assert not self.ownership.owned
        assert not self.ownership.borrowed


TestAnyOrder = pytest.mark.timeout(300)(OwnershipMachine.TestCase)  # a failure takes long to shrink
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
