"""Where the time of tasks goes: one task's from ``.remote()`` to ``get``, and the workers'.

*One task*: its eight parts share their borders, so they add up to its whole time.  Medians of
parts would not add up to the median of the whole; means do.  So a function is told by the mean of
the middle half of its tasks, ordered by their whole time: it adds up, and a few odd tasks do not
move it.  Three parts are wholly or partly waiting, in a line that others hold up: queue, the time
in the worker's own queue (in transfer), and the time until somebody calls ``get`` (in fetch).

*The workers*: wall time × workers is what could have been worked.  At each moment a process is in
the most useful of what its calls are in: run, unpickle, store; else, with a call in its queue, it
is unaccounted for.  A task that stands in ``get`` does not run.  Of the workers that are left over
at that moment, as many are charged to overhead as tasks are held up by it, the part nearest to
the worker first (transfer, queue with nothing missing, submit, pickle, the way back); for the
rest there was nothing to do: idle.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from paralab_profiling.recording import PARTS, Recording, Task

UNACCOUNTED = "unaccounted"
_HELD_UP = {
    "transfer": ("sent", "received"),
    "queue": ("ready", "sent"),
    "submit": ("pickled", "packed"),
    "pickle": ("submitted", "pickled"),
    "fetch": ("stored", "returned"),
}
"""What may keep a free worker from a task, and between which stamps; nearest first."""
_AT_WORK = {
    "run": ("loaded", "ended"),
    "unpickle": ("taken", "loaded"),
    "store": ("ended", "stored"),
}
_QUEUED = ("received", "taken")


@dataclass(frozen=True, slots=True)
class FunctionParts:
    """One function's tasks.  Times are means of the middle half of them, in ns.

    Attributes:
        name: of the function.
        count: how many ran to their end.
        unfetched: how many of them nobody called ``get`` for; their fetch is 0.
        parts: by the name of the part, in order; all eight.
        waiting: what of a part was waiting in line, for the three parts that have such.
        total_ns: from ``.remote()`` to ``get``; the parts and ``unaccounted_ns`` add up to it.
        unaccounted_ns: what no part covers, because a stamp is missing.
        sum_ns: the whole times of all of its tasks together.
    """

    name: str
    count: int
    unfetched: int
    parts: Mapping[str, float]
    waiting: Mapping[str, float]
    total_ns: float
    unaccounted_ns: float
    sum_ns: int


@dataclass(frozen=True, slots=True)
class WorkerTime:
    """What the workers' time went to, in ns of one worker.

    Attributes:
        wall_ns: from the first ``.remote()`` to the last stamp.
        workers: how many tasks could run at once.
        parts: run, overhead by part and unaccounted, by (function, part).
        idle_ns: there was nothing to do.
    """

    wall_ns: int
    workers: int
    parts: Mapping[tuple[str, str], float]
    idle_ns: float

    @property
    def total_ns(self) -> float:
        """All of it: wall time × workers, and what ran beside them because it needs no CPU."""
        return sum(self.parts.values()) + self.idle_ns

    def part_ns(self, part: str) -> float:
        """Of all functions together."""
        return sum(ns for (_name, each), ns in self.parts.items() if each == part)

    def of(self, name: str) -> dict[str, float]:
        """One function's, by part."""
        return {part: ns for (each, part), ns in self.parts.items() if each == name}

    @property
    def run_share(self) -> float:
        """The share in which your functions ran, 0 to 1."""
        return self.part_ns("run") / self.total_ns if self.total_ns else 0.0


@dataclass(frozen=True, slots=True)
class Batching:
    """What larger tasks would bring, if the overhead of a task does not depend on its size.

    Attributes:
        name: of the function.
        tasks: how many there were.
        run_ns: mean time of one in the function.
        overhead_ns: workers' time that went to overhead for one, without waiting in line.
        per_batch: how many calls to do in one task.
    """

    name: str
    tasks: int
    run_ns: float
    overhead_ns: float
    per_batch: int

    @property
    def share(self) -> float:
        """Of the time for a task that is the function's, now."""
        return self.run_ns / (self.run_ns + self.overhead_ns)

    @property
    def share_then(self) -> float:
        """The same with batches."""
        run = self.run_ns * self.per_batch
        return run / (run + self.overhead_ns)

    @property
    def saved_ns(self) -> float:
        """Workers' time that batches would save, of all tasks together."""
        return self.tasks * self.overhead_ns * (1 - 1 / self.per_batch)


def function_parts(recording: Recording) -> list[FunctionParts]:
    """The functions of which a task ran to its end, those with most time first."""
    by_name: dict[str, list[Task]] = defaultdict(list)
    for task in recording:
        if task.ran:
            by_name[task.name].append(task)
    found = [_of_function(name, tasks) for name, tasks in by_name.items()]
    return sorted(found, key=lambda each: -each.sum_ns)


def middle_half(tasks: Iterable[Task]) -> list[Task]:
    """The middle half of some tasks by their whole time; all of them if they are under four."""
    ordered = sorted(tasks, key=lambda task: task.total_ns)
    cut = len(ordered) // 4
    return ordered[cut : len(ordered) - cut]


def _of_function(name: str, tasks: Sequence[Task]) -> FunctionParts:
    middle = middle_half(tasks)
    count = len(middle)
    # A part is never less than nothing; where clocks disagree, the rest is unaccounted for.
    parts = {part: sum(max(0, t.part_ns(part)) for t in middle) / count for part in PARTS}
    total = sum(task.total_ns for task in middle) / count
    waits = {"transfer": _QUEUED, "fetch": ("returned", "fetched")}
    waiting = {"queue": parts["queue"]}
    for part, (start, end) in waits.items():
        waited = sum(max(0, _between(task, start, end)) for task in middle) / count
        waiting[part] = min(waited, parts[part])
    return FunctionParts(
        name=name,
        count=len(tasks),
        unfetched=sum("fetched" not in task.stamps for task in tasks),
        parts=parts,
        waiting=waiting,
        total_ns=total,
        unaccounted_ns=max(0.0, total - sum(parts.values())),
        sum_ns=sum(task.total_ns for task in tasks),
    )


def _between(task: Task, start: str, end: str) -> int:
    stamps = task.stamps
    return stamps[end] - stamps[start] if start in stamps and end in stamps else 0


def worker_time(recording: Recording) -> WorkerTime:
    """What wall time × workers went to.  Tasks that have not ended are left out."""
    begin, end = recording.span_ns
    if not any(task.ran for task in recording):
        return WorkerTime(
            end - begin, recording.workers, {}, float(end - begin) * recording.workers
        )
    sweep = _Sweep(recording.workers)
    at = begin
    for ns, key, name, change in sorted(_changes(recording)):
        now = min(max(ns, begin), end)
        if now > at:
            sweep.pass_time(now - at)
            at = now
        sweep.change(key, name, change)
    sweep.pass_time(end - at)
    return WorkerTime(end - begin, recording.workers, dict(sweep.parts), sweep.idle)


_Key = tuple[int, str]
"""A process and what a call is in there; process 0 stands for what is on no worker."""


def _changes(recording: Recording) -> Iterator[tuple[int, _Key, str, int]]:
    """(ns, what, function, +1 or -1) for each beginning and end."""
    names = {}
    for task in recording:
        if not task.ran:
            continue
        names[task.id] = task.name
        spans = [((task.worker, part), span) for part, span in _AT_WORK.items()]
        spans += [((0, part), span) for part, span in _HELD_UP.items()]
        spans.append(((task.worker, UNACCOUNTED), _QUEUED))
        for key, (start, end) in spans:
            if _between(task, start, end) > 0:
                yield task.stamps[start], key, task.name, 1
                yield task.stamps[end], key, task.name, -1
    for wait in recording.waits:
        if wait.parent in names and wait.end > wait.start:
            yield wait.start, (wait.process, "run"), names[wait.parent], -1
            yield wait.end, (wait.process, "run"), names[wait.parent], 1


class _Sweep:
    """What goes on at one moment; ``pass_time`` books it."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._now: dict[_Key, Counter[str]] = defaultdict(Counter)
        """Calls by function; a function has an entry while it has calls there."""
        self._state: dict[int, tuple[str, str]] = {}
        """Of each process at work: function and part.  One that is free has no entry."""
        self.parts: dict[tuple[str, str], float] = defaultdict(float)
        self.idle = 0.0

    def change(self, key: _Key, name: str, by: int) -> None:
        calls = self._now[key]
        calls[name] += by
        if not calls[name]:
            del calls[name]
        process = key[0]
        if process:
            self._state.pop(process, None)
            for part in (*_AT_WORK, UNACCOUNTED):
                first = next((n for n, c in self._now[process, part].items() if c > 0), None)
                if first is not None:
                    self._state[process] = first, part
                    break

    def pass_time(self, ns: int) -> None:
        for state in self._state.values():
            self.parts[state] += ns
        left = self._workers - len(self._state)
        for part in _HELD_UP:
            if left <= 0:
                return
            calls = self._now[0, part]
            count = sum(calls.values())
            charged = min(left, count)
            for name, of_it in calls.items():
                self.parts[name, part] += ns * charged * of_it / count
            left -= charged
        self.idle += ns * left


ENOUGH = 0.9
"""Share of a task's time that its function should have."""
HEAVY = 100_000
"""Bytes that a task moves from which its overhead is that of the bytes, and grows with them."""
BATCHES_A_WORKER = 4
"""Fewer would leave workers idle at the end of the run."""


def batching(recording: Recording, spent: WorkerTime) -> Batching | None:
    """What batches would bring for the function that loses most to overhead; None if none does.

    Args:
        recording: what ran.
        spent: its :func:`worker_time`.
    """
    tasks = [task for task in recording if task.ran and task.kind == "task"]
    counts = Counter(task.name for task in tasks)
    moved: Counter[str] = Counter()
    for task in tasks:
        moved[task.name] += task.bytes_in + task.bytes_out
    best: Batching | None = None
    for name, count in counts.items():
        if moved[name] > HEAVY * count:
            continue
        parts = spent.of(name)
        run = parts.pop("run", 0.0) / count
        # In the queue with a free worker: workers were starting, which no batch makes faster.
        overhead = sum(ns for part, ns in parts.items() if part != "queue") / count
        most = count // (BATCHES_A_WORKER * spent.workers)
        if not run or run / (run + overhead) >= ENOUGH or most < 2:
            continue
        wanted = ENOUGH / (1 - ENOUGH) * overhead / run
        found = Batching(name, count, run, overhead, min(_round_up(wanted), most))
        if best is None or found.saved_ns > best.saved_ns:
            best = found
    return best


def _round_up(number: float) -> int:
    """The next of 2, 5, 10, 20, 50, ... that is not less."""
    power = 1
    while True:
        for step in (2, 5, 10):
            if step * power >= number:
                return step * power
        power *= 10
