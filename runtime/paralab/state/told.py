"""What a process tells about its tasks and objects when somebody looks: rows of plain data.

Rows are made when they are asked for, from the tables and the ring of records, so that nothing
is spent while nobody looks.  They hold nothing but ints, bytes, strings, tuples and None, since
a node that does not unpickle passes them on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from paralab import worker_stamps
from paralab.ids import Address
from paralab.messages import FAILED, STORED
from paralab.object_ref import ObjectRef
from paralab.state.events import EventRing
from paralab.state.lineage import Recipe
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
    call: str
    """What this one is called, where its definition's name does not say all."""


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
    names = dict(list(events.names))
    unanswered = [_pending_row(task, begun, names) for task in pending if task.template.recorded]
    records = list(events.records)[max(0, len(events.records) + len(unanswered) - limit) :]
    known = dict(events.fetched), dict(events.failures), names
    return [*(_ended_row(record, *known) for record in records), *unanswered[-limit:]]


def news(
    events: EventRing,
    pending: Collection[Task],
    begun: Callable[[Address], int | None],
    limit: int,
) -> dict[str, Any]:
    """What views are made of that are kept up to date: figures of all tasks, rows of few.

    Args:
        events, pending, begun: as for :func:`task_rows`.
        limit: how many rows of the newest finished tasks, and as many of those that were
            submitted first and are not answered: they are the ones that run.

    Returns:
        ``finished``: (name, whether it failed, how many); ``dropped``: how many were gone before
        they were counted; ``pending``: (name, how many); ``rows``: as those of :func:`task_rows`,
        without what they failed with and when they were fetched.
    """
    names, newest = dict(list(events.names)), list(islice(reversed(events.records), limit))
    return {
        "finished": [(name, failed, count) for (name, failed), count in events.count().items()],
        "dropped": events.uncounted,
        "pending": list(Counter([task.template.name for task in pending]).items()),
        "rows": [
            *(_ended_row(row, {}, {}, names) for row in newest),
            *(_pending_row(task, begun, names) for task in islice(pending, limit)),
        ],
    }


def _ended_row(
    record: tuple[Any, ...],
    fetched: dict[int, int],
    failures: dict[int, bytes],
    names: dict[int, str],
) -> tuple[Any, ...]:
    worker, caller, stamps, returned, outcome, size = record
    failure = failures.get(caller[0], b"") if outcome == FAILED else b""
    state = "FAILED" if outcome == FAILED else "FINISHED"
    times = (worker_stamps.unpack(stamps), returned, size, fetched.get(caller[0]))
    return (state, worker, caller, *times, None, (), failure, names.get(caller[0], ""))


def _pending_row(
    task: Task, begun: Callable[[Address], int | None], names: dict[int, str]
) -> tuple[Any, ...]:
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
    name = names.get(task.key, "")
    return (state, worker, task.record(), (), 0, 0, None, ref, resources, b"", name)


class ObjectRow(NamedTuple):
    """One object as one process knows it."""

    owner: Address
    key: int
    size: int
    """Bytes; -1 where they are not known."""
    held: str
    """Ray's name for what keeps it: see :class:`paralab.util.state.common.ObjectState`."""
    status: str
    """Of what makes it: "FINISHED", "FAILED", or "" if that is still to come."""
    site: str = ""
    """Where it was made, if that is recorded."""
    refs: int = 0
    """Live refs of the process's own, in variables, containers, attributes, closures."""
    tasks: tuple[str, ...] = ()
    """Names of its pending tasks that take it."""
    inside: tuple[Ref, ...] = ()
    """Objects whose values hold it."""
    again: int = 0
    """So many recipes hold it, so that lost objects can be made again from it."""
    holders: tuple[Address, ...] = ()
    """Of its owner: other processes that hold it."""
    is_pinned: bool = False
    """It stays for as long as its owner lives: a ref to it was pickled by hand."""


def object_rows(
    entries: Iterable[Entry],
    pending: Iterable[Task],
    recipes: Iterable[Recipe],
    references: Callable[[object], int],
    limit: int,
) -> list[tuple[Any, ...]]:
    """The newest ``limit`` objects of this process as ``ObjectRow`` fields.

    Args:
        entries: all that it owns or borrows.
        pending: its tasks that are not answered.
        recipes: of how lost objects are made again.
        references: how many Python references there are to something (``sys.getrefcount``).
    """
    entries = list(entries)
    holds, nothing = _all_holds(entries, pending, recipes), _Holds()
    return [
        tuple(_object_row(entry, holds.get(id(entry), nothing), references))
        for entry in (entries[-limit:] if limit else ())
    ]


def _all_holds(
    entries: list[Entry], pending: Iterable[Task], recipes: Iterable[Recipe]
) -> dict[int, _Holds]:
    """By the id of an entry, what of the runtime itself holds it."""
    holds: dict[int, _Holds] = defaultdict(_Holds)
    for task in pending:
        for ref in _taken(task):
            holds[id(ref._entry)].add(ref).tasks.append(task.template.name)
    for entry in entries:
        for ref in entry.inner or ():
            holds[id(ref._entry)].add(ref).inside.append((entry.owner, entry.key))
        if entry.pinned is not None:
            holds[id(entry)].add(entry.pinned)
    for recipe in recipes:
        for ref in (*recipe.inputs(), recipe.argument):
            if isinstance(ref, ObjectRef):
                holds[id(ref._entry)].add(ref).again += 1
    return holds


def _taken(task: Task) -> Iterator[ObjectRef]:
    """The refs that a task holds while it is pending."""
    yield from (ref for _place, ref in task.top)
    yield from task.nested
    yield from (ref for ref in (task.argument, task.handle) if ref is not None)


class _Holds:
    """What of the runtime itself holds an object."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.inside: list[Ref] = []
        self.again = 0
        self._refs: list[ObjectRef] = []
        """The refs by which it does, once for each place."""

    def add(self, ref: ObjectRef) -> _Holds:
        """One place more."""
        self._refs.append(ref)
        return self

    def only_here(self, references: Callable[[object], int]) -> int:
        """How many of these refs the user does not hold as well, being the very same objects."""
        found = {id(ref): ref for ref in self._refs}
        probe = {0: object()}  # what this search itself adds
        (alone,) = [references(each) for each in probe.values()]
        counts = [references(each) for each in found.values()]
        places = Counter(map(id, self._refs))
        # Each place holds a ref, and so does our list.
        return sum(n - alone <= 2 * places[at] for at, n in zip(found, counts, strict=True))


def _object_row(entry: Entry, holds: _Holds, references: Callable[[object], int]) -> ObjectRow:
    payload = entry.payload
    size = -1
    if entry.outcome == STORED and payload is not None:
        size = int(payload[1])
    elif type(payload) is bytes:
        size = len(payload)
    refs = max(0, entry.refs - holds.only_here(references))
    if entry.outcome > FAILED and payload is not None:
        held = "ACTOR_HANDLE"
    elif holds.tasks:
        held = "USED_BY_PENDING_TASK"
    elif refs:
        held = "LOCAL_REFERENCE"
    else:
        held = "CAPTURED_IN_OBJECT" if holds.inside else "PINNED_IN_MEMORY"
    status = "" if entry.pending else "FAILED" if entry.outcome == FAILED else "FINISHED"
    ours = (tuple(holds.tasks), tuple(holds.inside), holds.again)
    facts = (entry.site, refs, *ours, tuple(entry.holders or ()), entry.pinned is not None)
    return ObjectRow(entry.owner, entry.key, size, held, status, *facts)
