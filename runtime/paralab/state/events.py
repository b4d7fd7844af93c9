"""The record of what ran: one tuple of time stamps a task, in a ring bounded by bytes.

The owner of a task keeps its record.  The worker's stamps ride in the reply; nothing is sent
anywhere unless somebody looks.  Stamps are ``time.monotonic_ns()``, which all processes of one
machine share.  Keeping a record is one ``deque.append``.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from paralab import worker_stamps
from paralab.messages import FAILED

RING_BYTES = 32 << 20
RECORD_BYTES = 624
"""What one record occupies, with its pair in ``fetched``, measured with sys.getsizeof."""


MARKS = 10_000
"""Puts, waits, large arguments and names that are remembered: about 1.5 MB each."""
MOST_INPUTS = 1_000
"""Of one task, by name."""
FAILURES = 1_000


class Put(NamedTuple):
    """One object that was put.  Times in ns on the machine's monotonic clock."""

    key: int
    size: int
    """Bytes as they were stored."""
    started: int
    ended: int
    parent: int
    """Key of the task that put it, 0 for a driver."""


class Wait(NamedTuple):
    """A thread that had to wait in ``get`` or ``wait``.  Times as those of :class:`Put`."""

    started: int
    ended: int
    parent: int
    """Key of the task that waited, 0 for a driver."""
    objects: int
    """How many it waited for."""
    owner: bytes
    """Of the first of them, b"" if there was none."""
    key: int
    """Of the first of them."""
    call: str
    """What it waited in: "get" or "wait"."""


class Large(NamedTuple):
    """A call whose arguments were so large that they went into the store."""

    key: int
    """Of the task."""
    size: int
    """Bytes of the largest argument."""
    check: int
    """A checksum of a part of it: the same for the same value."""


class TaskRecord(NamedTuple):
    """What happened to one task.  All times in ns on the machine's monotonic clock."""

    key: int
    name: str
    parent: int
    """Key of the task that submitted it, 0 at the top."""
    attempt: int
    bytes_in: int
    submitted: int
    packed: int
    ready: int
    leased: int
    sent: int
    actor: int
    """Key of the actor, 0 for a task."""
    needs: tuple[tuple[Any, ...], ...]
    """Owners and keys of the objects it took; a third item stands with refs inside of values,
    for which no task waits before it starts.  Beyond MOST_INPUTS of either, they are counted by
    a last pair: no owner, and how many more."""
    pickled: int
    """Between ``submitted`` and ``packed``."""
    received: int
    taken: int
    """The worker takes the call from its queue."""
    loaded: int
    """The inputs are loaded and the function starts."""
    ended: int
    stored: int
    returned: int
    worker: bytes
    """Address of the process that ran it."""
    failed: bool
    bytes_out: int
    items: int
    """How many items a generator yielded; 0 for other tasks."""


class EventRing:
    """The newest records.

    Args:
        limit_bytes: what the ring may occupy; 0 switches recording off.
    """

    __slots__ = (
        *("append", "dropped", "failures", "fetched", "large", "limit", "marks_dropped", "names"),
        *("counted", "on", "put_number", "puts", "records", "tally", "uncounted", "waits"),
    )

    def __init__(self, limit_bytes: int = RING_BYTES) -> None:
        self.limit = limit = limit_bytes // RECORD_BYTES
        self.on = limit > 0
        self.records: deque[tuple[Any, ...]] = deque()
        """Bounded by ``trim``, which counts what goes; after each read of the sockets."""
        self.dropped = 0
        """Records that went because newer ones came."""
        self.puts: deque[tuple[int, int, int, int, int, int]] = deque(maxlen=MARKS)
        """A number and the fields of :class:`Put`; numbered, so that those that went are known."""
        self.put_number = itertools.count().__next__
        self.waits: deque[tuple[int, int, int, int, bytes, int, str]] = deque()
        """Fields of :class:`Wait`."""
        self.large: deque[tuple[int, int, int]] = deque()
        """Fields of :class:`Large`."""
        self.names: deque[tuple[int, str]] = deque(maxlen=MARKS)
        """Key of a task and what it is called, where its definition's name does not say all."""
        self.marks_dropped = 0
        """Waits and large arguments that went because newer ones came."""
        self.fetched: deque[tuple[int, int]] = deque(maxlen=limit)
        self.failures: deque[tuple[int, bytes]] = deque(maxlen=min(limit, FAILURES))
        """Key and packed failure of the tasks that failed last."""
        self.tally: Counter[tuple[str, bool]] = Counter()
        """How many tasks have ended, by name and whether they failed; see ``count``."""
        self.counted = self.uncounted = 0
        """How many records it is of, and how many had gone before they were counted."""
        self.append = self.records.append

    def trim(self) -> None:
        """Lets go of the oldest that are too many."""
        records = self.records
        while len(records) > self.limit:
            records.popleft()
            self.dropped += 1

    def count(self) -> Counter[tuple[str, bool]]:
        """The tally, brought up to date: only what came since the last call is looked at."""
        new = self.dropped + len(self.records) - self.counted
        self.counted += new
        found = list(islice(reversed(self.records), new))
        self.uncounted += new - len(found)
        self.tally.update([(row[1][1], row[4] == FAILED) for row in found])
        return self.tally

    def note_wait(
        self, started: int, ended: int, parent: int, count: int, owner: bytes, key: int, call: str
    ) -> None:
        """Remembers a :class:`Wait`.  Any thread."""
        waits = self.waits
        waits.append((started, ended, parent, count, owner, key, call))
        if len(waits) > MARKS:
            waits.popleft()
            self.marks_dropped += 1

    def note_large(self, key: int, size: int, check: int) -> None:
        """Remembers a :class:`Large`.  Any thread."""
        large = self.large
        large.append((key, size, check))
        if len(large) > MARKS:
            large.popleft()
            self.marks_dropped += 1

    def marks(self, limit: int) -> dict[str, Any]:
        """Puts, waits, large arguments, and how much was forgotten, as plain data.

        Args:
            limit: the newest so many of each.
        """
        puts = list(self.puts)
        return {
            "puts": [put[1:] for put in puts[-limit:]],
            "waits": list(self.waits)[-limit:],
            "large": list(self.large)[-limit:],
            "dropped": self.dropped,
            "marks_dropped": self.marks_dropped + (puts[0][0] if puts else 0),
        }

    def snapshot(self) -> list[TaskRecord]:
        """The records, oldest first."""
        return [
            task_record(
                worker, caller, worker_stamps.unpack(stamps), returned, outcome == FAILED, size
            )
            for worker, caller, stamps, returned, outcome, size in list(self.records)
        ]


def inputs_of(top: Sequence[tuple[Any, Any]], nested: Sequence[Any]) -> tuple[tuple[Any, ...], ...]:
    """See ``TaskRecord.needs``.

    Args:
        top: places and refs of the arguments that are refs.
        nested: the refs inside of other arguments.
    """
    found: list[tuple[Any, ...]] = []
    found += [(ref._entry.owner, ref._entry.key) for _place, ref in top[:MOST_INPUTS]]
    found += [(ref._entry.owner, ref._entry.key, 1) for ref in nested[:MOST_INPUTS]]
    more = len(top) + len(nested) - len(found)
    return (*found, (b"", more)) if more else tuple(found)


def task_record(
    worker: bytes,
    caller: Sequence[Any],
    stamps: Sequence[int],
    returned: int,
    failed: bool,
    bytes_out: int,
) -> TaskRecord:
    """What the caller and the worker know of a task, as one record.

    Args:
        caller: ``Task.record()``: the first fields, up to ``pickled``, and of a generator the
            number of its items and their bytes, which count instead of those of its answer.
    """
    items, size = caller[13:] or (0, bytes_out)
    return TaskRecord._make((*caller[:13], *stamps, returned, worker, failed, size, items))
