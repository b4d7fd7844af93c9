"""What a run had to wait for: the path of causes to its end, and the longest chain of work.

*Critical path*: what really happened, walked backwards from the end of the task that ended last.
Before a moment in a task stands the task that ended its last wait in ``get`` until then.  Before a
task's start stands what let it start last: the input that came last, the call before it on the same
actor, or, where it was submitted only after all of these, what its driver had waited for in
``get``, or the task that submitted it, at that moment.

*Span*: the time of the longest chain of dependent work, by measured run times alone, as if there
were a worker for every task and nothing cost anything (T-infinity in the work-span model; Blumofe
and Leiserson, "Scheduling Multithreaded Computations by Work Stealing", JACM 1999).  *Work* is the
sum of all run times (T1).  No schedule takes less than the larger of span and work ÷ workers.

A task that waits for others in ``get`` while it runs does not work meanwhile: its waits are taken
off its own time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from paralab_profiling.recording import Recording, Task, Wait


def critical_path(recording: Recording) -> tuple[str, ...]:
    """Ids of the tasks that the end of the run had to wait for, in the order of their starts.

    Tasks that have not ended, or never ran, are on no path.
    """
    path = [task.id for task, _begin, _end in _walk(recording)]
    # A task that waits for another stands before it and after it; its first place is told.
    return tuple(dict.fromkeys(reversed(path)))


def critical_ns(recording: Recording) -> int:
    """For how long functions ran on the critical path, in ns; the rest of it is overhead.

    Of each task only that time counts in which the end of the run had to wait for it.
    """
    return sum(max(0, end - begin) for _task, begin, end in _walk(recording))


def _walk(recording: Recording) -> Iterator[tuple[Task, int, int]]:
    """The critical path backwards: tasks, and when their functions ran as a part of it."""
    ran = [task for task in recording if task.ran]
    if not ran:
        return
    causes = _Causes(recording)
    task = max(ran, key=lambda task: task.stamps["stored"])
    until = task.stamps["stored"]
    seen: set[tuple[str, int]] = set()
    while (task.id, until) not in seen:
        seen.add((task.id, until))
        begin, cause = causes.of(task, until)
        yield task, max(begin, task.stamps["loaded"]), min(until, task.stamps["ended"])
        if cause is None:
            return
        task, until = cause


def own_ns(recording: Recording) -> dict[str, int]:
    """For each task that ran its time in ns without the time in which it waited for others."""
    own = {task.id: task.run_ns for task in recording if task.ran}
    for wait in recording.waits:
        if wait.parent in own:
            own[wait.parent] = max(0, own[wait.parent] - (wait.end - wait.start))
    return own


def work_ns(recording: Recording) -> int:
    """The sum of the times of all tasks, in ns."""
    return sum(own_ns(recording).values())


def span_ns(recording: Recording) -> int:
    """The length of the longest chain of dependent tasks, in ns."""
    own, causes = own_ns(recording), _Causes(recording)
    longest: dict[str, int] = {}
    # An input is submitted before what takes it, so one pass in order is enough.
    for task in recording:
        if task.ran:
            before = [longest.get(each.id, 0) for each in causes.inputs(task)]
            longest[task.id] = own[task.id] + max(before, default=0)
    return max(longest.values(), default=0)


class _Causes:
    """What came before what."""

    def __init__(self, recording: Recording) -> None:
        self._tasks = {task.id: task for task in recording if task.ran}
        self._before = dict(_calls_before(self._tasks.values()))
        self._waits: dict[tuple[int, str | None], list[Wait]] = defaultdict(list)
        for wait in recording.waits:
            self._waits[wait.process, wait.parent].append(wait)
        self._ends = {key: sorted(each.end for each in of) for key, of in self._waits.items()}
        for of in self._waits.values():
            of.sort(key=lambda wait: wait.end)
        self._returned: dict[int, list[Task]] = defaultdict(list)
        for task in sorted(self._tasks.values(), key=lambda task: task.stamps["returned"]):
            self._returned[task.owner].append(task)
        self._times = {
            owner: [task.stamps["returned"] for task in of] for owner, of in self._returned.items()
        }

    def inputs(self, task: Task) -> Iterator[Task]:
        """The tasks that it could not start before, whatever there are of workers."""
        for need in task.needs:
            if need in self._tasks:
                yield self._tasks[need]
        if task.id in self._before:
            yield self._before[task.id]

    def of(self, task: Task, until: int) -> tuple[int, tuple[Task, int] | None]:
        """Since when a task ran until a moment, and what it had to wait for before.

        That is a task and until when that was waited for; None if it was the driver alone.
        """
        wait, inside = self._ended_wait(task.worker, task.id, until, task.holds)
        if wait is not None and inside is not None:
            return wait.end, (inside, inside.stamps["stored"])
        begin = task.stamps["loaded"]
        last = max(self.inputs(task), key=lambda each: each.stamps["stored"], default=None)
        submitted = task.stamps["submitted"]
        if last is not None and last.stamps["stored"] >= submitted:
            return begin, (last, last.stamps["stored"])
        parent = self._tasks.get(task.parent or "")
        if parent is not None:
            return begin, (parent, submitted)
        _wait, waited = self._ended_wait(task.owner, task.parent, submitted, ())
        cause = last if waited is None else waited
        return begin, None if cause is None else (cause, cause.stamps["stored"])

    def _ended_wait(
        self, process: int, parent: str | None, until: int, held: Sequence[str]
    ) -> tuple[Wait, Task] | tuple[None, None]:
        """The last wait of a driver or in a task before a moment, and the task that ended it.

        A wait does not tell all that it was for: it may be any task of the same process, or what
        the task held refs of.  One that ended before the wait began held up nobody.
        """
        of = self._waits.get((process, parent), [])
        at = bisect_right(self._ends.get((process, parent), []), until)
        times = self._times.get(process, [])
        for wait in reversed(of[:at]):
            found: list[Task] = []
            last = bisect_right(times, wait.end) - 1
            if last >= 0 and times[last] >= wait.start:
                found.append(self._returned[process][last])
            others = (self._tasks.get(each) for each in (*held, wait.first or ""))
            found += [
                each
                for each in others
                if each is not None and wait.start <= each.stamps["stored"] <= wait.end
            ]
            found = [each for each in found if each.id != parent]
            if found:
                return wait, max(found, key=lambda each: each.stamps["stored"])
        return None, None


def _calls_before(tasks: Iterable[Task]) -> Iterator[tuple[str, Task]]:
    """For each call of an actor the call that ended last before it began."""
    calls: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        if task.actor is not None:
            calls[task.actor].append(task)
    for of in calls.values():
        of.sort(key=lambda task: task.stamps["ended"])
        ends = [task.stamps["ended"] for task in of]
        for task in of:
            at = bisect_right(ends, task.stamps["loaded"]) - 1
            if at >= 0 and of[at] is not task:
                yield task.id, of[at]
