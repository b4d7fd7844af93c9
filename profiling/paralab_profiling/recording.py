"""The events of a run, in a form that pictures are made of, and that a file can keep.

A recording is plain data: what ran, when, where, and what it needed.  It is taken from a running
session, or loaded from a file, and then nothing here needs a runtime::

    session ──paralab.timeline()──▶ Recording ──save──▶ file ──load──▶ Recording ──▶ views

All times are integers, in ns on the monotonic clock of the machine that the tasks ran on; only
differences mean anything.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import paralab
from paralab.chrome_trace import STAMPS as CALL_STAMPS

FORMAT = "paralab recording"
VERSION = 1
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


class RecordingError(ValueError):
    """A file holds no recording that this version can read."""


@dataclass(frozen=True, slots=True)
class Task:
    """One call that has ended.

    Attributes:
        id: unique within the recording.
        name: of the function or method.
        kind: ``"task"`` or ``"actor"``.
        owner: number of the process that submitted it.
        worker: number of the process that ran it.
        parent: id of the task that submitted it; None at the top.
        needs: ids of the tasks whose results it took as arguments.
        attempt: 0 for the first.
        failed: whether it raised.
        bytes_in, bytes_out: pickled arguments and results.
        items: how many items a generator yielded.
        stamps: ns by the name of the moment; ``fetched`` is missing if nobody called ``get``.
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

    @property
    def run_ns(self) -> int:
        """Time in the function itself."""
        return self.stamps["ended"] - self.stamps["loaded"]

    def part_ns(self, part: str) -> int:
        """The length of one of the eight :data:`PARTS`; 0 for a fetch that never was."""
        start, end = PARTS[part]
        return self.stamps[end] - self.stamps[start] if end in self.stamps else 0

    def parts_ns(self) -> dict[str, int]:
        """All eight parts in their order; they add up to the task's whole time."""
        return {part: self.part_ns(part) for part in PARTS}

    @property
    def total_ns(self) -> int:
        """From ``submitted`` to the last stamp there is."""
        return self.stamps.get("fetched", self.stamps["stored"]) - self.stamps["submitted"]


@dataclass(frozen=True)
class Recording:
    """What ran.

    Attributes:
        tasks: in the order in which they were submitted.
        workers: how many could have run at the same time (CPUs of the session).
        facts: what it was recorded on, as text by name.
    """

    tasks: tuple[Task, ...]
    workers: int
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ordered = sorted(self.tasks, key=lambda task: task.stamps["submitted"])
        object.__setattr__(self, "tasks", tuple(ordered))

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    @property
    def by_id(self) -> dict[str, Task]:
        """The tasks by their ids."""
        return {task.id: task for task in self.tasks}

    @property
    def span_ns(self) -> tuple[int, int]:
        """The first and the last stamp there is; (0, 0) if nothing ran."""
        if not self.tasks:
            return 0, 0
        ends = [max(task.stamps.values()) for task in self.tasks]
        return self.tasks[0].stamps["submitted"], max(ends)

    def between(self, start_ns: int, end_ns: int) -> Recording:
        """Only the tasks submitted from ``start_ns`` on and before ``end_ns``."""
        kept = [t for t in self.tasks if start_ns <= t.stamps["submitted"] < end_ns]
        return Recording(tuple(kept), self.workers, self.facts)

    def save(self, path: str | Path) -> None:
        """Writes a file that :meth:`load` reads: JSON, packed if its name ends in ``.gz``."""
        data = {
            "format": FORMAT,
            "version": VERSION,
            "workers": self.workers,
            "facts": dict(self.facts),
            "tasks": [asdict(task) for task in self.tasks],
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
            tasks = [_task(**{**task, "needs": tuple(task["needs"])}) for task in data["tasks"]]
            return cls(tuple(tasks), int(data["workers"]), data["facts"])
        except RecordingError:
            raise
        except (EOFError, gzip.BadGzipFile, KeyError, TypeError, ValueError) as error:
            raise RecordingError(f"{source.name} is no recording of paralab: {error!r}") from error


def _task(**fields: Any) -> Task:
    task = Task(**fields)
    missing = [name for name in STAMPS[:-1] if type(task.stamps[name]) is not int]
    if missing:
        raise ValueError(f"task {task.id} has no {missing[0]}")
    return task


def recording_of(
    events: Iterable[Mapping[str, Any]], workers: int, facts: Mapping[str, str] | None = None
) -> Recording:
    """A recording of what ``paralab.timeline()`` has returned.

    Args:
        events: trace events; those that are no tasks are left out.
        workers: how many tasks could have run at the same time.
        facts: what they were recorded on.
    """
    complete = [event for event in events if event["ph"] == "X"]
    ids = {_id(event) for event in complete}
    # A task's parent is told by its number alone: it ran in the process that submitted the task.
    ran = {(event["tid"], str(event["args"]["task_id"])): _id(event) for event in complete}
    tasks = []
    for event in complete:
        told = event["args"]
        # What it took is told by number too; where another process owned it, nothing is known.
        needs = [f"{event['pid']}.{number}" for number in told["needs"]]
        tasks.append(
            Task(
                id=_id(event),
                name=str(event["name"]).removeprefix("__main__."),
                kind=event["cat"],
                owner=event["pid"],
                worker=event["tid"],
                parent=ran.get((event["pid"], str(told["parent"]))),
                needs=tuple(need for need in needs if need in ids),
                attempt=told["attempt"],
                failed=told["failed"],
                bytes_in=told["bytes_in"],
                bytes_out=told["bytes_out"],
                items=told["items"],
                stamps={k: v for k, v in told["stamps_ns"].items() if v is not None},
            )
        )
    return Recording(tuple(tasks), workers, dict(facts or {}))


def _id(event: Mapping[str, Any]) -> str:
    return f"{event['pid']}.{event['args']['task_id']}"


def take() -> Recording:
    """A recording of what the running session remembers.

    Raises:
        SystemFailure: paralab is not running, see ``paralab.init``.
    """
    import platform

    workers = max(1, int(paralab.cluster_resources().get("CPU", 1)))
    facts = {"python": platform.python_version(), "system": platform.system()}
    return recording_of(paralab.timeline() or (), workers, facts)
