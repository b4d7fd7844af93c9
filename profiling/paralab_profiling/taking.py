"""From what the processes of a session tell to a :class:`Recording`.

Each process knows the tasks, puts and waits of its own only (see "Asking" in
``runtime/README.md``), by keys that count from 1 in each.  Here they get ids that are unique in
the session, and what only comparing them tells: parents and actors.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import paralab
from paralab.chrome_trace import STAMPS
from paralab.engine import Told, current
from paralab.ids import INDEX_BITS, Address, process_number
from paralab.limits import cpu_count
from paralab.remote_errors import unpack_failure
from paralab.shown_text import shown_name, shown_text
from paralab.state.events import task_record
from paralab.state.told import TaskRow
from paralab.util.state.collect import creations
from paralab_profiling.recording import Definition, Put, Recording, Source, Task, Wait

MOST_TASKS = 1_000_000
SECONDS = 5.0
"""How long a process may take to answer; one whose GIL is held is left out, and counted."""
LONGEST_ERROR = 2_000
MOST_LINES, LONGEST_LINE = 3, 80
"""Of what a task printed: the last lines, and characters of each.  A picture tells them of hundreds
of tasks, and its file has to stay small."""
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_OF_CALLER = STAMPS[: STAMPS.index("sent") + 1]
"""The stamps of a task that has not run, as far as it has come."""
_STATES = {
    "PENDING_ARGS_AVAIL": "waiting",
    "PENDING_NODE_ASSIGNMENT": "queued",
    "SUBMITTED_TO_WORKER": "sent",
    "RUNNING": "running",
    "FINISHED": "done",
    "FAILED": "failed",
}


def take(seconds: float = SECONDS) -> Recording:
    """A recording of what the running session remembers, unfinished tasks included.

    Args:
        seconds: how long to wait for processes that do not answer.

    Raises:
        SystemFailure: paralab is not running, see ``paralab.init``.
    """
    units = paralab.cluster_resources().get("CPU", 1)
    engine = current()
    answers = {what: engine.survey(what, MOST_TASKS, seconds) for what in ("tasks", "marks")}
    sources: dict[str, Source] = {}
    for told in engine.survey("sources", 1_000, seconds).told:
        for name, file, line, text in reversed(told.answer or ()):  # the newest of a name
            sources.setdefault(shown_name(name), Source(file, line, text))
    found = recording_of(
        answers["tasks"].told,
        answers["marks"].told,
        workers=max(1, int(units)),
        facts={
            "python": platform.python_version(),
            "system": platform.system(),
            "cores": str(cpu_count()),
        },
        sources=sources,
        silent=len(answers["tasks"].silent),
    )
    threads = engine.survey("native_threads", 1, seconds).told
    return replace(
        found,
        definitions=_definitions(engine.survey("definitions", 1_000, seconds).told),
        store=_store(engine.info("store") or {}),
        native_threads={process_number(told.address): int(told.answer or 0) for told in threads},
        prints=printed(engine.info("prints") or ()),
    )


def printed(
    lines: Iterable[tuple[int, str, tuple[Address, int] | None]],
) -> dict[str, tuple[str, ...]]:
    """The last lines that each task printed, by its id, of what ``engine.info("prints")`` tells."""
    found: dict[str, deque[str]] = {}
    for _pid, line, of in lines:
        if of is not None:
            text = shown_name(_COLOUR.sub("", line))
            text = text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 1]}…"
            found.setdefault(_id(*of), deque(maxlen=MOST_LINES)).append(text)
    return {task: tuple(kept) for task, kept in found.items()}


def _definitions(answers: Iterable[Told]) -> dict[str, Definition]:
    """The largest of each name, as processes may have pickled different ones."""
    found: dict[str, Definition] = {}
    for told in answers:
        for name, size, capture in told.answer or ():
            known = found.get(shown_name(name))
            if known is None or known.bytes < size:
                found[shown_name(name)] = Definition(size, shown_name(capture))
    return found


def _store(figures: Mapping[str, Any]) -> dict[str, int]:
    names = {"capacity": "capacity", "peak": "peak"}
    names |= {"spilled": "spilled_total", "restored": "restored_total"}
    return {name: int(figures[of]) for name, of in names.items() if of in figures}


def recording_of(
    tasks: Iterable[Told],
    marks: Iterable[Told] = (),
    workers: int = 1,
    facts: Mapping[str, str] | None = None,
    sources: Mapping[str, Source] | None = None,
    silent: int = 0,
) -> Recording:
    """A recording of what processes have told.

    Args:
        tasks: their answers to a survey of "tasks".
        marks: their answers to a survey of "marks".
        workers: how many tasks could have run at the same time.
        facts: what they were recorded on.
        sources: of functions and classes, by name.
        silent: how many did not answer.
    """
    found = _Session(tasks, marks)
    return Recording(
        found.tasks(),
        workers,
        dict(facts or {}),
        *(found.puts(), found.waits(), found.processes(), dict(sources or {}), found.dropped()),
        silent,
        found.session(),
    )


class _Session:
    """All that was told, and what comparing it tells."""

    def __init__(self, tasks: Iterable[Told], marks: Iterable[Told]) -> None:
        self._told = list(tasks)
        self._marks = [each for each in marks if each.answer]
        self._rows = [
            (each.address, TaskRow._make(row)) for each in self._told for row in each.answer or ()
        ]
        self._large = {
            (told.address, key): f"{size}-{check:08x}"
            for told in self._marks
            for key, size, check in told.answer.get("large", ())
        }
        # A parent is told by its number alone: it ran in the process that submitted the task.
        self._ran = {(row.worker, row.caller[0]): owner for owner, row in self._rows if row.worker}
        self._creations = creations(self._rows)
        self._actors = {
            row.worker: (owner, row.caller[10])
            for owner, row in self._rows
            if row.worker and (owner, row.caller[0]) in self._creations
        }

    def tasks(self) -> tuple[Task, ...]:
        return tuple(self._task(owner, row) for owner, row in self._rows)

    def _task(self, owner: Address, row: TaskRow) -> Task:
        name, attempt, bytes_in = row.caller[1], row.caller[3], row.caller[4]
        is_creation = (owner, row.caller[0]) in self._creations
        if is_creation and not name.endswith(".__init__"):
            name += ".__init__"
        # A task that failed without having run has five zeros for stamps.
        has_run = bool(row.stamps) and row.stamps[0] > 0
        record = task_record(
            row.worker,
            row.caller,
            row.stamps or (0,) * 5,
            row.returned,
            row.state == "FAILED",
            row.bytes_out,
        )
        known = STAMPS if has_run else _OF_CALLER
        stamps = {at: ns for at in known if (ns := getattr(record, at))}
        if row.fetched is not None:
            stamps["fetched"] = row.fetched
        return Task(
            id=_id(owner, record.key),
            name=shown_name(name.removeprefix("__main__.")),
            kind="creation" if is_creation else "actor" if record.actor else "task",
            owner=process_number(owner),
            worker=process_number(row.worker) if row.worker else 0,
            parent=self._parent(owner, record.parent),
            needs=_ids(need for need in record.needs if len(need) == 2 and need[0]),
            unnamed=sum(need[1] for need in record.needs if not need[0]),
            holds=_ids(need for need in record.needs if len(need) == 3),
            attempt=attempt,
            failed=row.state == "FAILED",
            bytes_in=bytes_in,
            bytes_out=record.bytes_out,
            items=record.items,
            stamps=stamps,
            state=_STATES[row.state],
            actor=self._actor(owner, row),
            error=_error(row),
            large=self._large.get((owner, record.key), ""),
            call=shown_name(row.call),
        )

    def _parent(self, owner: Address, key: int) -> str | None:
        of = self._ran.get((owner, key)) if key else None
        return None if of is None else _id(of, key)

    def _actor(self, owner: Address, row: TaskRow) -> str | None:
        if not row.caller[10]:
            return None
        return _id(*(row.actor or self._actors.get(row.worker) or (owner, row.caller[10])))

    def puts(self) -> tuple[Put, ...]:
        return tuple(
            Put(
                id=_id(told.address, key),
                owner=process_number(told.address),
                parent=self._parent(told.address, parent),
                bytes=size,
                start=start,
                end=end,
            )
            for told in self._marks
            for key, size, start, end, parent in told.answer["puts"]
        )

    def waits(self) -> tuple[Wait, ...]:
        return tuple(
            Wait(
                process=process_number(told.address),
                parent=self._parent(told.address, parent),
                count=count,
                first=_id(owner, key) if owner else None,
                start=start,
                end=end,
                call=call,
            )
            for told in self._marks
            for start, end, parent, count, owner, key, call in told.answer["waits"]
        )

    def processes(self) -> dict[int, str]:
        """Names: drivers, then workers and actors by number."""
        drivers = {each.address for each in self._told if each.is_driver}
        owners = {owner for owner, _row in self._rows}
        ran = {row.worker for _owner, row in self._rows if row.worker}
        names: dict[int, str] = {}
        for count, address in enumerate(sorted(drivers, key=process_number), start=1):
            names[process_number(address)] = "driver" if count == 1 else f"driver {count}"
        workers = 0
        for address in sorted((ran | owners) - drivers, key=process_number):
            number = process_number(address)
            if address in self._actors:
                names[number] = f"actor {self._actor_name(address)}"
            else:
                workers += 1
                names[number] = f"worker {workers}"
        return names

    def _actor_name(self, address: Address) -> str:
        creation = next(
            row
            for owner, row in self._rows
            if row.worker == address and (owner, row.caller[0]) in self._creations
        )
        name = str(creation.caller[1]).removeprefix("__main__.").removesuffix(".__init__")
        return f"{shown_name(name)} ({process_number(address)})"

    def session(self) -> str:
        """A name made from the first driver's address, which no two sessions have in common."""
        drivers = [each.address for each in self._told if each.is_driver]
        return hashlib.sha256(min(drivers)).hexdigest()[:12] if drivers else ""

    def dropped(self) -> int:
        return sum(told.answer["dropped"] + told.answer["marks_dropped"] for told in self._marks)


def _id(owner: Address, key: int) -> str:
    return f"{process_number(owner)}.{key >> INDEX_BITS}"


def _ids(needs: Iterable[tuple[Any, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_id(owner, key) for owner, key, *_inside in needs))


def _error(row: TaskRow) -> str:
    if not row.failure:
        return ""
    try:
        text = str(unpack_failure(row.failure))
    except Exception as problem:  # the exception's class may be one that cannot be loaded here
        text = f"It cannot be read here: {problem}"
    text = shown_text(text)
    return text if len(text) <= LONGEST_ERROR else f"... {text[-LONGEST_ERROR:]}"
