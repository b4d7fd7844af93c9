"""A client's objects: put, get, and who holds what of whom.

Small values stay with their owner, as bytes in the entry.  Large ones lie in the node's arena:
whoever makes one asks the node for room, writes once, and from then on every process looks at
the same memory.  What keeps that memory is the owner's entry, so a process that looks at it has
to be a borrower: the exporter of each view holds a ref.  Nothing else has to be counted.

    value ──pack──▶ bytes < INLINE_LIMIT ──▶ entry.payload
                    larger ──ALLOCATE──▶ node ──place──▶ copy into the arena ──SEAL──▶ node
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from paralab.exceptions import (
    ObjectLostError,
    ObjectStoreFullError,
    OwnerDiedError,
    ReferenceCountingAssertionError,
)
from paralab.ids import Address, object_id
from paralab.messages import (
    ALLOCATE,
    CONNECT,
    FAILED,
    FETCH,
    FREE,
    HOLD,
    INLINE,
    LOOKING,
    OBJECT,
    OWNER_DIED,
    RELEASE,
    SEAL,
    STORED,
)
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.process.looking import Looking
from paralab.process.notices import Notice
from paralab.remote_errors import of_failed_input, pack_failure, unpack_failure
from paralab.serialization import blob_parts, blob_size, join_blob, pack, read
from paralab.state.ownership import Entry, Ref
from paralab.unseen_errors import UnseenErrors

if TYPE_CHECKING:
    from paralab.process.client import CoreClient

_now = time.monotonic_ns
SAMPLE = 4 << 10
INLINE_LIMIT = 100 << 10
"""Bytes up to which a value stays with its owner and travels inside messages."""
ACTOR = 9
"""Outcome of the entry that stands for an actor."""


class Objects:
    """The object part of one client.  ``on_`` methods handle messages, under the baton."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._owned = core.ownership.owned
        self.looking = Looking(core)
        self.unseen = UnseenErrors(lambda text: core._on_print("", 0, "stderr", text))
        self.handlers: dict[int, Callable[..., None]] = {
            FETCH: self.on_fetch,
            OBJECT: self.on_object,
            HOLD: self.on_hold,
            RELEASE: self.on_release,
            OWNER_DIED: self.on_owner_died,
            **self.looking.handlers,
        }

    # -- any thread --------------------------------------------------------------------------

    def put(self, value: Any) -> ObjectRef:
        """Stores a copy of ``value`` as an object of ours."""
        start = _now()
        data, buffers, refs = pack(value, "the value given to put")
        core = self._core
        key = core.next_key()
        entry = Entry(key, core.address, core.mailbox)
        if refs:
            self.check_refs(refs)
            entry.inner = list(refs)
        self._owned[key] = entry
        ref = ObjectRef(entry)
        if not buffers and len(data) < INLINE_LIMIT:
            entry.payload = data
            size = len(data)
        else:
            self.keep(core.address, key, data, buffers, entry)
            size = blob_size(data, buffers)
        events = core.events
        if events.on:
            events.puts.append((events.put_number(), key, size, start, _now(), core.parent_key))
        return ref

    def check_refs(self, refs: Sequence[ObjectRef]) -> None:
        """Refuses refs of an earlier session.

        Raises:
            ValueError: one is.
        """
        mailbox = self._core.mailbox
        for ref in refs:
            if ref._entry.mailbox is not mailbox:
                raise ValueError(f"{ref!r} is from a session that was shut down.")

    def keep(
        self,
        owner: Address,
        key: int,
        data: bytes,
        buffers: Sequence[memoryview],
        entry: Entry | None = None,
    ) -> tuple[int, Any]:
        """Puts packed bytes where values of their size go; returns outcome and payload.

        Whatever interrupts this, the room is given back: from ALLOCATE on it is ours, and only
        once ``entry``, if there is one, knows of it, does it go with the entry's last ref.

        Raises:
            ObjectStoreFullError, OutOfDiskError: it belongs into the arena and there is no room.
        """
        size = blob_size(data, buffers)
        if size < INLINE_LIMIT:
            payload = join_blob(data, buffers)
            if entry is not None:
                entry.payload = payload
            return INLINE, payload
        core = self._core
        try:
            place = self.looking.place(core.ask(ALLOCATE, owner, key, size), owner, key)
            for start, part in blob_parts(data, buffers):
                core.mapping.write(place[0] + start, part)
            core.post_node((SEAL, owner, key))
            if entry is not None:
                entry.outcome, entry.payload = STORED, place
        except BaseException as error:
            if entry is None or entry.payload is None:
                # In order behind ALLOCATE, which may not have been sent yet.
                core.request(lambda: core.node.post((FREE, owner, key)))
            if isinstance(error, OSError):
                text = f"The system has no memory for {size:,} bytes: {error}"
                raise ObjectStoreFullError(text) from error
            raise
        return STORED, place

    def keep_arguments(
        self, data: bytes, buffers: Sequence[memoryview], task: int
    ) -> tuple[ObjectRef | None, Any]:
        """Large arguments become an object of ours, which the worker looks at.

        Args:
            data, buffers: as they were packed.
            task: key of the call, 0 if it is not known yet.
        """
        core = self._core
        key = core.next_key()
        entry = core.ownership.own(key)
        ref = ObjectRef(entry)
        outcome, payload = self.keep(core.address, key, data, buffers, entry)
        if outcome == INLINE:
            return None, payload
        if task:
            core.events.note_large(task, *_likeness(data, buffers))
        return ref, payload

    def value(self, ref: ObjectRef, place: Any = None) -> Any:
        """The value of a settled entry; a new copy, or a view of the arena.

        Args:
            place: where it is, if that came with a call.

        Raises:
            BaseException: the error that the object stands for.
        """
        entry = ref._entry
        payload = place or entry.payload
        while type(payload) is tuple or payload is None:
            if payload is None:  # it was lost a moment ago, and is made again
                self._core.waits.for_all((entry,), None)
            else:
                try:
                    view = self.looking.view(ref, payload)
                except ObjectLostError:
                    if entry.payload == payload:
                        raise
                    # Here, so that an error says from which it comes.
                    self._core.waits.for_all((entry,), None)
                else:
                    return read(view)
            payload = entry.payload
        if entry.outcome == INLINE:
            return read(payload)
        entry.seen = True
        raise unpack_failure(payload)

    def restore(self, owner: Address, key: int) -> ObjectRef:
        """A ref that was unpickled: one more to an entry that somebody holds for us."""
        ownership = self._core.ownership
        entry = ownership.find(owner, key)
        if entry is None:
            entry = Entry(key, owner, self._core.mailbox)
            entry.refs = 0
            if owner == ownership.address:
                entry.outcome = FAILED
                entry.payload = self.failure(
                    ObjectLostError(object_id(owner, key).hex(), message="Its owner has freed it.")
                )
            else:
                entry = ownership.borrowed.setdefault((owner, key), entry)
        entry.mailbox.dropped((entry,))
        return ObjectRef(entry)

    def failure(self, error: BaseException) -> bytes:
        """A failure of the runtime's own, packed."""
        return pack_failure(error, function="", pid=os.getpid(), node=self._core.node_hex)

    def failed_input(self, consumer: str, entry: Entry) -> bytes:
        """The failure of a task whose input is ``entry``, which stands for one."""
        entry.seen = True
        node = self._core.node_hex
        return of_failed_input(entry.payload, function=consumer, pid=os.getpid(), node=node)

    # -- under the baton ---------------------------------------------------------------------

    def settle(self, entry: Entry, outcome: int, payload: Any, inner: list[Ref] | None) -> None:
        """An entry gets its value or error; whoever waits for it goes on."""
        core = self._core
        if inner:
            entry.inner = [ObjectRef(core.ownership.receive((ref[0], ref[1]), 1)) for ref in inner]
        if outcome == FAILED:
            core.failures += 1
        waiting = core.ownership.settle(entry, outcome, payload)
        for waiter in waiting:
            if type(waiter) is Link:
                self._send_object(waiter, entry)
            elif type(waiter) is Notice:
                core.notices.tell(waiter)
            else:
                core.calls.input_settled(waiter)
        if entry.refs <= 0 and not entry.holders:
            self.free([entry])

    def count_changes(self) -> None:
        """Takes what finalisers and unpickling have left in the mailbox into the counts."""
        changes = self._core.mailbox.changes
        count = self._core.ownership.count
        while changes:
            free = count(changes)
            if free:
                self.free(free)

    def free(self, entries: Sequence[Entry | None]) -> None:
        """Lets go of entries that nothing needs: memory of ours, holds at others."""
        core = self._core
        for entry in entries:
            if entry is None or not core.ownership.forget(entry):
                continue
            if entry.owner != core.address:
                core.actor_calls.known.pop((entry.owner, entry.key), None)
                if entry.handed:
                    self.to_owner(entry.owner, (RELEASE, entry.key, entry.handed))
                    entry.handed = 0
                if entry.outcome == STORED and entry.owner in core.dead:
                    self._looked(entry.owner)
            elif entry.outcome == INLINE and not entry.lost:
                continue  # nearly all
            elif (entry.outcome == STORED and entry.payload is not None) or entry.lost:
                core.node.post((FREE, core.address, entry.key))
                if entry.recipe is not None:
                    core.rebuilding.forget(entry)
            elif entry.outcome == ACTOR:
                core.actor_calls.end(entry)
            elif entry.outcome == FAILED and not entry.seen and core.broken is None:
                self.unseen.tell(entry.payload)

    def to_owner(self, owner: Address, message: tuple[Any, ...]) -> None:
        """Posts to a process, asking the node for a socket if there is none yet."""
        core = self._core
        if owner in core.dead:
            return
        link = core.links.peer(owner)
        if link is None:
            link = core.links.make_peer(owner)
            core.node.post((CONNECT, owner))
        link.post(message)

    def hand_over(self, refs: Sequence[ObjectRef], to: Address) -> list[Ref]:
        """Registers ``to`` as a holder of refs that are about to be sent to it."""
        sent: list[Ref] = []
        for ref in refs:
            entry = ref._entry
            sent.append((entry.owner, entry.key))
            self.register(entry.owner, entry.key, to)
        return sent

    def register(self, owner: Address, key: int, holder: Address) -> None:
        """Tells the owner of an object of one more holder."""
        core = self._core
        if owner == holder:
            return
        if owner == core.address:
            core.ownership.hold(key, holder, 1)
            if holder in core.dead:
                self.free([core.ownership.hold(key, holder, -1)])
        else:
            self.to_owner(owner, (HOLD, key, holder))

    def fetch(self, entry: Entry) -> None:
        """Asks the owner of a borrowed object for its value, once."""
        core = self._core
        if entry.pending or entry.payload is not None or entry.owner == core.address:
            return
        if entry.owner in core.dead:
            self._owner_lost(entry)
            return
        entry.pending = True
        self.to_owner(entry.owner, (FETCH, entry.key))

    def _owner_lost(self, entry: Entry) -> None:
        name = object_id(entry.owner, entry.key).hex()
        how = self._core.dead.get(entry.owner, "")
        error = OwnerDiedError(name, message=f"The process that owned it has ended. {how}")
        self.settle(entry, FAILED, self.failure(error), None)

    def process_died(self, address: Address) -> None:
        """A process is gone: its holds end, and what it owned is lost to us."""
        free, orphans = self._core.ownership.process_died(address)
        self.free(free)
        for entry in orphans:
            if entry.payload is None:
                self._owner_lost(entry)

    # -- messages ----------------------------------------------------------------------------

    def on_fetch(self, link: Link, _kind: int, key: int) -> None:
        """A borrower asks for a value."""
        entry = self._owned.get(key)
        if entry is None:
            name = object_id(self._core.address, key).hex()
            error = ReferenceCountingAssertionError(name, message="Its owner has freed it.")
            link.post((OBJECT, key, FAILED, self.failure(error), None))
        elif entry.payload is None:
            if entry.waiting is None:
                entry.waiting = []
            entry.waiting.append(link)
        else:
            self._send_object(link, entry)

    def _send_object(self, link: Link, entry: Entry) -> None:
        entry.seen = True
        inner = self.hand_over(entry.inner, link.address) if entry.inner else None
        link.post((OBJECT, entry.key, entry.outcome, entry.payload, inner))

    def on_object(
        self, link: Link, _kind: int, key: int, outcome: int, payload: Any, inner: Any
    ) -> None:
        """The owner answers a FETCH."""
        entry = self._core.ownership.borrowed.get((link.address, key))
        if entry is not None:
            self.settle(entry, outcome, payload, inner)
            return
        for ref in inner or ():  # nobody waits any more: give the holds back
            self.drop_received(tuple(ref))

    def drop_received(self, ref: Ref) -> None:
        """A ref came, with a hold, for something that nobody needs any more."""
        ObjectRef(self._core.ownership.receive(ref, 1))

    def on_hold(self, _link: Link, _kind: int, key: int, holder: Address) -> None:
        """Somebody has handed one of our refs on to ``holder``."""
        if holder == self._core.address:
            return
        self._core.ownership.hold(key, holder, 1)
        if holder in self._core.dead:
            self.free([self._core.ownership.hold(key, holder, -1)])

    def on_release(self, link: Link, _kind: int, key: int, count: int) -> None:
        """A borrower needs one of our objects no longer."""
        self.free([self._core.ownership.hold(key, link.address, -count)])

    def _looked(self, owner: Address) -> None:
        """We look at one object less of a dead owner; the node waits for the last one."""
        if not self._core.ownership.stored_of(owner):
            self._core.node.post((LOOKING, owner, []))

    def on_owner_died(self, _link: Link, _kind: int, owner: Address) -> None:
        """The node asks what of a dead owner's memory we still look at."""
        core = self._core
        core.node.post((LOOKING, owner, core.ownership.stored_of(owner)))


def _likeness(data: bytes, buffers: Sequence[memoryview]) -> tuple[int, int]:
    """Size of the largest piece, and a checksum of some of it: the same for the same value.

    What is pickled before and after it may differ, so in ``data`` only the middle is looked at.
    """
    largest: bytes | memoryview = max(buffers, key=len, default=data)
    size = len(largest)
    check = 0
    for place in (0, size // 2, size - SAMPLE) if buffers else (size // 2,):
        at = max(0, place) // SAMPLE * SAMPLE
        check = zlib.crc32(largest[at : at + SAMPLE], check)
    return size if buffers else size // SAMPLE * SAMPLE, check


def one_more(ref: ObjectRef) -> ObjectRef:
    """A second ref to the same object, counted by itself.  Any thread."""
    entry = ref._entry
    entry.mailbox.dropped((entry,))
    return ObjectRef(entry)
