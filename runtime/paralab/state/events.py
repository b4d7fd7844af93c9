"""The record of what ran: one tuple of time stamps a task, in a ring bounded by bytes.

The owner of a task keeps its record.  The worker's stamps ride in the reply; nothing is sent
anywhere unless somebody looks.  Stamps are ``time.monotonic_ns()``, which all processes of one
machine share.  Keeping a record is one ``deque.append``.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

RING_BYTES = 32 << 20
RECORD_BYTES = 640
"""What one record occupies, measured with ``sys.getsizeof`` over its ints; see README."""


class TaskRecord(NamedTuple):
    """What happened to one task.  All times in ns on the machine's monotonic clock."""

    key: int
    name: str
    parent: int
    """Key of the task that submitted it, 0 at the top."""
    attempt: int
    worker: bytes
    """Address of the process that ran it."""
    bytes_in: int
    bytes_out: int
    submitted: int
    packed: int
    ready: int
    leased: int
    sent: int
    received: int
    taken: int
    """The worker takes the call from its queue."""
    loaded: int
    """The inputs are loaded and the function starts."""
    ended: int
    stored: int
    returned: int
    failed: bool
    actor: int
    """Key of the actor, 0 for a task."""
    needs: tuple[int, ...]
    """Keys of the objects it took."""


class EventRing:
    """The newest records."""

    __slots__ = ("append", "fetched", "records")

    def __init__(self, limit_bytes: int = RING_BYTES) -> None:
        limit = max(1, limit_bytes // RECORD_BYTES)
        self.records: deque[tuple[Any, ...]] = deque(maxlen=limit)
        self.fetched: deque[tuple[int, int]] = deque(maxlen=limit)
        self.append = self.records.append

    def snapshot(self) -> list[TaskRecord]:
        """The records, oldest first."""
        return [TaskRecord._make(record) for record in list(self.records)]
