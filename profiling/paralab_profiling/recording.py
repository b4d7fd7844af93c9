"""The events of a run, in a form that pictures are made of, and that a file can keep.

A recording is plain data: what ran, when, where, and what it needed.  It is taken from a running
session, or loaded from a file, and then nothing here needs a runtime::

    session ──taking.take()──▶ Recording ──save──▶ file ──load──▶ Recording ──▶ views

All times are integers, in ns on the monotonic clock of the machine that the tasks ran on; only
differences mean anything.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from paralab.chrome_trace import STAMPS as CALL_STAMPS

FORMAT = "paralab recording"
VERSION = 2
STAMPS = (*CALL_STAMPS, "fetched")
PARTS: Mapping[str, tuple[str, str]] = {
    "pickle": ("submitted", "pickled"),
    "submit": ("pickled", "packed"),
    "queue": ("packed", "sent"),
    "transfer": ("sent", "taken"),
    "unpickle": ("taken", "loaded"),
    "run": ("loaded", "ended"),
    "store": ("ended", "stored"),
    "fetch": ("stored", "fetched"),
}
"""The eight parts of a task's time and the two stamps that each lies between, in their order; see
"What is recorded" in ``runtime/README.md``."""


STATES = ("waiting", "queued", "sent", "running", "done", "failed")
"""Of a task: inputs are missing, a worker is missing, in a worker's queue, ..."""


class RecordingError(ValueError):
    """A file holds no recording that this version can read."""


@dataclass(frozen=True, slots=True)
class Task:
    """One call, as it stood when the recording was taken.

    Attributes:
        id: unique within the recording.
        name: of the function or method, such as ``load`` or ``Counter.add``.
        kind: ``"task"``, ``"actor"`` (a method) or ``"creation"`` (a constructor).
        owner: number of the process that submitted it.
        worker: number of the process that ran it; 0 if it has not begun, or never ran.
        parent: id of the task that submitted it; None at the top.
        needs: ids of the tasks and puts whose objects it took as arguments.  It starts after them.
        holds: the same of refs inside its arguments, such as a list of refs.  It does not wait.
        unnamed: how many more inputs it had, which were too many to remember.
        attempt: 0 for the first.
        failed: whether it raised, or never could run.
        bytes_in, bytes_out: pickled arguments and results.
        items: how many items a generator yielded.
        stamps: ns by the name of the moment.  ``fetched`` is missing if nobody called ``get``; of
            a task that has not ended only those are there that the caller knows.
        state: one of :data:`STATES`.
        actor: id of the actor whose method it is, the same for all of its calls.
        large: names the largest argument that was given by value, if it was so large that it
            went into the store: size and checksum, the same for the same value.
        error: what it failed with, as text, "" if it did not or that was long ago.
        call: what this one call is called, where the function's name does not say which part of a
            job it was: ``Pool.map f [0:1024]``.
    """

    id: str
    name: str
    kind: str
    owner: int
    worker: int
    parent: str | None
    needs: tuple[str, ...]
    attempt: int
    failed: bool
    bytes_in: int
    bytes_out: int
    items: int
    stamps: Mapping[str, int]
    state: str = "done"
    actor: str | None = None
    error: str = ""
    holds: tuple[str, ...] = ()
    unnamed: int = 0
    large: str = ""
    call: str = ""

    @property
    def full_name(self) -> str:
        """The name by which to tell it from other calls of its function, if it has one."""
        return self.call or self.name

    @property
    def ran(self) -> bool:
        """Whether a worker ran it to its end, so that it has all stamps up to ``returned``."""
        return "ended" in self.stamps

    @property
    def run_ns(self) -> int:
        """Time in the function itself; 0 if it has not ended."""
        return self.part_ns("run")

    def part_ns(self, part: str) -> int:
        """The length of one of the eight :data:`PARTS`; 0 for one that has not been, or not yet."""
        start, end = PARTS[part]
        if start not in self.stamps or end not in self.stamps:
            return 0
        return self.stamps[end] - self.stamps[start]

    def parts_ns(self) -> dict[str, int]:
        """All eight parts in their order; they add up to the task's whole time."""
        return {part: self.part_ns(part) for part in PARTS}

    @property
    def total_ns(self) -> int:
        """From ``submitted`` to the end of the last part there is."""
        ends = [self.stamps[end] for _, end in PARTS.values() if end in self.stamps]
        return max(ends, default=self.stamps["submitted"]) - self.stamps["submitted"]


@dataclass(frozen=True, slots=True)
class Put:
    """An object that the program put into the store by hand.

    Attributes:
        id: unique among tasks and puts.
        owner: number of the process that put it.
        parent: id of the task that did; None at the top.
        bytes: its size as it was stored.
        start, end: ns; when ``put`` was called and when it returned.
    """

    id: str
    owner: int
    parent: str | None
    bytes: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Wait:
    """A time in which a thread of the program stood still in ``get`` or ``wait``.

    Attributes:
        process: number of the process that waited.
        parent: id of the task that did; None in a driver.
        count: how many objects it waited for.
        first: id of the task or put that makes the first of them; None if it is not known.
        start, end: ns.
        call: "get" or "wait"; "" in recordings of an earlier version.
    """

    process: int
    parent: str | None
    count: int
    first: str | None
    start: int
    end: int
    call: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a remote function or class is defined, and its text."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Definition:
    """What workers are sent before they can run a function, or make a class's actors.

    Attributes:
        bytes: pickled.
        capture: the variable from around it that takes most bytes, "" if none does.
    """

    bytes: int
    capture: str


@dataclass(frozen=True)
class Recording:
    """What ran.

    Attributes:
        tasks: in the order in which they were submitted.
        workers: how many could have run at the same time (CPUs of the session).
        facts: what it was recorded on, as text by name.
        puts: objects put by hand, in order.
        waits: when drivers and tasks stood still, in order.
        processes: what each process is called, by its number: "driver", "worker 1", ...
        sources: of the functions and classes, by name, where that can be had.
        definitions: of the functions and classes that were sent, by name.
        store: figures of the object store in bytes, of the whole session: "capacity", "peak",
            "spilled" and "restored".
        native_threads: how many threads a process had that Python knows nothing of, such as those
            of BLAS, by its number.
        prints: the last lines that a task printed, by its id; of long ago they are forgotten.
        dropped: how many tasks, puts and waits are missing because newer ones took their place.
        silent: how many processes did not answer when it was taken.
        session: names the session, so that its recordings can be told from those of others; ""
            if it is not known.
    """

    tasks: tuple[Task, ...]
    workers: int
    facts: Mapping[str, str] = field(default_factory=dict)
    puts: tuple[Put, ...] = ()
    waits: tuple[Wait, ...] = ()
    processes: Mapping[int, str] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    dropped: int = 0
    silent: int = 0
    session: str = ""
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    store: Mapping[str, int] = field(default_factory=dict)
    native_threads: Mapping[int, int] = field(default_factory=dict)
    prints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ordered = sorted(self.tasks, key=lambda task: task.stamps["submitted"])
        object.__setattr__(self, "tasks", tuple(ordered))
        for name in ("puts", "waits"):
            marks = sorted(getattr(self, name), key=lambda mark: mark.start)
            object.__setattr__(self, name, tuple(marks))

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    @cached_property
    def by_id(self) -> dict[str, Task]:
        """The tasks by their ids."""
        return {task.id: task for task in self.tasks}

    @cached_property
    def span_ns(self) -> tuple[int, int]:
        """The first and the last stamp there is; (0, 0) if nothing ran."""
        if not self.tasks:
            return 0, 0
        ends = [max(task.stamps.values()) for task in self.tasks]
        return self.tasks[0].stamps["submitted"], max(ends)

    def process(self, number: int) -> str:
        """What a process is called."""
        return self.processes.get(number, f"process {number}")

    def between(self, start_ns: int, end_ns: int) -> Recording:
        """Only what began from ``start_ns`` on and before ``end_ns``.

        Puts from before it stay if a task that is kept took them.
        """
        tasks = [t for t in self.tasks if start_ns <= t.stamps["submitted"] < end_ns]
        needed = {need for task in tasks for need in task.needs}
        puts = [p for p in self.puts if start_ns <= p.start < end_ns or p.id in needed]
        waits = [w for w in self.waits if start_ns <= w.start < end_ns]
        return replace(self, tasks=tuple(tasks), puts=tuple(puts), waits=tuple(waits))

    def save(self, path: str | Path) -> None:
        """Writes a file that :meth:`load` reads: JSON, packed if its name ends in ``.gz``."""
        data = {
            "format": FORMAT,
            "version": VERSION,
            "workers": self.workers,
            "facts": dict(self.facts),
            "tasks": [asdict(task) for task in self.tasks],
            "puts": [asdict(put) for put in self.puts],
            "waits": [asdict(wait) for wait in self.waits],
            "processes": list(self.processes.items()),
            "sources": {name: asdict(source) for name, source in self.sources.items()},
            "dropped": self.dropped,
            "silent": self.silent,
            "session": self.session,
            "definitions": {name: asdict(each) for name, each in self.definitions.items()},
            "store": dict(self.store),
            "native_threads": list(self.native_threads.items()),
            "prints": {task: list(lines) for task, lines in self.prints.items()},
        }
        text = json.dumps(data, separators=(",", ":")).encode()
        target = Path(path)
        target.write_bytes(gzip.compress(text) if target.suffix == ".gz" else text)

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """Reads what :meth:`save` has written.  No session is needed.

        Raises:
            OSError: the file cannot be read.
            RecordingError: it holds something else, or a later version's recording.
        """
        source = Path(path)
        try:
            raw = source.read_bytes()
            if raw[:2] == b"\x1f\x8b":
                raw = gzip.decompress(raw)
            data = json.loads(raw)
            if data["format"] != FORMAT:
                raise RecordingError(f"{source.name} is no recording of paralab.")
            if data["version"] > VERSION:
                raise RecordingError(
                    f"{source.name} was recorded by a later version of paralab (format "
                    f"{data['version']}; this one reads up to {VERSION})."
                )
            tasks = [_task(**task) for task in data["tasks"]]
            return cls(
                *(tuple(tasks), int(data["workers"]), data["facts"]),
                puts=tuple(Put(**put) for put in data.get("puts", ())),
                waits=tuple(Wait(**wait) for wait in data.get("waits", ())),
                processes={int(at): str(name) for at, name in data.get("processes", ())},
                sources={name: Source(**each) for name, each in data.get("sources", {}).items()},
                dropped=int(data.get("dropped", 0)),
                silent=int(data.get("silent", 0)),
                session=str(data.get("session", "")),
                definitions={
                    name: Definition(**each) for name, each in data.get("definitions", {}).items()
                },
                store={name: int(size) for name, size in data.get("store", {}).items()},
                native_threads={int(at): int(n) for at, n in data.get("native_threads", ())},
                prints={
                    task: tuple(str(line) for line in lines)
                    for task, lines in data.get("prints", {}).items()
                },
            )
        except RecordingError:
            raise
        except (EOFError, gzip.BadGzipFile, KeyError, TypeError, ValueError) as error:
            raise RecordingError(f"{source.name} is no recording of paralab: {error!r}") from error


def expect_recording(given: object, view: str) -> None:
    """Raises TypeError in a view's name for what is no recording, such as the run that has it."""
    if not isinstance(given, Recording):
        has_one = isinstance(getattr(given, "recording", None), Recording)
        raise TypeError(
            f"{view}() takes a Recording, not {type(given).__name__}: write"
            f" {view}({'run.recording' if has_one else 'take()'})."
        )


def _task(**fields: Any) -> Task:
    task = Task(**fields | {n: tuple(fields.get(n, ())) for n in ("needs", "holds")})
    if task.state not in STATES:
        raise ValueError(f"task {task.id} is in no known state")
    needed = STAMPS[:-1] if task.ran else ("submitted",)
    for name in needed:
        if type(task.stamps[name]) is not int:
            raise ValueError(f"task {task.id} has no {name}")
    return task
