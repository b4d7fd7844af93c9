"""What is told of one task when it is selected in a picture, and as a table row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from paralab_profiling.recording import PARTS, Recording, Source, Task
from paralab_profiling.svg import duration, three_digits

MOST = 400
"""Tasks of a picture that tell their details; a saved picture has to stay small."""


@dataclass(frozen=True)
class Details(Mapping[str, Mapping[str, str]]):
    """What a picture tells of its tasks; a mapping from their ids to their facts.

    Attributes:
        facts: of each task, text by name; "source" names one of ``sources``.
        run: which session they are of; all pictures of one on a page select together.
        sources: of the functions and classes that occur.
        takes: of each task the ids of what it took, as far as they are in the picture.
    """

    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    run: str = ""
    sources: Mapping[str, Source] = field(default_factory=dict)
    takes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __getitem__(self, task: str) -> Mapping[str, str]:
        return self.facts[task]

    def __iter__(self) -> Iterator[str]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)


def byte_count(count: float) -> str:
    """``count`` bytes in the unit that suits: "850 B", "41.2 kB", "8.00 MB", "1,240 TB"."""
    if abs(count) < 999.5:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if abs(count) < 999.5:  # what is rounded to 1,000 kB is 1 MB
            return f"{three_digits(count)} {unit}"
    return f"{three_digits(count / 1000)} TB"


def facts_of(task: Task, recording: Recording) -> dict[str, str]:
    """The facts of one task as text, by what they are called."""
    begin = recording.span_ns[0]
    facts = {"task": f"{task.full_name} ({task.id})", "state": task.state}
    if task.worker:
        facts["ran on" if task.ran else "at"] = recording.process(task.worker)
    facts["submitted by"] = task.parent or recording.process(task.owner)
    facts["submitted at"] = duration((task.stamps["submitted"] - begin) / 1e9)
    if task.ran:
        facts["started at"] = duration((task.stamps["loaded"] - begin) / 1e9)
        facts["total"] = duration(task.total_ns / 1e9)
        parts = {part: ns for part in PARTS if (ns := task.part_ns(part))}
        facts["of it"] = ", ".join(f"{part} {duration(ns / 1e9)}" for part, ns in parts.items())
        facts["result"] = byte_count(task.bytes_out)
    facts["arguments"] = byte_count(task.bytes_in)
    if task.needs:
        more = len(task.needs) + task.unnamed - 8
        facts["takes"] = ", ".join(task.needs[:8]) + (f" + {more:,} more" if more > 0 else "")
    if task.attempt:
        facts["attempt"] = str(task.attempt + 1)
    if lines := recording.prints.get(task.id):
        facts["printed last"] = "\n".join(lines)
    if task.error:
        facts["error"] = task.error
    return facts


def details_of(tasks: Iterable[Task], recording: Recording) -> Details:
    """What is told of the first :data:`MOST` of some tasks."""
    chosen = list(islice(tasks, MOST))
    facts: dict[str, dict[str, str]] = {}
    sources: dict[str, Source] = {}
    for task in chosen:
        facts[task.id] = facts_of(task, recording)
        name = source_name(task, recording)
        if name is not None:
            facts[task.id]["source"] = name
            sources[name] = recording.sources[name]
    takes = {task.id: tuple(need for need in task.needs if need in facts) for task in chosen}
    takes = {task: needs for task, needs in takes.items() if needs}
    return Details(facts, recording.session, sources, takes)


def source_name(task: Task, recording: Recording) -> str | None:
    """Under which name the recording has the source of a task's function or class."""
    name = task.name
    while name:
        if name in recording.sources:
            return name
        name = name.rpartition(".")[0]
    return None
