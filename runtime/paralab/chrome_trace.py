"""Records to Chrome Trace Event dicts, the format of ``timeline()``.

Times become microseconds on the machine's monotonic clock.  Each owner of tasks is a process of
the trace, each worker that ran them a thread of it; metadata events name them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paralab.ids import Address, process_number
from paralab.state.events import TaskRecord, task_record
from paralab.state.told import TaskRow

STAMPS = (
    "submitted",
    "pickled",
    "packed",
    "ready",
    "leased",
    "sent",
    "received",
    "taken",
    "loaded",
    "ended",
    "stored",
    "returned",
)
"""Moments of every task that ran, in their order, as ``timeline()`` names them; ``fetched`` follows
for those that somebody got."""


def trace_of_all(told: Iterable[tuple[Address, list[Any]]]) -> list[dict[str, Any]]:
    """The trace of the finished tasks of several owners.

    Args:
        told: for each owner its address and its ``TaskRow``s, as lists or tuples.
    """
    events: list[dict[str, Any]] = []
    for owner, rows in told:
        done = [row for row in map(TaskRow._make, rows) if row.stamps]
        records = [
            task_record(
                *(row.worker, row.caller, row.stamps, row.returned),
                *(row.state == "FAILED", row.bytes_out),
            )
            for row in done
        ]
        fetched = {row.caller[0]: row.fetched for row in done if row.fetched is not None}
        events += chrome_trace(records, fetched, owner)
    return events


def chrome_trace(
    records: list[TaskRecord], fetched: dict[int, int], driver: Address
) -> list[dict[str, Any]]:
    """One complete event ("ph": "X") for each task, all its stamps in ``args``.

    Args:
        records: finished tasks.
        fetched: key → ns at which the first ``get`` returned the value.
        driver: the address of the process that kept the records.
    """
    if not records:
        return []
    owner = process_number(driver)
    events: list[dict[str, Any]] = [
        {
            "name": "process_name",
            "ph": "M",
            "pid": owner,
            "args": {"name": f"tasks of process {owner}"},
        }
    ]
    lanes: set[int] = set()
    for record in records:
        if not record.worker:  # it never ran
            continue
        lane = process_number(record.worker)
        if lane not in lanes:
            lanes.add(lane)
            events.append(
                {
                    "name": "thread_name",
                    "ph": "M",
                    "pid": owner,
                    "tid": lane,
                    "args": {"name": f"worker {lane}"},
                }
            )
        stamps = {name: getattr(record, name) for name in STAMPS}
        stamps["fetched"] = fetched.get(record.key)
        events.append(
            {
                "name": record.name,
                "cat": "actor" if record.actor else "task",
                "ph": "X",
                "ts": record.loaded / 1000,
                "dur": (record.ended - record.loaded) / 1000,
                "pid": owner,
                "tid": lane,
                "args": {
                    "task_id": f"{record.key >> 32}",
                    "parent": record.parent >> 32,
                    "attempt": record.attempt,
                    "failed": record.failed,
                    "bytes_in": record.bytes_in,
                    "bytes_out": record.bytes_out,
                    "items": record.items,
                    "needs": [
                        key >> 32
                        for of, key, *inside in record.needs
                        if of == driver and not inside
                    ],
                    "stamps_ns": stamps,
                },
            }
        )
    return events
