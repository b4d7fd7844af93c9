"""Who holds what, among several processes whose messages are under way: any order, and deaths.

Each process has the real table; calls, replies, HOLD and RELEASE travel in queues of their own, one
for each pair.  What somebody living can reach is never freed while its owner lives, and when all
refs are gone and all messages have come nothing is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from paralab.object_ref import ObjectRef
from paralab.state.ownership import Entry, Ownership

pytestmark = pytest.mark.slow

NAMES = (b"ann", b"bob", b"cai")
who = st.sampled_from(NAMES)


class Changes:
    """A mailbox that only keeps what is dropped."""

    asleep = False

    def __init__(self) -> None:
        self.changes: deque[Any] = deque()
        self.dropped = self.changes.append

    def wake(self) -> None: ...


class Peer:
    """One process."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.mailbox = Changes()
        self.ownership = Ownership(name, self.mailbox)
        self.refs: list[ObjectRef] = []
        """What its user has."""
        self.sent: dict[int, tuple[bytes, ObjectRef]] = {}
        """Arguments are held until the reply."""
        self.calls: dict[int, tuple[bytes, ObjectRef]] = {}


class Processes(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.peers = {name: Peer(name) for name in NAMES}
        self.wires: dict[tuple[bytes, bytes], deque[Any]] = {
            (a, b): deque() for a in NAMES for b in NAMES if a != b
        }
        self.numbers = 0

    def send(self, a: bytes, b: bytes, *message: Any) -> None:
        if b in self.peers:
            self.wires[a, b].append(message)

    def register(self, by: Peer, ref: tuple[bytes, int], holder: bytes) -> None:
        owner, key = ref
        if owner == by.name and owner != holder:
            by.ownership.hold(key, holder, 1)
            if holder not in self.peers:
                self.free(by, [by.ownership.hold(key, holder, -1)])
        elif owner != holder:
            self.send(by.name, owner, "hold", key, holder)

    def free(self, peer: Peer, entries: Iterable[Entry | None]) -> None:
        for entry in entries:
            if entry is not None and peer.ownership.forget(entry) and entry.owner != peer.name:
                if entry.handed:
                    self.send(peer.name, entry.owner, "release", entry.key, entry.handed)
                    entry.handed = 0

    # -- what users and runtimes do ----------------------------------------------------------

    @rule(name=who)
    def put(self, name: bytes) -> None:
        if name in self.peers:
            self.numbers += 1
            peer = self.peers[name]
            peer.refs.append(ObjectRef(peer.ownership.own(self.numbers)))

    @rule(a=who, b=who, at=st.integers(0, 5))
    def call(self, a: bytes, b: bytes, at: int) -> None:
        if a != b and {a, b} <= self.peers.keys() and self.peers[a].refs:
            peer = self.peers[a]
            ref = peer.refs[at % len(peer.refs)]
            entry = ref._entry
            peer.mailbox.dropped((entry,))
            self.numbers += 1
            peer.sent[self.numbers] = (b, ObjectRef(entry))
            self.send(a, b, "call", self.numbers, (entry.owner, entry.key))

    @rule(keeps=st.booleans(), gives=st.booleans(), at=st.integers(0, 5))
    def reply(self, keeps: bool, gives: bool, at: int) -> None:
        busy = [peer for peer in self.peers.values() if peer.calls]
        if not busy:
            return
        peer = busy[at % len(busy)]
        name = peer.name
        number, (caller, ref) = peer.calls.popitem()
        entry = ref._entry
        if keeps:
            peer.mailbox.dropped((entry,))
            peer.refs.append(ObjectRef(entry))
        self.count(name)
        kept = []
        if entry.refs > 1 and entry.owner != name:
            entry.handed += 1
            kept.append((entry.owner, entry.key))
        given = []
        if gives and peer.refs:
            of = peer.refs[at % len(peer.refs)]._entry
            given.append((of.owner, of.key))
            self.register(peer, given[0], caller)
        self.send(name, caller, "result", number, kept, given)

    @rule(at=st.integers(0, 5))
    def drop(self, at: int) -> None:
        having = [peer.refs for peer in self.peers.values() if peer.refs]
        if having:
            refs = having[at % len(having)]
            del refs[at % len(refs)]

    @rule(name=who)
    def count(self, name: bytes) -> None:
        if name in self.peers:
            peer = self.peers[name]
            self.free(peer, peer.ownership.count(peer.mailbox.changes))

    @rule(at=st.integers(0, 5))
    def one_arrives(self, at: int) -> None:
        busy = [ends for ends, wire in self.wires.items() if wire]
        if busy:
            self.deliver(*busy[at % len(busy)])

    def deliver(self, a: bytes, b: bytes) -> None:
        peer = self.peers[b]
        match self.wires[a, b].popleft():
            case "call", number, ref:
                peer.calls[number] = (a, ObjectRef(peer.ownership.receive(ref, 0)))
            case "result", number, kept, given:
                for ref in kept:
                    self.register(peer, ref, a)
                peer.refs += [ObjectRef(peer.ownership.receive(ref, 1)) for ref in given]
                peer.sent.pop(number, None)
            case "hold", key, holder:
                if holder != b:
                    peer.ownership.hold(key, holder, 1)
                    if holder not in self.peers:
                        self.free(peer, [peer.ownership.hold(key, holder, -1)])
            case "release", key, count:
                self.free(peer, [peer.ownership.hold(key, a, -count)])

    @precondition(lambda self: self.numbers > 8)
    @rule(name=who)
    def dies(self, name: bytes) -> None:
        if len(self.peers) < 3 or name not in self.peers:
            return
        del self.peers[name]
        for other, peer in self.peers.items():
            self.wires[other, name].clear()
            while self.wires[name, other]:  # what it had sent is read first
                self.deliver(name, other)
            free, _orphans = peer.ownership.process_died(name)
            self.free(peer, free)
            for number in [n for n, (to, _ref) in peer.sent.items() if to == name]:
                del peer.sent[number]
            for number in [n for n, (of, _ref) in peer.calls.items() if of == name]:
                del peer.calls[number]

    # -- what holds --------------------------------------------------------------------------

    @invariant()
    def what_can_be_reached_is_there(self) -> None:
        for peer in self.peers.values():
            held = [*peer.refs, *(ref for _to, ref in peer.sent.values())]
            for entry in (ref._entry for ref in held):
                if entry.owner in self.peers:
                    assert self.peers[entry.owner].ownership.owned.get(entry.key) is not None

    def teardown(self) -> None:
        for peer in self.peers.values():
            peer.refs.clear()
        for _ in range(100):
            for name in self.peers:
                self.count(name)
            while any(peer.calls for peer in self.peers.values()):
                self.reply(keeps=False, gives=False, at=0)
            for (a, b), wire in self.wires.items():
                while b in self.peers and wire:
                    self.deliver(a, b)
            for peer in self.peers.values():
                peer.refs.clear()
        for peer in self.peers.values():
            assert not peer.sent
            assert not peer.ownership.owned
            assert not peer.ownership.borrowed


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
