"""Made-up recordings: tasks at times that a test writes down, in ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paralab_profiling import Put, Recording, Task, Wait

MS = 1_000_000
DRIVER = 1
BEGIN = 5_000 * MS
"""When the session began: no view may rest on a clock that starts at 0."""


def task(
    task_id: str,
    start: float,
    end: float,
    *,
    name: str = "f",
    worker: int = 2,
    submitted: float | None = None,
    ready: float | None = None,
    needs: Sequence[str] = (),
    overhead: float = 0.1,
    is_fetched: bool = True,
    **more: Any,
) -> Task:
    """One task that ran.

    Args:
        task_id: its id.
        start, end: of the function, in ms since the session began.
        name: of the function.
        worker: number of the process; 1 is the driver, the first worker is 2.
        submitted: in ms; by default just before the start.
        ready: in ms; when its inputs were there, by default as soon as it was submitted.
        needs: ids of what it took.
        overhead: ms that each part takes besides the run and the queue.
        is_fetched: whether somebody called ``get``.
        **more: further fields of ``Task``.
    """
    begin = start - 4 * overhead if submitted is None else submitted
    there = begin + 2 * overhead if ready is None else ready
    times = {
        "submitted": begin,
        "pickled": begin + overhead,
        "packed": begin + 2 * overhead,
        "ready": there,
        "leased": there,
        "sent": max(there, start - 2 * overhead),
        "received": start - 1.5 * overhead,
        "taken": start - overhead,
        "loaded": start,
        "ended": end,
        "stored": end + overhead,
        "returned": end + 2 * overhead,
    }
    if is_fetched:
        times["fetched"] = end + 3 * overhead
    fields: dict[str, Any] = {
        "kind": "task",
        "owner": DRIVER,
        "parent": None,
        "attempt": 0,
        "failed": False,
        "bytes_in": 100,
        "bytes_out": 50,
        "items": 0,
    }
    stamps = {at: BEGIN + round(ms * MS) for at, ms in times.items()}
    return Task(task_id, name, worker=worker, needs=tuple(needs), stamps=stamps, **fields | more)


def pending(task_id: str, submitted: float, state: str = "queued", **more: Any) -> Task:
    """One task that has not begun."""
    whole = task(task_id, submitted + 1, submitted + 2, submitted=submitted, **more)
    stamps = {at: whole.stamps[at] for at in ("submitted", "pickled", "packed")}
    fields = {at: getattr(whole, at) for at in Task.__dataclass_fields__}
    return Task(**fields | {"stamps": stamps, "state": state, "worker": 0})


def put(put_id: str, at: float, size: int = 1_000) -> Put:
    """One object put by the driver, in 1 ms."""
    return Put(put_id, DRIVER, None, size, BEGIN + round(at * MS), BEGIN + round((at + 1) * MS))


def wait(start: float, end: float, first: str | None = None, **more: Any) -> Wait:
    """One time in which the driver stood in ``get``, in ms."""
    fields: dict[str, Any] = {"process": DRIVER, "parent": None, "count": 1, "call": "get"} | more
    fields |= {"start": BEGIN + round(start * MS), "end": BEGIN + round(end * MS)}
    return Wait(first=first, **fields)


def recording(*parts: Task | Put | Wait, workers: int = 2, **more: Any) -> Recording:
    """All of them as one recording."""
    tasks = tuple(part for part in parts if isinstance(part, Task))
    numbers = sorted({each.worker for each in tasks if each.worker} - {DRIVER})
    names = {DRIVER: "driver"} | {n: f"worker {at}" for at, n in enumerate(numbers, 1)}
    return Recording(
        tasks,
        workers,
        puts=tuple(part for part in parts if isinstance(part, Put)),
        waits=tuple(part for part in parts if isinstance(part, Wait)),
        processes=names,
        **more,
    )
