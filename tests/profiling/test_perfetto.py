"""Trace Event JSON: what Perfetto's reader asks of it, on made-up runs and on real ones."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS, acts, name_of
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import MS, pending, put, recording, task, wait

import paralab
from paralab_profiling import Recording, perfetto, save_perfetto, take
from paralab_profiling.timelines.perfetto import micros

Event = dict[str, Any]


def ns(us: float) -> int:
    """As readers do it that cut off; those that round find the same."""
    assert int(us * 1_000) == round(us * 1_000)
    return int(us * 1_000)


def checked(run: Recording) -> list[Event]:
    """The events of a run, after all that must hold for any trace was asserted."""
    trace = json.loads(json.dumps(perfetto(run)))
    events: list[Event] = trace["traceEvents"]
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    processes = {e["pid"] for e in events if e["name"] == "process_name"}
    assert len(processes) == sum(e["name"] == "process_name" for e in events)
    tids = [tid for _, tid in named]
    assert len(tids) == len({*tids}), "a track's number is its own in the whole trace"
    for event in events:
        assert type(event["pid"]) is int
        assert type(event["tid"]) is int
        assert event["tid"] > 0
        assert event["pid"] in processes
        assert event.get("ts", 0) >= 0
        assert event.get("dur", 0) >= 0
    timed = [e for e in events if e["ph"] != "M"]
    assert [e["ph"] for e in events[: len(events) - len(timed)]] == ["M"] * (
        len(events) - len(timed)
    ), "names come first"
    assert [e["ts"] for e in timed] == sorted(e["ts"] for e in timed)
    nest(timed, named)
    asynchronous(timed)
    arrows(timed)
    counters(timed)
    return timed


def nest(events: list[Event], named: set[tuple[int, int]]) -> None:
    """Walks each track as Perfetto does; closed on the left, open on the right."""
    open_: dict[tuple[int, int], list[int]] = defaultdict(list)
    for event in events:
        if event["ph"] != "X":
            continue
        track = event["pid"], event["tid"]
        assert track in named
        start = ns(event["ts"])
        end = start + ns(event["dur"])
        stack = open_[track]
        while stack and stack[-1] <= start:
            stack.pop()
        assert not stack or end <= stack[-1], f"{event} overlaps what is open on its track"
        stack.append(end)


def asynchronous(events: list[Event]) -> None:
    begins = {e["id2"]["local"]: e for e in events if e["ph"] == "b"}
    ends = {e["id2"]["local"]: e for e in events if e["ph"] == "e"}
    assert len(begins) == sum(e["ph"] == "b" for e in events)
    assert len(ends) == sum(e["ph"] == "e" for e in events)
    assert begins.keys() == ends.keys()
    for at, begin in begins.items():
        assert (begin["cat"], begin["name"], begin["pid"]) == (
            ends[at]["cat"], ends[at]["name"], ends[at]["pid"]
        )  # fmt: skip
        assert begin["ts"] <= ends[at]["ts"]


def arrows(events: list[Event]) -> None:
    """Each has both ends, in this order, and each end lies in a slice that has begun."""
    starts: dict[int, Event] = {}
    begun: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    ended: set[int] = set()
    for event in events:
        track = event["pid"], event["tid"]
        at = ns(event["ts"])
        if event["ph"] == "X":
            begun[track].append((at, at + ns(event["dur"])))
        if event["ph"] in "sf":
            assert any(start <= at < end for start, end in begun[track]), event
        if event["ph"] == "s":
            assert event["id"] not in starts
            starts[event["id"]] = event
        if event["ph"] == "f":
            assert event["bp"] == "e"
            assert event["id"] in starts
            assert event["id"] not in ended
            ended.add(event["id"])
    assert ended == starts.keys()


def counters(events: list[Event]) -> None:
    for name in ("running", "waiting"):
        values = [e["args"][name] for e in events if e["ph"] == "C" and name in e["args"]]
        assert all(value >= 0 for value in values)
        assert not values or values[-1] == 0


def slices(events: list[Event], *categories: str) -> list[Event]:
    return [e for e in events if e["ph"] == "X" and e["cat"] in categories]


@settings(deadline=None)
@given(st.integers(0, 10**15))
def test_a_reader_finds_the_very_ns(time: int) -> None:
    assert int(micros(time) * 1_000) == round(micros(time) * 1_000) == time


def test_a_task_is_a_slice_with_its_parts_in_it() -> None:
    run = recording(put("p", 0.5), task("a", 10, 30, submitted=0, needs=("p",)), wait(1, 31, "a"))
    events = checked(run)
    (whole,) = slices(events, "task")
    assert (whole["ts"], whole["dur"]) == (9_900, 20_200)
    parts = slices(events, "part")
    assert [(e["name"], e["ts"], e["dur"]) for e in parts] == [
        ("unpickle", 9_900, 100), ("run", 10_000, 20_000), ("store", 30_000, 100)
    ]  # fmt: skip
    assert {e["tid"] for e in parts} == {whole["tid"]}
    (submit, stored, waited) = slices(events, "submit", "put", "wait")
    assert (submit["name"], submit["dur"], submit["args"]["pickle (µs)"]) == (
        "f.remote()",
        200,
        100,
    )
    assert (stored["ts"], stored["args"]["bytes"]) == (500, 1_000)
    assert waited["name"] == "blocked in get(f)"
    (begin,) = [e for e in events if e["ph"] == "b"]
    assert (begin["ts"], begin["args"]["on its way (µs)"]) == (200, 100)
    (arrow,) = [e for e in events if e["ph"] == "s"]
    assert arrow["ts"] == pytest.approx(1_500, abs=0.002), "from the end of the put"
    running = [(e["ts"], e["args"]["running"]) for e in events if "running" in e.get("args", ())]
    assert running == [(10_000, 1), (30_000, 0)]


def test_time_begins_with_the_first_put() -> None:
    events = checked(recording(put("p", 1), task("a", 10, 30, submitted=5, needs=("p",))))
    assert [e["ts"] for e in slices(events, "put", "submit")] == [0, 4_000]
    assert checked(recording(put("p", 1)))[0]["ts"] == 0


def test_calls_that_overlap_have_tracks_of_their_own() -> None:
    calls = [
        task(f"{n}", 10 + n, 20 + n, submitted=n / 10, kind="actor", actor="x") for n in range(3)
    ]
    run = recording(*calls, task("z", 30, 40, submitted=1, kind="actor", actor="x"))
    whole = slices(checked(run), "actor")
    assert len({e["tid"] for e in whole}) == 3
    assert whole[0]["tid"] == whole[3]["tid"]
    assert len({e["pid"] for e in whole}) == 1


def test_waits_of_several_threads_of_a_task() -> None:
    run = recording(
        task("a", 0, 100, submitted=-1),
        task("b", 20, 80, submitted=10, owner=2, worker=3, parent="a"),
        wait(12, 50, "b", process=2, parent="a"),
        wait(40, 90, "b", process=2, parent="a"),
        wait(95, 200, "b", process=2, parent="a"),
    )
    events = checked(run)
    (whole, _) = slices(events, "task")
    inside, beside, after = slices(events, "wait")
    assert inside["tid"] == whole["tid"]
    assert whole["tid"] not in (beside["tid"], after["tid"])
    (submit,) = [e for e in slices(events, "submit") if e["args"]["task"] == "b"]
    assert submit["tid"] == whole["tid"], "submitted by the task, in its run"


def test_unfinished_and_lost_tasks() -> None:
    running = replace(pending("b", 2, "running"), worker=2)
    lost = replace(pending("d", 4), failed=True, state="failed", error="it died")
    events = checked(recording(task("a", 5, 9, submitted=0), running, pending("c", 3), lost))
    states = {e["args"]["task"]: e["args"]["state"] for e in events if e["ph"] == "b"}
    assert states == {"a": "done", "b": "running", "c": "queued", "d": "failed"}
    assert {e["args"]["task"] for e in slices(events, "task")} == {"a", "b"}


def test_arrows_from_what_never_was_are_left_out() -> None:
    run = recording(
        task("a", 10, 20, submitted=0, needs=("gone",)),
        task("b", 15, 30, worker=3, submitted=1, needs=("a",)),
    )
    assert not [e for e in checked(run) if e["ph"] in "sf"], "b began before a had ended"


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 50), st.integers(0, 5), st.integers(0, 20), st.integers(1, 4),
            st.integers(0, 20), st.sampled_from(["task", "actor"]),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_any_times_whatsoever(found: list[tuple[int, int, int, int, int, str]]) -> None:
    """Even of tasks that take no time, and that overlap where they should not."""
    tasks = []
    for at, (start, over, runs, worker, need, kind) in enumerate(found):
        tasks.append(
            task(
                f"{at}", start + 4 * over, start + 4 * over + runs, worker=worker,
                overhead=over / 7, needs=(f"{need}",), kind=kind,
                parent=f"{need % (at + 1)}" if need % 2 else None, owner=1 + need % 4,
            )
        )  # fmt: skip
    waits = [
        wait(start, start + runs, f"{need}", process=worker, parent=f"{need}")
        for start, _, runs, worker, need, _ in found
    ]
    checked(recording(*tasks, *waits))


@pytest.mark.parametrize("payload", PAYLOADS, ids=name_of)
def test_names_are_text(payload: str) -> None:
    name = payload[:3_000]
    run = recording(task("a", 1, 60, name=name, error=name, failed=True), wait(1, 60, "a"))
    run = replace(run, processes={1: name, 2: name}, facts={name: name})
    checked(run)
    found: list[str] = []

    def collect(value: Any) -> None:
        if isinstance(value, str):
            found.append(value)
        for each in (
            [*value, *value.values()]
            if isinstance(value, dict)
            else (value if isinstance(value, list) else ())
        ):
            collect(each)

    collect(perfetto(run))
    assert not [text for text in found if acts(text, colours=True) and "\n" not in text]
    json.dumps(perfetto(run), ensure_ascii=False).encode()  # no halves of characters


def test_a_wait_that_ends_before_it_begins() -> None:
    (waited,) = slices(checked(recording(task("a", 10, 30), wait(25, 20, "a"))), "wait")
    assert waited["dur"] == 0


def test_what_is_missing_is_told() -> None:
    run = recording(task("a", 1, 60), dropped=1_200, silent=1, facts={"python": "3.11"})
    told = perfetto(run)["otherData"]
    assert told == {"python": "3.11", "forgotten": "1,200", "processes without answer": "1"}


def test_nothing() -> None:
    assert perfetto(recording())["traceEvents"] == []


def test_files(tmp_path: Path) -> None:
    run = recording(task("a", 1, 60))
    plain = save_perfetto(run, tmp_path / "run.json")
    packed = save_perfetto(run, str(tmp_path / "run.json.gz"))
    assert json.loads(plain.read_text()) == json.loads(gzip.decompress(packed.read_bytes()))


def test_a_real_session_of_all_kinds(runtime: Any) -> None:
    @paralab.remote
    def leaf(x: Any) -> Any:
        return x

    @paralab.remote
    def fails() -> None:
        raise ValueError("no")

    @paralab.remote
    def outer(n: int) -> int:
        return sum(paralab.get([leaf.options(num_cpus=0).remote(x) for x in range(n)]))

    @paralab.remote
    class Plain:
        def add(self, x: int) -> int:
            return x + 1

    @paralab.remote
    class Meeting:
        """Its calls are over when all have come, so all of them overlap."""

        def __init__(self) -> None:
            self.count, self.all_here = 0, asyncio.Event()

        async def come(self, of: int) -> int:
            self.count += 1
            if self.count == of:
                self.all_here.set()
            await self.all_here.wait()
            return self.count

    @paralab.remote
    class Threads:
        def __init__(self) -> None:
            self.barrier = threading.Barrier(3, timeout=60)

        def meet(self) -> int:
            return self.barrier.wait()

    plain: Any = Plain.remote()
    meeting: Any = Meeting.remote()
    threads: Any = Threads.options(max_concurrency=3).remote()
    there = paralab.put([1, 2])
    chain = outer.remote(3)
    for _ in range(3):
        chain = plain.add.remote(chain)
    assert paralab.get(leaf.remote(there)) == [1, 2]
    assert paralab.get(chain) == 6
    assert paralab.get([meeting.come.remote(5) for _ in range(5)]) == [5] * 5
    assert sorted(paralab.get([threads.meet.remote() for _ in range(3)])) == [0, 1, 2]
    with pytest.raises(ValueError, match="no"):
        paralab.get(fails.remote())
    run = take()
    events = checked(run)
    whole = slices(events, "task", "actor", "creation")
    assert {e["args"]["task"] for e in whole} == {each.id for each in run}
    tracks = defaultdict(set)
    for event in whole:
        tracks[event["name"].rpartition(".")[2]].add(event["tid"])
    assert (len(tracks["come"]), len(tracks["meet"]), len(tracks["add"])) == (5, 3, 1)
    kinds = Counter(e["ph"] for e in events)
    assert kinds["b"] == len(run)
    assert kinds["s"] == sum(len(each.needs) for each in run) == 4
    inner = [e for e in slices(events, "wait") if "leaf" in e["name"]]
    (task_,) = [e for e in whole if e["name"].endswith("outer")]
    assert task_["tid"] in {e["tid"] for e in inner}, "outer's wait lies in its run"
    most = max(e["args"].get("running", 0) for e in events if e["ph"] == "C")
    assert most >= 5
    assert task_["dur"] * 1_000 <= (run.span_ns[1] - run.span_ns[0]) < 60_000 * MS
    # The runtime's own trace has a thread for each call that overlaps others, too.
    own = [event for event in paralab.timeline() or () if event["ph"] == "X"]
    threads = defaultdict(set)
    for event in own:
        threads[event["name"].rpartition(".")[2]].add((event["pid"], event["tid"]))
    assert len(own) == len(whole)
    assert (len(threads["come"]), len(threads["meet"]), len(threads["add"])) == (5, 3, 1)
