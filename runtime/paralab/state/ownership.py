"""Who holds which object: entries, reference counts, borrowers.

Every object has one owner, the process that created it.  Each process keeps one entry for each
object that it owns or borrows.  The rules:

* ``refs`` counts the live ``ObjectRef`` objects of this process.  Python keeps that count for
  us; we hear of it through the mailbox, in order: an entry alone means one ref less, a 1-tuple
  of an entry means one more.
* A hold is handed on before it is dropped.  Whoever passes a ref to another process keeps its
  own ref until the owner knows of the new holder: arguments stay held until the reply, which
  lists those that the worker keeps; the sender of a result tells the owner who gets its refs
  before it drops its own.
* ``holders`` (owner's side) counts the holds of each other process.  HOLD and RELEASE come
  over different sockets, so a count may pass through a negative value; it never means "free".
* ``handed`` (borrower's side) counts the holds that the owner counts for us; the last local ref
  gives them all back with one RELEASE.
* ``inner`` are refs inside the object's own bytes: they live as long as it does.  Plain Python
  references do that work.

========== ==================================== =========================================
field      an entry appears                     and leaves
========== ==================================== =========================================
owned      ``put``, ``submit``                  no refs, no holders and no task behind it
borrowed   a ref is received or unpickled       no refs
holders    HOLD, or a reply that keeps a ref    its count is zero, or the process died
waiting    a task needs it, or FETCH comes      it settles
========== ==================================== =========================================

Rejected: counting in ``__init__`` and ``__del__`` under a lock (finalisers may run inside the
lock), and a message to the owner for each copy (a round trip for each argument).
"""

from __future__ import annotations

from collections import deque
from typing import Any

from paralab.ids import Address
from paralab.messages import INLINE, STORED
from paralab.object_ref import Mailbox, ObjectRef

Ref = tuple[Address, int]


class Entry:
    """One object as one process knows it.  ``payload`` is None until it settles.

    What most entries never need stands in the class: making one sets four attributes.
    """

    refs = 1
    outcome = INLINE
    payload: Any = None
    pending = False
    """A task of ours, or a FETCH, is going to settle it."""
    holders: dict[Address, int] | None = None
    handed = 0
    inner: list[ObjectRef] | None = None
    waiting: list[Any] | None = None
    fetched = False
    seen = False
    """Of one that stands for an error: somebody has asked for it (``paralab.unseen_errors``)."""
    recipe: Any = None
    """Of an object of ours in the store: how to make it again (``state.lineage``)."""
    lost = False
    """Its value in the store was lost once."""
    site = ""
    """Where it was made, if that is recorded (``paralab.call_sites``)."""
    pinned: ObjectRef | None = None
    """A ref of its own, once somebody else's pickler has written one: it never goes."""

    def __init__(self, key: int, owner: Address, mailbox: Mailbox, payload: Any = None) -> None:
        self.key = key
        self.owner = owner
        self.mailbox = mailbox
        self.payload = payload


class WeakEntry(Entry):
    """Stands in no table: a ref to it keeps nothing alive."""

    pending = True


class Ownership:
    """The entries of one process."""

    def __init__(self, address: Address, mailbox: Mailbox) -> None:
        self.address = address
        self.mailbox = mailbox
        self.owned: dict[int, Entry] = {}
        self.borrowed: dict[Ref, Entry] = {}

    def own(self, key: int) -> Entry:
        """A new entry for an object of ours, with one ref to come.  Any thread."""
        entry = Entry(key, self.address, self.mailbox)
        self.owned[key] = entry
        return entry

    def find(self, owner: Address, key: int) -> Entry | None:
        """The entry, if this process has one."""
        if owner == self.address:
            return self.owned.get(key)
        return self.borrowed.get((owner, key))

    def receive(self, ref: Ref, handed: int) -> Entry:
        """The entry for a ref that came in a message, with ``handed`` holds that came with it.

        The caller makes one ObjectRef of it, which is counted here.
        """
        owner, key = ref
        entry = self.find(owner, key)
        if entry is None:
            entry = Entry(key, owner, self.mailbox)
            if owner == self.address:
                self.owned[key] = entry
            else:
                self.borrowed[ref] = entry
        else:
            entry.refs += 1
        if owner != self.address:
            entry.handed += handed
        return entry

    def count(self, changes: deque[Any]) -> list[Entry]:
        """Applies mailbox changes, emptying it; returns what nothing needs any more."""
        free: list[Entry] = []
        take = changes.popleft
        while changes:
            change = take()
            if type(change) is tuple:
                entry = change[0]
                entry.refs += 1
                if entry.refs == 1 and entry.owner != self.address:
                    self.borrowed[entry.owner, entry.key] = entry
            else:
                entry = change
                refs = entry.refs = entry.refs - 1
                if refs <= 0 and not entry.pending and not entry.holders:
                    free.append(entry)
        return free

    def forget(self, entry: Entry) -> bool:
        """Takes an unneeded entry out of the tables; False when it is needed, or gone, already."""
        if entry.refs > 0 or entry.pending or entry.holders:
            return False
        if entry.owner == self.address:
            if self.owned.pop(entry.key, None) is None:
                return False
        elif self.borrowed.pop((entry.owner, entry.key), None) is None:
            return False
        entry.inner = None
        return True

    def settle(self, entry: Entry, outcome: int, payload: Any) -> list[Any]:
        """Gives the object its value or error, once; returns who waited for it.

        It may have a value that came another way, with a call: then those who wait get that.
        """
        entry.pending = False
        if entry.payload is None:
            entry.outcome = outcome
            entry.payload = payload
        waiting, entry.waiting = entry.waiting, None
        return waiting or []

    def hold(self, key: int, holder: Address, count: int) -> Entry | None:
        """Changes the holds of another process; returns the entry if nothing needs it any more."""
        entry = self.owned.get(key)
        if entry is None:
            return None
        holders = entry.holders
        if holders is None:
            holders = entry.holders = {}
        total = holders.get(holder, 0) + count
        if total:
            holders[holder] = total
        else:
            del holders[holder]
        return entry if not holders and entry.refs <= 0 and not entry.pending else None

    def lose(self, owner: Address, key: int) -> None:
        """The value of a stored object is gone.  Its owner sees to it that it is settled again."""
        entry = self.find(owner, key)
        if entry is not None and entry.outcome == STORED and entry.payload is not None:
            entry.payload = None
            entry.lost = True
            entry.pending = owner == self.address

    def process_died(self, address: Address) -> tuple[list[Entry], list[Entry]]:
        """Ends the holds of a dead process and finds what it owned.

        Returns:
            our entries that nothing needs any more, and entries borrowed from it.
        """
        free: list[Entry] = []
        for entry in list(self.owned.values()):
            if entry.holders and entry.holders.pop(address, None) is not None:
                if not entry.holders and entry.refs <= 0 and not entry.pending:
                    free.append(entry)
        orphans = [entry for (owner, _), entry in self.borrowed.items() if owner == address]
        return free, orphans

    def stored_of(self, owner: Address) -> list[int]:
        """Keys of objects in the store that ``owner`` made and this process still looks at."""
        return [
            key
            for (of, key), entry in self.borrowed.items()
            if of == owner and entry.outcome == STORED and entry.payload is not None
        ]
