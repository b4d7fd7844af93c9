"""The items of a generator task, as its caller knows them.

Items are objects like any other: the caller owns them, their keys are the task's with the next
indices (so one task may yield four thousand million).  What is special is that they come one by
one, before the task is over::

    producer ──items, as they are made──▶ ready ──next()──▶ the user's ref
             ◀──how far it may go, where that is limited; that it is to stop──

========= ============================================ ======================================
field     goes up, or is set                           meaning
========= ============================================ ======================================
come      an item has come                             a new attempt leaves so many out
allowed   opening; when items are taken                the producer pauses after so many
ended     answered, failed or closed                   nothing comes any more
closed    the consumer is gone                         what still comes is let go at once
========= ============================================ ======================================

A task that is run again makes its first items again.  They may have been taken, so they are
not sent: what was seen stays as it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from paralab.messages import INLINE
from paralab.object_ref import Mailbox, ObjectRef
from paralab.state.ownership import Entry
from paralab.state.tasks import Task

NO_LIMIT = -1
Opening = tuple[int, int, bool]


class Item(Entry):
    """An item of a stream.  Its first ``get`` is not recorded: the record is the task's."""

    fetched = True


class Stream:
    """One generator task's items.

    Args:
        entry: of the object that stands for the end of the task.
        limit: how many items may lie here untaken; less than 1 for no limit.
    """

    pending = True
    """For ``wait``, which takes this for an entry: somebody is going to settle it."""
    outcome = INLINE
    """For the same: errors are items."""

    def __init__(self, entry: Entry, limit: int) -> None:
        self.entry = entry
        self.key = entry.key
        self.owner = entry.owner
        self.mailbox: Mailbox = entry.mailbox
        self.limit = limit
        self.ready: deque[ObjectRef] = deque()
        self.come = 0
        self.bytes = 0
        self.is_stored = False
        """Whether any item went into the store."""
        self.allowed = NO_LIMIT
        self.ended = False
        self.closed = False
        self.callbacks: deque[Callable[[], None]] = deque()
        """Who waits in a coroutine; called, and forgotten, at the next item or the end."""

    @property
    def payload(self) -> bool | None:
        """None while ``next`` would have to wait."""
        return True if self.ready or self.ended else None

    def finished(self) -> bool:
        """Whether nothing is left to take, and nothing will come."""
        return self.ended and not self.ready

    def opening(self) -> Opening:
        """What the producer has to know: how far it may go, what to leave out, if it is to stop."""
        self._allow()
        return self.allowed, self.come, self.closed

    def add(self, ref: ObjectRef, size: int) -> None:
        """An item has come."""
        self.come += 1
        self.bytes += size
        if not self.closed:
            self.ready.append(ref)

    def _allow(self) -> None:
        if self.limit > 0:
            self.allowed = self.come - len(self.ready) + self.limit

    def credit(self) -> tuple[int, bool] | None:
        """How far the producer may go and whether it is to stop, if it does not know that."""
        before = self.allowed
        self._allow()
        return (self.allowed, self.closed) if self.closed or self.allowed != before else None

    def end(self, last: ObjectRef | None = None) -> None:
        """Nothing comes any more; ``last`` stands for the error that ended it."""
        if last is not None and not self.closed:
            self.ready.append(last)
        self.ended = True

    def close(self) -> None:
        """The consumer is gone."""
        self.closed = self.ended = True
        self.ready.clear()

    def call_back(self) -> None:
        """Tells those who wait in coroutines that there is something to take, or the end."""
        while self.callbacks:
            self.callbacks.popleft()()


class Replay:
    """Stands for a generator's items while its task runs again because some were lost.

    They have refs, and nobody takes them once more, so that nothing here is a queue.
    """

    come = bytes = 0

    def __init__(self, key: int) -> None:
        self.key = key
        self.wanted: dict[int, Entry] = {}
        """What was lost, by the item's key."""

    def opening(self) -> tuple[int, int, bool, list[int]]:
        """As that of a stream, with the numbers of the items that are to be made."""
        return NO_LIMIT, 0, False, [key - self.key - 1 for key in self.wanted]


class StreamTask(Task):
    """A call of a generator."""

    plain = False
    stream: Stream | Replay

    def record(self) -> tuple[object, ...]:
        """As any task's, with the number and bytes of its items."""
        return (*super().record(), self.stream.come, self.stream.bytes)
