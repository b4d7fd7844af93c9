"""What is known of a run while it goes on; pure: answers of processes in, differences out.

Figures are of all tasks: each process counts what it remembers.  Marks are of few: the newest
tasks that have ended, those that run, and some that wait.  A mark changes when its task begins or
ends.  One that ran, and of which the newest tell neither that it runs nor that it has ended, ended
unheard: nobody knows when, so it goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from paralab.engine import Told
from paralab.ids import Address, process_number
from paralab.shown_text import shown_name
from paralab_profiling.recording import Recording, Task
from paralab_profiling.taking import recording_of

MOST_MARKS = 10_000
"""Tasks that are shown one by one; of the others only figures are."""
FORGOTTEN = "forgotten ones"
"""How tasks are called whose records went because newer ones came."""
_ENDED = ("done", "failed")


@dataclass(frozen=True, slots=True)
class Count:
    """How far the tasks of one function are."""

    done: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0

    @property
    def total(self) -> int:
        """All that were submitted."""
        return self.done + self.failed + self.running + self.waiting


@dataclass
class Watched:
    """All that was heard so far.

    Attributes:
        begin: ns on the machine's monotonic clock; what was submitted before is not shown.
        counts: by function, in the order in which they were first heard of.
        marks: the tasks that are shown one by one, by id, at most :data:`MOST_MARKS`.
        lanes: what each process is called that runs tasks, by number.
        drivers: what each driver is called, by number.
        session: see :class:`Recording`.
    """

    begin: int
    counts: dict[str, Count] = field(default_factory=dict)
    marks: dict[str, Task] = field(default_factory=dict)
    lanes: dict[int, str] = field(default_factory=dict)
    drivers: dict[int, str] = field(default_factory=dict)
    session: str = ""
    _seen: dict[tuple[Address, int], str] = field(default_factory=dict)
    _before: Counter[tuple[Address, str, bool]] | None = None
    _running: set[str] = field(default_factory=set)
    _gone: list[str] = field(default_factory=list)

    def hear(self, told: Iterable[Told]) -> list[Task]:
        """Takes in the answers to a survey of "news"; returns the marks that are new or changed.

        What had ended by the first call counts as not being of this run.
        """
        answers = [each for each in told if each.answer]
        recording = recording_of(
            each._replace(answer=[r for r in each.answer["rows"] if self._is_new(each.address, r)])
            for each in answers
        )
        self.session = self.session or recording.session
        for number, name in recording.processes.items():
            if name.startswith("driver"):
                self.drivers[number] = name
        running = [task for task in recording if task.state == "running"]
        self._count(answers, Counter(task.name for task in running))
        changed = list(self._mark(recording))
        self._drop_unheard({process_number(each.address) for each in answers}, running)
        return changed

    def take_gone(self) -> list[str]:
        """Ids of marks that have gone since this was asked last."""
        gone, self._gone = self._gone, []
        return gone

    def has_seen(self, owner: Address, key: int) -> bool:
        """Whether a task may be among the marks; of at most :data:`MOST_MARKS` tasks."""
        return (owner, key) in self._seen

    def _drop_unheard(self, answered: Collection[int], running: Iterable[Task]) -> None:
        """Those that ran and are not told of any more, by processes that did answer."""
        still = {task.id for task in running}
        for task_id in self._running - still:
            mark = self.marks.get(task_id)
            if mark is None or mark.state in _ENDED:
                self._running.discard(task_id)
            elif mark.owner in answered:
                self._running.discard(task_id)
                del self.marks[task_id]
                self._gone.append(task_id)
        self._running |= still & self.marks.keys()

    def _is_new(self, owner: Address, row: tuple[Any, ...]) -> bool:
        """Whether a row may change something; most were heard of before, and are not read again."""
        state, _worker, caller = row[:3]
        key = (owner, caller[0])
        if caller[5] >= self.begin and (key in self._seen or len(self._seen) < MOST_MARKS):
            if self._seen.get(key) != state:
                self._seen[key] = state
                return True
        return bool(state == "RUNNING")  # these are few, and are counted each time

    def _count(self, answers: list[Told], running: Counter[str]) -> None:
        finished: Counter[tuple[Address, str, bool]] = Counter()
        waiting: Counter[str] = Counter()
        for each in answers:
            for name, failed, count in each.answer["finished"]:
                finished[each.address, name, failed] += count
            finished[each.address, FORGOTTEN, False] += each.answer["dropped"]
            for name, count in each.answer["pending"]:
                waiting[shown(name)] += count
        if self._before is None:
            self._before = finished
        ended: Counter[tuple[str, bool]] = Counter()
        for (address, name, failed), count in finished.items():
            # Fewer than before: the ring has let go of some, which `dropped` counts.
            ended[shown(name), failed] += max(0, count - self._before[address, name, failed])
        names = dict.fromkeys([*self.counts, *(name for name, _ in ended), *waiting])
        for name in names:
            runs = min(running[name], waiting[name])
            count = Count(ended[name, False], ended[name, True], runs, waiting[name] - runs)
            if name in self.counts or count.total:
                self.counts[name] = count

    def _mark(self, recording: Recording) -> Iterator[Task]:
        for task in recording:
            old = self.marks.get(task.id)
            if old is None and len(self.marks) >= MOST_MARKS:
                continue
            if task.stamps["submitted"] < self.begin:
                continue
            if old is not None and (old.state in _ENDED or old.state == task.state):
                continue
            if task.worker and task.worker not in self.lanes:
                workers = sum(not name.startswith("actor") for name in self.lanes.values())
                name = recording.process(task.worker)
                is_actor = task.actor is not None
                label = name if name.startswith("actor") else f"actor {task.name.split('.')[0]}"
                self.lanes[task.worker] = label if is_actor else f"worker {workers + 1}"
            # A parent that has ended is not told of any more.
            parent = task.parent or (None if old is None else old.parent)
            self.marks[task.id] = task if parent == task.parent else replace(task, parent=parent)
            yield self.marks[task.id]

    @property
    def total(self) -> Count:
        """All functions together."""
        each = self.counts.values()
        return Count(
            sum(count.done for count in each),
            sum(count.failed for count in each),
            sum(count.running for count in each),
            sum(count.waiting for count in each),
        )


def shown(name: str) -> str:
    """A function's name as recordings have it."""
    return shown_name(name.removeprefix("__main__."))
