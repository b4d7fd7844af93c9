"""The record of what ran: one tuple of time stamps a task, in a ring bounded by bytes.

The owner of a task keeps its record.  The worker's stamps ride in the reply; nothing is sent
anywhere unless somebody looks.  Stamps are ``time.monotonic_ns()``, which all processes of one
machine share.  Keeping a record is one ``deque.append``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from paralab.messages import FAILED

RING_BYTES = 32 << 20
RECORD_BYTES = 792
"""What one record occupies, with its pair in ``fetched``, measured with sys.getsizeof."""


FAILURES = 1_000


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
    needs: tuple[int, ...]
    """Keys of the objects it took."""
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

    __slots__ = ("append", "failures", "fetched", "on", "records")

    def __init__(self, limit_bytes: int = RING_BYTES) -> None:
        limit = limit_bytes // RECORD_BYTES
        self.on = limit > 0
        self.records: deque[tuple[Any, ...]] = deque(maxlen=limit)
        self.fetched: deque[tuple[int, int]] = deque(maxlen=limit)
        self.failures: deque[tuple[int, bytes]] = deque(maxlen=min(limit, FAILURES))
        """Key and packed failure of the tasks that failed last."""
        self.append = self.records.append

    def snapshot(self) -> list[TaskRecord]:
        """The records, oldest first."""
        return [
            task_record(worker, caller, stamps, returned, outcome == FAILED, size)
            for worker, caller, stamps, returned, outcome, size in list(self.records)
        ]


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
