"""What handing over costs, read off a recording's stamps.

Four figures.  The first three are means over the tasks that show them, so that they add up to what
the run took: tasks are sent ahead in batches, so a few long gaps are the cost of many short ones.

=========== ======================================================================================
start       from an input's or task's arrival at its owner until a worker that had nothing to do
            takes it
next        from the end of one task until its worker takes the next, which had been ready: short
            where the runtime had sent it ahead, a round trip through the owner where it had not
result      from the end of a task until its owner hears of it
owner       what the owner itself needs for one task, one after the other: the bound on tasks per
            second.  No stamp shows it alone, so it is the smallest of what it cannot exceed: the
            time per result in the fastest half of the run; from a result's arrival until it is
            fetched; from an input's arrival until the task is ready; from a task's end until its
            worker takes another that was not sent ahead
=========== ======================================================================================
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mean, median

from paralab_profiling.recording import Recording, Task

FEWEST = 16
"""Results from which on the rate of an owner is looked at."""


@dataclass(frozen=True)
class Costs:
    """In ns, for one task; see the module.

    Attributes:
        start, result, owner: the same for all tasks.
        next: by the name of the function that comes next.
    """

    start: int = 0
    result: int = 0
    owner: int = 0
    next: Mapping[str, int] = field(default_factory=dict)

    def before(self, name: str, is_idle: bool) -> int:
        """From when a worker and a task are there until the worker takes the task."""
        return self.start if is_idle else self.next.get(name, self.start)


def costs_of(recording: Recording) -> Costs:
    """The costs that a recording shows; 0 for what no task of it shows."""
    tasks = {task.id: task for task in recording if task.ran}
    before = dict(_before_on_worker(tasks.values()))
    starts: list[int] = []
    firsts: list[int] = []
    arrivals: list[int] = []
    round_trips: list[int] = []
    following: dict[str, list[int]] = defaultdict(list)
    for task in tasks.values():
        came = max((tasks[n].stamps["returned"] for n in task.needs if n in tasks), default=0)
        ready, taken = max(task.stamps["ready"], came), task.stamps["taken"]
        if came and task.stamps["ready"] >= came > task.stamps["packed"]:
            arrivals.append(ready - came)
        last = before.get(task.id)
        if last is None:
            firsts.append(taken - max(ready, task.stamps["sent"]))
        elif last.stamps["stored"] <= ready:
            starts.append(taken - ready)
        else:
            following[task.name].append(taken - last.stamps["stored"])
            if task.stamps["sent"] >= last.stamps["stored"]:
                round_trips.append(taken - last.stamps["stored"])
    result = _mean([task.stamps["returned"] - task.stamps["stored"] for task in tasks.values()])
    start = _mean(starts or firsts)
    bounds = [_middle(of) for of in (arrivals, round_trips) if of]
    bounds += [*_rates(tasks.values()), *_soonest(tasks.values())]
    return Costs(
        start=start,
        result=result,
        owner=min(bounds) if bounds else result + start,
        next={name: _mean(of) for name, of in following.items()},
    )


def most_at_once(tasks: Collection[Task]) -> int:
    """The largest number of tasks whose functions ran at the same time."""
    # An end counts before a start at the same moment.
    changes = sorted(
        [(task.stamps["loaded"], 1) for task in tasks]
        + [(max(task.stamps["ended"], task.stamps["loaded"] + 1), -1) for task in tasks]
    )
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _before_on_worker(tasks: Collection[Task]) -> Iterator[tuple[str, Task]]:
    """For each task that is not the first on its worker the one before it."""
    lanes: dict[int, list[Task]] = defaultdict(list)
    for task in tasks:
        lanes[task.worker].append(task)
    for lane in lanes.values():
        lane.sort(key=lambda task: task.stamps["taken"])
        for last, task in pairwise(lane):
            # Calls of an actor may overlap, and a task may run while another waits in get.
            if last.stamps["stored"] <= task.stamps["taken"]:
                yield task.id, last


def _rates(tasks: Collection[Task]) -> Iterator[int]:
    """For each owner of many tasks its time per result in the fastest half of them."""
    returned: dict[int, list[int]] = defaultdict(list)
    for task in tasks:
        returned[task.owner].append(task.stamps["returned"])
    for times in returned.values():
        if len(times) >= FEWEST:
            times.sort()
            half = len(times) // 2
            yield min(b - a for a, b in zip(times, times[half:], strict=False)) // half


def _soonest(tasks: Collection[Task]) -> Iterator[int]:
    """The time from a result's arrival to its ``get``, of the tenth in which it is shortest."""
    times = sorted(
        task.stamps["fetched"] - task.stamps["returned"]
        for task in tasks
        if "fetched" in task.stamps
    )
    if times:
        yield max(0, times[len(times) // 10])


def _mean(times: Sequence[int]) -> int:
    return max(0, round(mean(times))) if times else 0


def _middle(times: Sequence[int]) -> int:
    return max(0, round(median(times))) if times else 0
