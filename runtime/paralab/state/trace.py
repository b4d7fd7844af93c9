"""Records to Chrome Trace Event dicts, the format of ``timeline()``.

Times become microseconds on the machine's monotonic clock.  The caller whose tasks these are
is the trace's one process, each worker a thread of it; metadata events name them.
"""

from __future__ import annotations

from typing import Any

from paralab.ids import Address, process_number
from paralab.state.events import TaskRecord


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
    events: list[dict[str, Any]] = [
        {
            "name": "process_name",
            "ph": "M",
            "pid": 1,
            "args": {"name": f"tasks of process {process_number(driver)}"},
        }
    ]
    lanes: set[int] = set()
    for record in records:
        lane = process_number(record.worker)
        if lane not in lanes:
            lanes.add(lane)
            events.append(
                {
                    "name": "thread_name",
                    "ph": "M",
                    "pid": 1,
                    "tid": lane,
                    "args": {"name": f"worker {lane}"},
                }
            )
        stamps = {
            name: getattr(record, name)
            for name in (
                "submitted",
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
        }
        stamps["fetched"] = fetched.get(record.key)
        events.append(
            {
                "name": record.name,
                "cat": "actor" if record.actor else "task",
                "ph": "X",
                "ts": record.loaded / 1000,
                "dur": (record.ended - record.loaded) / 1000,
                "pid": 1,
                "tid": lane,
                "args": {
                    "task_id": f"{record.key >> 32}",
                    "parent": record.parent >> 32,
                    "attempt": record.attempt,
                    "failed": record.failed,
                    "bytes_in": record.bytes_in,
                    "bytes_out": record.bytes_out,
                    "needs": [key >> 32 for key in record.needs],
                    "stamps_ns": stamps,
                },
            }
        )
    return events
