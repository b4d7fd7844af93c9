"""What a process tells about its tasks and objects when somebody looks: rows of plain data.

Rows are made when they are asked for, from the tables and the ring of records, so that nothing
is spent while nobody looks.  They hold nothing but ints, bytes, strings, tuples and None, since
a node that does not unpickle passes them on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from paralab.ids import Address
from paralab.messages import FAILED, STORED
from paralab.state.events import EventRing
from paralab.state.ownership import Entry, Ref
from paralab.state.tasks import Task


class TaskRow(NamedTuple):
    """One task as its owner knows it.  Times in ns on the machine's monotonic clock."""

    state: str
    """A name of Ray's, such as "PENDING_ARGS_AVAIL", "RUNNING" or "FINISHED"."""
    worker: Address
    """Where it runs or ran; b"" if nowhere."""
    caller: tuple[Any, ...]
    """The first fields of ``TaskRecord``, up to ``pickled``; of a generator two more."""
    stamps: tuple[int, ...]
    """The worker's five, () if it has not answered."""
    returned: int
    bytes_out: int
    fetched: int | None
    actor: Ref | None
    """Of a pending call, its actor.  A record keeps the key only."""
    resources: tuple[tuple[str, int], ...]
    """Of a pending task, in units of 1e-4."""
    failure: bytes
    """Packed; b"" where it did not fail, or where that was long ago."""


def task_rows(
    events: EventRing,
    pending: Iterable[Task],
    begun: Callable[[Address], int | None],
    limit: int,
) -> list[tuple[Any, ...]]:
    """The newest ``limit`` tasks of this process as ``TaskRow`` fields, pending ones last.

    Args:
        begun: the key of the task of ours that a worker began last.
    """
    unanswered = [_pending_row(task, begun) for task in pending]
    records = list(events.records)[max(0, len(events.records) + len(unanswered) - limit) :]
    fetched, failures = dict(events.fetched), dict(events.failures)
    rows: list[tuple[Any, ...]] = []
    for worker, caller, stamps, returned, outcome, size in records:
        failure = failures.get(caller[0], b"") if outcome == FAILED else b""
        state = "FAILED" if outcome == FAILED else "FINISHED"
        times = (stamps, returned, size, fetched.get(caller[0]))
        rows.append((state, worker, caller, *times, None, (), failure))
    return [*rows, *unanswered[-limit:]]


def _pending_row(task: Task, begun: Callable[[Address], int | None]) -> tuple[Any, ...]:
    state, worker, actor = "PENDING_NODE_ASSIGNMENT", b"", task.actor
    if task.missing:
        state = "PENDING_ARGS_AVAIL"
    elif actor is not None and task.key in actor.inflight:
        worker = actor.address or b""
    elif task.worker is not None:
        worker = task.worker.address
    if worker:
        # An actor's calls begin in order, so what was made before the last one has begun too.
        last = begun(worker) or 0
        is_begun = task.key <= last if actor is not None else task.key == last
        state = "RUNNING" if is_begun else "SUBMITTED_TO_WORKER"
    resources = tuple(task.template.options.resources.items())
    ref = None if actor is None else actor.ref
    return (state, worker, task.record(), (), 0, 0, None, ref, resources, b"")


def object_rows(entries: Iterable[Entry], used: set[int], limit: int) -> list[tuple[Any, ...]]:
    """Owner, key, bytes, how it is held, and what its task does, for each object known here.

    Args:
        used: ids of the entries that pending tasks of this process take.
    """
    rows: list[tuple[Any, ...]] = []
    for entry in entries:
        payload = entry.payload
        size = -1
        if entry.outcome == STORED and payload is not None:
            size = int(payload[1])
        elif type(payload) is bytes:
            size = len(payload)
        if entry.outcome > FAILED and payload is not None:
            held = "ACTOR_HANDLE"
        elif id(entry) in used:
            held = "USED_BY_PENDING_TASK"
        else:
            held = "LOCAL_REFERENCE" if entry.refs > 0 else "PINNED_IN_MEMORY"
        status = "FAILED" if entry.outcome == FAILED else "FINISHED"
        rows.append((entry.owner, entry.key, size, held, "" if entry.pending else status))
    return rows[-limit:]
