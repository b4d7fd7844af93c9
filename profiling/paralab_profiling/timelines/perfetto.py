"""A recording as Trace Event JSON, which https://ui.perfetto.dev opens.

The rules of the format (Trace Event Format, Google, 2016) and of Perfetto's reader::

    process   pid   one per process of the session, and one for the counters
    thread    tid   a track: its slices ("X") nest or follow each other, and never overlap; the
                    first of a process has the process's number, as on Linux
    queueing  b e   async, as many tasks wait at the same time; an id of its own for each, local to
                    its process, for else it is shown beside all processes
    arrow     s f   from the slice that made an object to the one that took it; one id per pair
    counter   C     how many tasks run and wait

A call that overlaps another one of its process, as those of async actors do, goes to the next
track.  Times are in µs with ns behind the point; they are written such that a reader that cuts off
after the ns finds the very ns, for else neighbours would overlap.
"""

from __future__ import annotations

import gzip
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count, islice
from pathlib import Path
from typing import Any

from paralab.chrome_trace import as_json
from paralab.shown_text import shown_name, shown_text
from paralab_profiling.recording import Put, Recording, Task, expect_recording
from paralab_profiling.timelines.lanes import wait_words
from paralab_profiling.timelines.spans import rows_of

Event = dict[str, Any]
_PARTS = {
    "unpickle": ("taken", "loaded"),
    "run": ("loaded", "ended"),
    "store": ("ended", "stored"),
}
_RANKS = {"X": 0, "b": 1, "e": 1, "s": 1, "f": 2, "C": 3}
"""Of events at the same moment: a slice is there before what is bound to it."""


def perfetto(recording: Recording) -> dict[str, Any]:
    """The trace of a recording, as what ``json.dumps`` takes.

    Args:
        recording: from :func:`paralab_profiling.take`, or from a file.

    Returns:
        ``{"traceEvents": [...], ...}``; times in µs since the first submission, put
        or wait, because readers want none below 0.

    Raises:
        TypeError: it is something else.
    """
    expect_recording(recording, "perfetto")
    facts = {shown_name(key): shown_text(text) for key, text in recording.facts.items()}
    missing = {"forgotten": recording.dropped, "processes without answer": recording.silent}
    facts |= {what: f"{number:,}" for what, number in missing.items() if number}
    return {
        "traceEvents": _Trace(recording).events(),
        "displayTimeUnit": "ms",
        "otherData": facts,
    }


def save_perfetto(recording: Recording, path: str | Path) -> Path:
    """Writes the trace to a file, packed if its name ends in ``.gz``; Perfetto opens both.

    Raises:
        OSError: the file cannot be written.
    """
    target = Path(path)
    text = as_json(perfetto(recording)).encode()
    target.write_bytes(gzip.compress(text) if target.suffix == ".gz" else text)
    return target


def micros(ns: int) -> float:
    """``ns`` as µs, never less when it is multiplied by 1,000 and cut off."""
    found = ns / 1_000
    while int(found * 1_000) < ns:
        found = math.nextafter(found, math.inf)
    return found


@dataclass
class _Slice:
    """What will be an "X", with what lies in it; ns on the recording's clock."""

    start: int
    end: int
    name: str
    category: str
    args: dict[str, Any] = field(default_factory=dict)
    inner: list[_Slice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.end = max(self.start, self.end)  # a file may say anything


class _Trace:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        first, self._last = recording.span_ns
        marks = [put.start for put in recording.puts] + [w.start for w in recording.waits]
        self._zero = min([first, *marks]) if recording.tasks else min(marks, default=0)
        self._ids = count(1)
        self._by_process: dict[int, list[_Slice]] = defaultdict(list)
        self._runs: dict[str, _Slice] = {}
        """For each task that ran the slice in which it runs."""
        self._where: dict[str, tuple[int, int, int, int]] = {}
        """For each task and put (pid, tid, start, end) of its slice, once it has a track."""

    def events(self) -> list[Event]:
        """All events in the order of time; those that only name things come first."""
        for task in self._recording:
            self._add_run(task)
        for task in self._recording:
            self._add_inside(task.owner, task.parent, _submission(task))
        for put in self._recording.puts:
            self._add_inside(put.owner, put.parent, _of_put(put))
        puts = {put.id for put in self._recording.puts}
        for wait in self._recording.waits:
            words = shown_name(wait_words(wait, self._recording.by_id, puts))
            slice_ = _Slice(wait.start, wait.end, words, "wait", {"objects": wait.count})
            self._add_inside(wait.process, wait.parent, slice_)
        names: list[Event] = []
        timed: list[Event] = []
        for task in self._recording:  # even a process that only keeps waiting tasks has a name
            self._by_process[task.owner]
        pid = max(self._by_process, default=0) + 1  # what counts all processes is one, too
        tracks = count(pid + 1)
        for process, slices in sorted(self._by_process.items()):
            names += _named("process", process, process, self._recording.process(process), process)
            timed += self._on_tracks(process, slices, names, tracks)
        for task in self._recording:
            timed += self._queueing(task)
            timed += self._arrows(task)
        if self._recording.tasks:
            names += _named("process", pid, pid, "all processes", pid)
            timed += self._counters(pid)
        return names + sorted(timed, key=lambda event: (event["ts"], _RANKS[event["ph"]]))

    def _ts(self, ns: int) -> float:
        return micros(ns - self._zero)

    def _add_run(self, task: Task) -> None:
        name, at = shown_name(task.name), task.stamps
        args: dict[str, Any] = {"task": task.id, "state": task.state, "attempt": task.attempt}
        args |= {"bytes_in": task.bytes_in, "bytes_out": task.bytes_out}
        if task.call:
            args["call"] = shown_name(task.call)
        if task.parent:
            args["parent"] = task.parent
        if task.error:
            args["error"] = shown_text(task.error)
        if task.ran and task.worker:
            whole = _Slice(at["taken"], at["stored"], name, task.kind, args)
            whole.inner = [
                _Slice(at[start], at[end], part, "part")
                for part, (start, end) in _PARTS.items()
                if at[start] < at[end]
            ]
            for part in whole.inner:
                if part.name == "run":
                    self._runs[task.id] = part
        elif task.state == "running" and task.worker:
            whole = _Slice(at.get("sent", at["submitted"]), self._last, name, task.kind, args)
        else:
            return
        self._by_process[task.worker].append(whole)

    def _add_inside(self, process: int, parent: str | None, slice_: _Slice) -> None:
        """Puts a slice into the run of the task that did it, or beside all runs."""
        run = self._runs.get(parent) if parent is not None else None
        if run is not None and run.start <= slice_.start and slice_.end <= run.end:
            run.inner.append(slice_)
        else:
            self._by_process[process].append(slice_)

    def _on_tracks(
        self, process: int, slices: list[_Slice], names: list[Event], tracks: Iterator[int]
    ) -> Iterator[Event]:
        """The slices of a process as events, on as many tracks as they need."""
        for slice_ in list(slices):
            for part in slice_.inner:
                part.inner, others = _apart(part.inner)
                slices += others
        # The longer first, so that what begins together does not hide what it lies in.
        slices.sort(key=lambda each: (each.start, -each.end))
        rows = rows_of([(each.start, each.end) for each in slices])
        tids = [process, *islice(tracks, max(rows, default=0))]
        for number, tid in enumerate(tids, 1):
            name = "track" if len(tids) == 1 else f"track {number}"
            names += _named("thread", process, tid, name, tid)
        for slice_, row in zip(slices, rows, strict=True):
            yield from self._placed(slice_, process, tids[row])

    def _placed(self, slice_: _Slice, process: int, tid: int) -> Iterator[Event]:
        if "task" in slice_.args or "put" in slice_.args:
            made = slice_.args.get("task") or slice_.args["put"]
            if slice_.category != "submit":
                self._where[made] = process, tid, slice_.start, slice_.end
        yield {
            "name": slice_.name,
            "cat": slice_.category,
            "ph": "X",
            "ts": self._ts(slice_.start),
            "dur": micros(slice_.end - slice_.start),
            "pid": process,
            "tid": tid,
            "args": slice_.args,
        }
        for inner in slice_.inner:
            yield from self._placed(inner, process, tid)

    def _queueing(self, task: Task) -> Iterator[Event]:
        """From ``.remote()`` until a worker takes it, at the process that keeps it."""
        at = task.stamps
        start = at.get("packed", at["submitted"])
        has_begun = task.ran or task.state == "running"
        end = at.get("taken", at.get("sent", self._last)) if has_begun else self._last
        if task.failed and not task.ran:
            end = at.get("sent", start)
        end = max(start, end)
        ready = min(max(start, at.get("ready", end)), end)
        sent = min(max(ready, at.get("sent", end)), end)
        args = {
            "task": task.id,
            "state": task.state,
            "inputs missing (µs)": micros(ready - start),
            "worker missing (µs)": micros(sent - ready),
            "on its way (µs)": micros(end - sent),
        }
        event = {
            "name": shown_name(task.name),
            "cat": "queue",
            "id2": {"local": f"{next(self._ids):#x}"},
            "pid": task.owner,
            "tid": task.owner,
        }
        yield event | {"ph": "b", "ts": self._ts(start), "args": args}
        yield event | {"ph": "e", "ts": self._ts(end)}

    def _arrows(self, task: Task) -> Iterator[Event]:
        """From what made each of its inputs to where the task starts."""
        if not task.ran or task.id not in self._where:
            return
        pid, tid, _, stored = self._where[task.id]
        loaded = task.stamps["loaded"]
        for need in task.needs:
            if need not in self._where or loaded == stored:
                continue
            from_pid, from_tid, start, end = self._where[need]
            maker = self._recording.by_id.get(need)
            if maker is not None and maker.ran:
                end = maker.stamps["ended"]
            # At its very end a slice is closed already, and an arrow there belongs to nothing.
            left = max(start, end - 1)
            if left > loaded or start == self._where[need][3]:
                continue
            event = {"name": "takes", "cat": "dependency", "id": next(self._ids)}
            yield event | {"ph": "s", "ts": self._ts(left), "pid": from_pid, "tid": from_tid}
            yield event | {
                "ph": "f",
                "bp": "e",
                "ts": self._ts(loaded),
                "pid": pid,
                "tid": tid,
            }

    def _counters(self, pid: int) -> Iterator[Event]:
        """How many tasks run, and how many were submitted and do not run yet."""
        # Perfetto calls a counter by its event's and its argument's names: "tasks running".
        for name, first, last in (("running", "loaded", "ended"), ("waiting", "packed", "loaded")):
            changes: dict[int, int] = defaultdict(int)
            for task in self._recording:
                if task.ran:
                    changes[task.stamps[first]] += 1
                    changes[task.stamps[last]] -= 1
            times = sorted(changes)
            for time, now in zip(times, accumulate(changes[at] for at in times), strict=True):
                yield {
                    "name": "tasks",
                    "ph": "C",
                    "ts": self._ts(time),
                    "pid": pid,
                    "tid": pid,
                    "args": {name: now},
                }


def _submission(task: Task) -> _Slice:
    at = task.stamps
    name = f"{shown_name(task.name)}.remote()"
    pickle = micros(max(0, at.get("pickled", at["submitted"]) - at["submitted"]))
    args = {"task": task.id, "pickle (µs)": pickle, "bytes_in": task.bytes_in}
    return _Slice(at["submitted"], at.get("packed", at["submitted"]), name, "submit", args)


def _of_put(put: Put) -> _Slice:
    return _Slice(put.start, put.end, "put", "put", {"put": put.id, "bytes": put.bytes})


def _apart(slices: Sequence[_Slice]) -> tuple[list[_Slice], list[_Slice]]:
    """Those that follow each other, and those that overlap one of them: other threads' ones."""
    ordered = sorted(slices, key=lambda each: (each.start, each.end))
    rows = rows_of([(each.start, each.end) for each in ordered])
    kept = [each for each, row in zip(ordered, rows, strict=True) if not row]
    return kept, [each for each, row in zip(ordered, rows, strict=True) if row]


def _named(what: str, pid: int, tid: int, name: str, order: int) -> list[Event]:
    """What a process or a track is called, and where it stands."""
    event: Event = {"ph": "M", "pid": pid, "tid": tid}
    return [
        event | {"name": f"{what}_name", "args": {"name": shown_name(name)}},
        event | {"name": f"{what}_sort_index", "args": {"sort_index": order}},
    ]
