"""What each process did of its own accord, read off a recording.

A program is the driver's, or that of a task which submits tasks itself.  Its steps are *submit*
(a task leaves) and *need* (it goes on only when a task's result is there), each after some time
of its own: the time between two steps, less that in which it stood in ``get`` or ``wait`` for
something that had not come.  What follows the arrival (waking up, reading the values) is the
program's own time again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from paralab_profiling.recording import Recording, Task, Wait

Key = tuple[int, str | None]
"""Of a program: the process, and the task it runs in; None for a driver."""


@dataclass(frozen=True, slots=True)
class Step:
    """``before_ns`` of its own time, then a task is submitted, or its result is needed."""

    before_ns: int
    is_submit: bool
    task: str


@dataclass(frozen=True, slots=True)
class Program:
    """Steps in their order.

    Attributes:
        begin: stamp at which it begins.
        rest_ns: its own time after the last step.
    """

    begin: int
    steps: tuple[Step, ...]
    rest_ns: int

    @property
    def own_ns(self) -> int:
        """All time in which it did not stand still."""
        return sum(step.before_ns for step in self.steps) + self.rest_ns


def programs_of(
    recording: Recording, block_ns: tuple[int, int] | None = None
) -> dict[Key, Program]:
    """The programs of drivers and of tasks that have submitted tasks.

    Args:
        recording: tasks that have not ended are left out.
        block_ns: when the drivers began and ended; by default with their first and last step.
    """
    tasks = {task.id: task for task in recording if task.ran}
    children: dict[Key, list[Task]] = defaultdict(list)
    for task in tasks.values():
        children[key_of(task, tasks)].append(task)
    waits: dict[Key, list[Wait]] = defaultdict(list)
    for wait in recording.waits:
        waits[wait.process, wait.parent].append(wait)
    return {key: _program(key, of, waits[key], tasks, block_ns) for key, of in children.items()}


def key_of(task: Task, tasks: Mapping[str, Task]) -> Key:
    """Of the program that submitted it."""
    parent = task.parent if task.parent in tasks else None
    return task.owner, parent


def _program(
    key: Key,
    children: list[Task],
    waits: list[Wait],
    tasks: dict[str, Task],
    block_ns: tuple[int, int] | None,
) -> Program:
    """One program from the times of its steps."""
    parent = tasks[key[1]] if key[1] is not None else None
    events = [(task.stamps["packed"], 0, task.id) for task in children]
    first = min(task.stamps["submitted"] for task in children)
    last = None
    if parent is not None:
        first, last = parent.stamps["loaded"], parent.stamps["ended"]
    elif block_ns is not None:
        first, last = block_ns
    for task in children:
        at = task.stamps.get("fetched")
        if at is not None and (last is None or at <= last):
            events.append((at, 1, task.id))
    still: list[tuple[int, int]] = []
    children.sort(key=lambda task: task.stamps["returned"])
    times = [task.stamps["returned"] for task in children]
    for wait in waits:
        if wait.start < first or (last is not None and wait.end > last):
            continue
        came = _came_last(wait, children, times, tasks)
        if came is not None:
            events.append((wait.end, 1, came.id))
            arrived = min(max(came.stamps["returned"], wait.start), wait.end)
            still.append((wait.start, arrived))
    events.sort()
    still.sort()
    steps, at = [], first
    for time, kind, task_id in events:
        steps.append(Step(_moving_ns(at, time, still), kind == 0, task_id))
        at = max(at, time)
    return Program(first, tuple(steps), _moving_ns(at, last, still) if last is not None else 0)


def _came_last(
    wait: Wait, children: list[Task], times: list[int], tasks: dict[str, Task]
) -> Task | None:
    """What ended a wait: the last of the program's own results in it, or what it asked for."""
    at = bisect_right(times, wait.end) - 1
    if at >= 0 and times[at] >= wait.start:
        return children[at]
    return tasks.get(wait.first) if wait.first is not None else None


def _moving_ns(start: int, end: int, still: list[tuple[int, int]]) -> int:
    """The part of ``start`` to ``end`` that lies in none of ``still``, which is in order."""
    found = max(0, end - start)
    at = max(0, bisect_left(still, (start, start)) - 1)
    while at < len(still) and still[at][0] < end:
        found -= max(0, min(end, still[at][1]) - max(start, still[at][0]))
        at += 1
    return max(0, found)
