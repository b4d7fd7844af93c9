"""Records as Chrome Trace Events."""

from __future__ import annotations

import json
from typing import Any

from paralab.chrome_trace import chrome_trace
from paralab.ids import INDEX_BITS, make_address
from paralab.state.events import TaskRecord

NODE = b"\x01" * 28
DRIVER, WORKER = make_address(NODE, 1, 5), make_address(NODE, 3, 6)
NEEDS = ((DRIVER, 2 << INDEX_BITS), (WORKER, 9 << INDEX_BITS), (DRIVER, 8 << INDEX_BITS, 1))
KEY = 9 << INDEX_BITS | 1


def record(**changes: Any) -> TaskRecord:
    times = ("submitted", "pickled", "packed", "ready", "leased", "sent", "received", "taken",
             "loaded", "ended", "stored", "returned")  # fmt: skip
    values: dict[str, Any] = {name: 1_000 * at for at, name in enumerate(times, 1)}
    values |= {
        "key": KEY, "name": "f", "parent": 4 << INDEX_BITS | 1, "attempt": 0, "bytes_in": 10,
        "bytes_out": 20, "actor": 0, "needs": NEEDS, "worker": WORKER, "failed": False,
        "items": 0,
    }  # fmt: skip
    assert values.keys() == set(TaskRecord._fields)
    return TaskRecord(**(values | changes))


def tasks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == "X"]


def test_a_task_is_a_bar_from_its_start_to_its_end() -> None:
    (event,) = tasks(chrome_trace([record()], {}, DRIVER))
    assert event["name"] == "f"
    assert event["cat"] == "task"
    assert event["ts"] == 9.0, "loaded, in microseconds"
    assert event["dur"] == 1.0
    assert event["tid"] == 3
    args = event["args"]
    assert args["task_id"] == "9"
    assert args["parent"] == 4
    assert args["needs"] == [2]
    assert (args["bytes_in"], args["bytes_out"]) == (10, 20)


def test_all_stamps_are_there_the_last_once_it_was_fetched() -> None:
    (event,) = tasks(chrome_trace([record()], {}, DRIVER))
    stamps = event["args"]["stamps_ns"]
    assert stamps.pop("fetched") is None
    assert list(stamps.values()) == sorted(stamps.values())
    assert len(stamps) == 12
    (event,) = tasks(chrome_trace([record()], {KEY: 99_000}, DRIVER))
    assert event["args"]["stamps_ns"]["fetched"] == 99_000


def test_lanes_are_named_once() -> None:
    other = make_address(NODE, 4, 7)
    first = record()
    later = record(loaded=first.ended, ended=first.ended + 1)  # what overlaps gets a thread more
    events = chrome_trace([first, later, record(worker=other)], {}, DRIVER)
    names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert names == ["worker 3", "worker 4"]
    (process,) = [event for event in events if event["name"] == "process_name"]
    assert "process 1" in process["args"]["name"]


def test_actor_calls_and_failures_are_told_apart() -> None:
    call, failure = tasks(chrome_trace([record(actor=7), record(failed=True)], {}, DRIVER))
    assert call["cat"] == "actor"
    assert failure["args"]["failed"] is True


def test_it_is_json_and_empty_when_nothing_ran() -> None:
    assert json.loads(json.dumps(chrome_trace([record()], {}, DRIVER)))
    assert chrome_trace([], {}, DRIVER) == []
