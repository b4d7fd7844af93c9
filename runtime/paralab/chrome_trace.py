"""Records to Chrome Trace Event dicts, the format of ``timeline()``.

Times become microseconds on the machine's monotonic clock.  Each owner of tasks is a process of
the trace, each worker that ran them a thread of it; metadata events name them.  Calls that overlap,
as those of async actors do, get further threads, because readers drop what overlaps on one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import count
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


_text = re.compile(r'"(?:[^"\\]|\\.)*"')


def as_json(trace: Any) -> str:
    """A trace as text that Perfetto reads.

    Seen in its version 52: it opens no trace in which the two halves of an emoji are escapes, and
    shows "é" as the escape that it is; so characters stand for themselves, and halves of some
    become "?".  It opens none in which a text ends with a backslash, because it takes the quote
    after that for a part of the text; so a space comes between them.
    """
    text = json.dumps(trace, separators=(",", ":"), ensure_ascii=False, default=str)
    text = text.encode(errors="replace").decode()
    if '\\\\"' not in text:
        return text
    return _text.sub(lambda found: re.sub(r'\\"$', r'\\ "', found[0]), text)


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
        names = {row.caller[0]: row.call for row in done if row.call}
        events += chrome_trace(records, fetched, owner, names)
    return events


def chrome_trace(
    records: list[TaskRecord],
    fetched: dict[int, int],
    driver: Address,
    names: Mapping[int, str] | None = None,
) -> list[dict[str, Any]]:
    """One complete event ("ph": "X") for each task, all its stamps in ``args``.

    Args:
        records: finished tasks.
        fetched: key → ns at which the first ``get`` returned the value.
        driver: the address of the process that kept the records.
        names: key → what the call is called, where that is more than the name of its function.
    """
    if not records:
        return []
    names = names or {}
    owner = process_number(driver)
    events: list[dict[str, Any]] = [
        {
            "name": "process_name",
            "ph": "M",
            "pid": owner,
            "args": {"name": f"tasks of process {owner}"},
        }
    ]
    ran = sorted((each for each in records if each.worker), key=lambda each: each.loaded)
    further = count(1 + max((process_number(each.worker) for each in ran), default=0))
    threads: dict[int, dict[int, int]] = {}
    """For each worker: when the last call on each of its threads ended, by the thread's number."""
    for record in ran:
        worker = process_number(record.worker)
        busy = threads.setdefault(worker, {})
        lane = next((tid for tid, ended in busy.items() if ended <= record.loaded), None)
        if lane is None:
            lane = next(further) if busy else worker
            events.append(
                {
                    "name": "thread_name",
                    "ph": "M",
                    "pid": owner,
                    "tid": lane,
                    "args": {"name": f"worker {worker}"},
                }
            )
        busy[lane] = record.ended
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
                "args": ({"call": names[record.key]} if record.key in names else {})
                | {
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
