"""Recordings: what a session remembers, kept in a file and looked at without a session."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import paralab
from paralab.exceptions import SystemFailure
from paralab_profiling import Recording, RecordingError, Task, take
from paralab_profiling.recording import PARTS, STAMPS, recording_of

STEP = 1_000
LATER = {"leased": 0}


def stamps(begin: int, fetched: bool = True) -> dict[str, int]:
    names = STAMPS if fetched else STAMPS[:-1]
    return {name: begin + number * STEP for number, name in enumerate(names)}


def event(
    number: int, begin: int = 0, owner: int = 1, worker: int = 2, **more: Any
) -> dict[str, Any]:
    told = {
        "task_id": f"{number}",
        "parent": 0,
        "attempt": 0,
        "failed": False,
        "bytes_in": 10,
        "bytes_out": 20,
        "items": 0,
        "needs": [],
        "stamps_ns": {**stamps(begin), **LATER},
        **more,
    }
    return {
        "name": "__main__.f",
        "cat": "task",
        "ph": "X",
        "pid": owner,
        "tid": worker,
        "args": told,
    }


def test_the_parts_of_a_task_add_up_to_all_of_its_time() -> None:
    (task,) = recording_of([event(1)], 2)
    assert list(task.parts_ns()) == list(PARTS)
    assert sum(task.parts_ns().values()) == task.total_ns == 12 * STEP
    assert task.run_ns == task.part_ns("run") == STEP
    (unfetched,) = recording_of([event(1, stamps_ns=stamps(0, fetched=False))], 2)
    assert unfetched.part_ns("fetch") == 0
    assert sum(unfetched.parts_ns().values()) == unfetched.total_ns


def test_neighbouring_parts_share_a_stamp() -> None:
    borders = list(PARTS.values())
    assert borders[0][0] == "submitted"
    assert borders[-1][1] == "fetched"
    assert all(left[1] == right[0] for left, right in pairwise(borders))


def test_who_needs_whom_and_who_submitted_it() -> None:
    lane = {"name": "thread_name", "ph": "M", "pid": 1, "tid": 2, "args": {}}
    events = [
        lane,
        event(1, worker=3),
        event(2, 5_000, worker=3, needs=[1, 99]),
        event(1, 7_000, owner=3, worker=2, parent=2),
    ]
    recording = recording_of(events, 2)
    assert [task.id for task in recording] == ["1.1", "1.2", "3.1"]
    by_id = recording.by_id
    assert by_id["1.2"].needs == ("1.1",), "99 was put, no task has made it"
    assert by_id["3.1"].parent == "1.2", "which ran in the process that owns the child"
    assert by_id["1.1"].parent is None
    assert by_id["1.1"].name == "f"


def test_a_piece_of_a_recording() -> None:
    recording = recording_of([event(n, n * 100_000) for n in (3, 1, 2)], 2)
    assert recording.span_ns == (100_000, 300_000 + 12 * STEP)
    assert [task.id for task in recording.between(100_000, 300_000)] == ["1.1", "1.2"]
    assert Recording((), 2).span_ns == (0, 0)


@pytest.mark.parametrize("name", ["run.json", "run.json.gz"])
def test_a_file_keeps_all_of_it(tmp_path: Path, name: str) -> None:
    recording = recording_of([event(1), event(2, 9, needs=[1])], 2, {"python": "3.11"})
    recording.save(tmp_path / name)
    assert Recording.load(tmp_path / name) == recording


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no recording"),
        (b"{}", "no recording"),
        (b'{"format": "something else"}', "no recording"),
        (b"\x1f\x8b broken", "no recording"),
        (b"\xff\xfe", "no recording"),
        (b'{"format": "paralab recording", "version": 99}', "later version"),
        (b'{"format": "paralab recording", "version": 1, "tasks": [{}]}', "no recording"),
    ],
)
def test_what_is_no_recording_is_refused_by_name(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(RecordingError, match=rf"file\.json.*{why}"):
        Recording.load(tmp_path / "file.json")


def test_a_task_without_its_stamps_is_refused(tmp_path: Path) -> None:
    recording_of([event(1)], 2).save(tmp_path / "file.json")
    data = json.loads((tmp_path / "file.json").read_text())
    data["tasks"][0]["stamps"]["loaded"] = "now"
    (tmp_path / "file.json").write_text(json.dumps(data))
    with pytest.raises(RecordingError, match="loaded"):
        Recording.load(tmp_path / "file.json")


def test_what_a_session_remembers(runtime: Any, tmp_path: Path) -> None:
    @paralab.remote
    def leaf(x: int) -> int:
        return x

    @paralab.remote
    def inner(x: int) -> int:
        return int(paralab.get(leaf.options(num_cpus=0).remote(x)))

    @paralab.remote
    class Counter:
        def add(self, x: int) -> int:
            return x

    first = inner.remote(1)
    counter: Any = Counter.remote()  # type: ignore[attr-defined]
    assert paralab.get(counter.add.remote(first)) == 1
    recording = take()
    named: dict[str, Task] = {task.name.rpartition(".")[2]: task for task in recording}
    assert named["leaf"].parent == named["inner"].id
    assert named["add"].needs == (named["inner"].id,)
    assert named["add"].kind == "actor"
    assert named["inner"].run_ns > named["leaf"].run_ns
    recording.save(tmp_path / "run.json")
    assert Recording.load(tmp_path / "run.json") == recording


def test_taking_needs_a_session() -> None:
    with pytest.raises(SystemFailure, match="not been started"):
        take()
