"""Recordings: what a session remembers, kept in a file and looked at without a session."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import paralab
from paralab.engine import Told
from paralab.exceptions import SystemFailure
from paralab.ids import INDEX_BITS, make_address
from paralab_profiling import (
    Recording,
    RecordingError,
    Source,
    explain,
    overhead,
    perfetto,
    take,
    task_graph,
    timeline,
    what_if,
)
from paralab_profiling.recording import PARTS
from paralab_profiling.runs import run_of
from paralab_profiling.taking import recording_of

STEP = 1_000
DRIVER, WORKER, OTHER = (make_address(b"\x01" * 28, number, 7) for number in (1, 2, 3))


def key(number: int) -> int:
    return number << INDEX_BITS | 1


def row(
    number: int, begin: int = 1_000_000, worker: bytes = WORKER, **more: Any
) -> tuple[Any, ...]:
    """A finished task, as its owner tells of it."""
    times = [begin + at * STEP for at in range(12)]
    submitted, pickled, packed, ready, leased, sent, *rest = times
    told: dict[str, Any] = {"name": "__main__.f", "parent": 0, "attempt": 0, "actor": 0}
    told |= {"needs": (), "fetched": begin + 12 * STEP, "state": "FINISHED", "failure": b""}
    told |= {"call": ""}
    told |= more
    caller = (key(number), told["name"], told["parent"], told["attempt"], 10, submitted, packed,
              ready, leased, sent, told["actor"], told["needs"], pickled)  # fmt: skip
    if told["state"].startswith(("PENDING", "RUNNING", "SUBMITTED")):
        return (told["state"], worker, caller, (), 0, 0, None, None, (), b"", told["call"])
    return (told["state"], worker, caller, tuple(rest[:5]), rest[5], 20, told["fetched"], None, (),
            told["failure"], told["call"])  # fmt: skip


def told(*rows: Any, by: bytes = DRIVER) -> Told:
    return Told(by, 100, by == DRIVER, list(rows))


def recorded(*rows: Any) -> Recording:
    return recording_of([told(*rows)], workers=2)


def test_the_parts_of_a_task_add_up_to_all_of_its_time() -> None:
    (task,) = recorded(row(1))
    assert list(task.parts_ns()) == list(PARTS)
    assert sum(task.parts_ns().values()) == task.total_ns == 12 * STEP
    assert task.run_ns == task.part_ns("run") == STEP
    (unfetched,) = recorded(row(1, fetched=None))
    assert unfetched.part_ns("fetch") == 0
    assert sum(unfetched.parts_ns().values()) == unfetched.total_ns


def test_neighbouring_parts_share_a_stamp() -> None:
    borders = list(PARTS.values())
    assert borders[0][0] == "submitted"
    assert borders[-1][1] == "fetched"
    assert all(left[1] == right[0] for left, right in pairwise(borders))


def test_who_needs_whom_and_who_submitted_it() -> None:
    needs = ((DRIVER, key(1)), (OTHER, key(1)), (DRIVER, key(9) - 1, 1), (b"", 7))
    recording = recording_of(
        [
            told(row(1, worker=OTHER), row(2, 2_000_000, worker=OTHER, needs=needs)),
            told(row(1, 3_000_000, parent=key(2)), by=OTHER),
        ]
    )
    assert [task.id for task in recording] == ["1.1", "1.2", "3.1"]
    by_id = recording.by_id
    assert by_id["1.2"].needs == ("1.1", "3.1")
    assert by_id["1.2"].holds == ("1.9",)
    assert by_id["1.2"].unnamed == 7
    assert by_id["3.1"].parent == "1.2", "which ran in the process that owns the child"
    assert by_id["1.1"].parent is None
    assert by_id["1.1"].name == "f"
    assert recording.processes == {1: "driver", 2: "worker 1", 3: "worker 2"}


def test_the_calls_of_an_actor_have_its_id() -> None:
    actor = key(5) - 1
    by_another = row(8, 3_000_000, name="Counter.add", actor=actor)
    recording = recording_of(
        [
            told(
                row(5, name="Counter.__init__", actor=actor),
                row(6, 2_000_000, name="Counter.add", actor=actor),
            ),
            told(by_another, by=OTHER),
        ]
    )
    assert [task.kind for task in recording] == ["creation", "actor", "actor"]
    assert {task.actor for task in recording} == {"1.5"}
    assert recording.process(2) == "actor Counter (2)"


def test_tasks_that_have_not_ended() -> None:
    waiting, running, lost = recorded(
        row(1, 1_000_000, worker=b"", state="PENDING_ARGS_AVAIL"),
        row(2, 2_000_000, state="RUNNING"),
        ("FAILED", b"", row(3, 3_000_000)[2], (0,) * 5, 9_000_000, 0, None, None, (), b"", ""),
    )
    assert (waiting.state, running.state, lost.state) == ("waiting", "running", "failed")
    assert (waiting.ran, running.ran, lost.ran) == (False, False, False)
    assert running.part_ns("pickle") == STEP
    assert running.run_ns == 0
    assert running.worker == 2
    assert lost.failed
    assert lost.worker == 0
    assert list(lost.stamps) == ["submitted", "pickled", "packed", "ready", "leased", "sent"]


def test_a_task_that_was_not_sent_yet_has_the_stamps_that_there_are() -> None:
    told_of = list(row(1, worker=b"", state="PENDING_NODE_ASSIGNMENT"))
    told_of[2] = (*told_of[2][:7], 0, 0, 0, *told_of[2][10:])
    (task,) = recorded(tuple(told_of))
    assert list(task.stamps) == ["submitted", "pickled", "packed"]


def marked(**more: Any) -> list[Told]:
    nothing = {"puts": [], "waits": [], "dropped": 0, "marks_dropped": 0}
    return [Told(DRIVER, 100, True, nothing | more)]


def test_puts_and_waits() -> None:
    marks = marked(
        puts=[(key(4) - 1, 500, 10, 20, 0)],
        waits=[(30, 40, 0, 2, WORKER, key(1), "get"), (50, 60, 0, 0, b"", 0, "wait")],
        dropped=3,
        marks_dropped=4,
    )
    recording = recording_of([told(row(1, needs=((DRIVER, key(4) - 1),)))], marks)
    (put,) = recording.puts
    assert (put.id, put.bytes, put.end - put.start, put.parent) == ("1.4", 500, 10, None)
    assert recording.tasks[0].needs == (put.id,)
    first, second = recording.waits
    assert (first.first, first.count, first.process) == ("2.1", 2, 1)
    assert second.first is None
    assert (first.call, second.call) == ("get", "wait")
    assert recording.dropped == 7


def test_a_piece_of_a_recording() -> None:
    marks = marked(
        puts=[(key(at) - 1, 1, at * 100_000, at * 100_000, 0) for at in (7, 8, 9)],
        waits=[(at, at + 10_000, 0, 1, DRIVER, key(1), "get") for at in (250_000, 1)],
    )
    rows = [row(n, n * 100_000, needs=((DRIVER, key(7) - 1),)) for n in (3, 1, 2)]
    recording = recording_of([told(*rows)], marks)
    assert recording.span_ns == (100_000, 300_000 + 12 * STEP)
    piece = recording.between(100_000, 300_000)
    assert [task.id for task in piece] == ["1.1", "1.2"]
    assert [put.id for put in piece.puts] == ["1.7"], "the one that they took"
    assert [wait.start for wait in piece.waits] == [250_000]
    assert Recording((), 2).span_ns == (0, 0)


@pytest.mark.parametrize("name", ["run.json", "run.json.gz"])
def test_a_file_keeps_all_of_it(tmp_path: Path, name: str) -> None:
    marks = marked(puts=[(key(4) - 1, 1, 2, 3, 0)], waits=[(1, 2, 0, 0, b"", 0, "get")], dropped=1)
    recording = recording_of(
        [told(row(1), row(2, 9, needs=((DRIVER, key(1)), (DRIVER, key(3), 1))))],
        marks,
        workers=2,
        facts={"python": "3.11"},
        sources={"f": Source("f.py", 3, "def f(): ...")},
        silent=1,
    )
    recording.save(tmp_path / name)
    assert Recording.load(tmp_path / name) == recording


def test_a_file_of_the_first_version(tmp_path: Path) -> None:
    recorded(row(1)).save(tmp_path / "new.json")
    data = json.loads((tmp_path / "new.json").read_text())
    for later in ("puts", "waits", "processes", "sources", "dropped", "silent"):
        del data[later]
    for later in ("state", "actor", "error", "holds", "unnamed"):
        del data["tasks"][0][later]
    (tmp_path / "old.json").write_text(json.dumps(data | {"version": 1}))
    (task,) = Recording.load(tmp_path / "old.json")
    assert (task.state, task.ran) == ("done", True)


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
    recorded(row(1)).save(tmp_path / "file.json")
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
    def inner(x: int, nothing: list[Any]) -> int:
        with suppress(paralab.exceptions.GetTimeoutError):  # one get that is sure to wait
            paralab.get(nothing[0], timeout=0.01)
        return int(paralab.get(leaf.options(num_cpus=0).remote(x)))

    @paralab.remote
    class Counter:
        def add(self, x: int) -> int:
            return x

    @paralab.remote(resources={"nowhere": 1})
    def unmet() -> None: ...

    never = unmet.remote()
    with pytest.raises(paralab.exceptions.GetTimeoutError):
        paralab.get(never, timeout=0.01)
    first = inner.remote(1, [never])
    there = paralab.put([1, 2])
    counter: Any = Counter.remote()
    assert paralab.get(counter.add.remote(first)) == 1
    assert paralab.get(leaf.remote(there)) == [1, 2]
    recording = take()
    last = recording.tasks[-1]
    (put,) = recording.puts
    assert last.needs == (put.id,)
    named = {task.name.rpartition(".")[2]: task for task in recording.tasks[:-1]}
    assert named["leaf"].parent == named["inner"].id
    assert named["add"].needs == (named["inner"].id,)
    assert named["add"].kind == "actor"
    assert named["add"].actor == named["__init__"].id == named["__init__"].actor
    waits = named.pop("unmet")
    assert {task.state for task in recording if task is not waits} == {"done"}
    assert "return int(paralab.get(" in recording.sources[named["inner"].name].text
    assert "class Counter" in recording.sources["Counter"].text
    blocked = {(wait.process, wait.parent) for wait in recording.waits}
    assert (named["inner"].worker, named["inner"].id) in blocked, "in get, in the task"
    assert (named["inner"].owner, None) in blocked, "in get, in the driver"
    assert {wait.call for wait in recording.waits} == {"get"}
    assert recording.processes[named["inner"].owner] == "driver"
    assert recording.dropped == recording.silent == 0
    assert len(recording.session) == 12
    assert take().session == recording.session
    assert named["inner"].run_ns > named["leaf"].run_ns
    recording.save(tmp_path / "run.json")
    assert Recording.load(tmp_path / "run.json") == recording
    assert paralab.wait([never], timeout=0.01) == ([], [never])
    assert [wait.call for wait in take().waits] == [*["get"] * len(recording.waits), "wait"]


def test_taking_needs_a_session() -> None:
    with pytest.raises(SystemFailure, match="not been started"):
        take()


@pytest.mark.parametrize("view", [task_graph, timeline, overhead, explain, perfetto, what_if])
def test_a_run_is_not_its_recording(view: Any) -> None:
    whole = recorded(row(1))
    name = view.__name__
    with pytest.raises(TypeError, match=rf"{name}\(\) takes a Recording, not Run: .*run\.rec"):
        view(run_of("a run", whole, (0, 10), 2))
    with pytest.raises(TypeError, match=rf"{name}\(\) takes a Recording, not int: .*take\(\)"):
        view(3)
