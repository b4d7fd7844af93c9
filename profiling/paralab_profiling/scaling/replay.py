"""What if there were more workers: a recorded graph, run again on simulated ones.

The recording says what each process did of its own accord (its *program*: submit this, compute
for so long, go on when that has come) and what every task took.  The replay keeps the programs,
their inputs, the order of an actor's calls and all measured times, and changes one thing: how
many tasks can run at once.  A free worker takes the ready task that was submitted first (list
scheduling; Graham, "Bounds on Multiprocessing Timing Anomalies", 1969)::

    program ──submit──▶ inputs there? ──▶ a worker free? ──▶ load, run, store ──▶ its owner ──▶ need

What it does not know: that more processes share caches, memory and cores (a worker here is a core
of its own), that a program might have decided otherwise, and resources other than one CPU a task.
Actors run beside the workers.  A task that waits in ``get`` lends its CPU until it goes on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count

from paralab_profiling.recording import Recording, Task
from paralab_profiling.scaling.costs import Costs, costs_of, most_at_once
from paralab_profiling.scaling.programs import Key, Program, key_of, programs_of

WORKERS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Replay:
    """How it went.

    Attributes:
        workers: how many there were.
        total_ns: from the beginning to the end of the program.
        ran: for each task when its function began and ended, ns since the beginning.
        stuck: how many tasks never began: what they need comes after them, in a broken file.
    """

    workers: int
    total_ns: int
    ran: dict[str, tuple[int, int]] = field(repr=False)
    stuck: int = 0

    @property
    def seconds(self) -> float:
        """``total_ns`` in seconds."""
        return self.total_ns / 1e9


def replay(
    recording: Recording,
    workers: int,
    *,
    block_ns: tuple[int, int] | None = None,
    costs: Costs | None = None,
) -> Replay:
    """Runs a recording again on ``workers`` simulated workers.

    Args:
        recording: finished tasks; what has not ended is left out.
        workers: at least 1.
        block_ns: the stamps between which the program was measured; by default it begins with
            its first step and ends with its last, or with the last result.
        costs: of handing over tasks and results; by default what the recording shows.

    Raises:
        ValueError: fewer than one worker.
    """
    return replays(recording, (workers,), block_ns=block_ns, costs=costs)[0]


def replays(
    recording: Recording,
    workers: Iterable[int] = WORKERS,
    *,
    block_ns: tuple[int, int] | None = None,
    costs: Costs | None = None,
) -> tuple[Replay, ...]:
    """:func:`replay` for several numbers of workers."""
    numbers = tuple(workers)
    if min(numbers, default=1) < 1:
        raise ValueError(f"a replay needs at least one worker, not {min(numbers)}")
    known = costs_of(recording) if costs is None else costs
    programs = programs_of(recording, block_ns)
    return tuple(_Machine(recording, programs, known, at, block_ns).run() for at in numbers)


@dataclass
class _Running:
    """A program under way, of a driver or of a task; ``at`` is its next step."""

    program: Program
    key: Key
    task: Task | None = None
    at: int = 0


class _Machine:
    """One replay.  Time is in ns since the beginning of the block.

    A *place* is where tasks run: "" for the workers, else an actor.  ``_missing`` has a task from
    its submission until its inputs are there, ``_ready`` from then on until it is taken.
    ``_after`` and ``_blocked`` have the tasks and programs that wait for a task, until it settles.
    """

    def __init__(
        self,
        recording: Recording,
        programs: Mapping[Key, Program],
        costs: Costs,
        workers: int,
        block_ns: tuple[int, int] | None,
    ) -> None:
        self._tasks = {task.id: task for task in recording if task.ran}
        self._programs, self._costs, self._workers = programs, costs, workers
        begins = [program.begin for key, program in programs.items() if key[1] is None]
        self._begin = block_ns[0] if block_ns else min(begins, default=0)
        self._ends_with_driver = block_ns is not None
        self._events: list[tuple[int, int, Callable[[int], None]]] = []
        self._numbers = count()
        self._free = self._places(workers)
        self._ready: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self._order: dict[str, int] = {}
        self._missing: dict[str, int] = {}
        self._after: dict[str, list[str]] = defaultdict(list)
        self._blocked: dict[str, list[_Running]] = defaultdict(list)
        self._settled: set[str] = set()
        self._owner_free: dict[Key, int] = defaultdict(int)
        self._ran: dict[str, tuple[int, int]] = {}
        self._end = 0

    def _places(self, workers: int) -> dict[str, int]:
        """How many tasks each place can run at once: an actor as many as it was seen to."""
        calls: dict[str, list[Task]] = defaultdict(list)
        self._created: dict[str, str] = {}
        for task in self._tasks.values():
            if task.actor is not None:
                calls[task.actor].append(task)
                if task.kind == "creation":
                    self._created[task.actor] = task.id
        return {"": workers} | {actor: most_at_once(of) for actor, of in calls.items()}

    def run(self) -> Replay:
        """Runs until nothing is left to happen."""
        for key, program in self._programs.items():
            if key[1] is None:
                begin = max(0, program.begin - self._begin)
                self._later(begin, partial(self._go_on, _Running(program, key)))
        while self._events:
            now, _number, action = heappop(self._events)
            action(now)
        stuck = len(self._tasks) - len(self._settled)
        return Replay(self._workers, self._end, self._ran, stuck)

    def _later(self, at: int, action: Callable[[int], None]) -> None:
        heappush(self._events, (at, next(self._numbers), action))

    # -- programs ----------------------------------------------------------------------------

    def _go_on(self, running: _Running, now: int) -> None:
        """The program's own time up to its next step, or to its end."""
        steps = running.program.steps
        if running.at < len(steps):
            self._later(now + steps[running.at].before_ns, partial(self._step, running))
        else:
            self._later(now + running.program.rest_ns, partial(self._finish, running))

    def _step(self, running: _Running, now: int) -> None:
        step = running.program.steps[running.at]
        running.at += 1
        if step.is_submit:
            self._submit(self._tasks[step.task], now)
        elif step.task not in self._settled:
            self._blocked[step.task].append(running)
            if running.task is not None and running.task.actor is None:
                self._vacate("", now)  # a task that waits lends its CPU
            return
        self._go_on(running, now)

    def _finish(self, running: _Running, now: int) -> None:
        if running.task is None:
            self._end = max(self._end, now)
        else:
            self._ended(running.task, now)

    # -- tasks -------------------------------------------------------------------------------

    def _submit(self, task: Task, now: int) -> None:
        self._order[task.id] = len(self._order)
        needs = {need for need in task.needs if need in self._tasks}
        if task.actor is not None and task.kind != "creation" and task.actor in self._created:
            needs.add(self._created[task.actor])
        needs -= self._settled
        self._missing[task.id] = len(needs)
        for need in needs:
            self._after[need].append(task.id)
        if not needs:
            self._make_ready(task, now)

    def _make_ready(self, task: Task, now: int) -> None:
        del self._missing[task.id]
        place = task.actor or ""
        heappush(self._ready[place], (self._order[task.id], task.id))
        self._fill(place, now, is_idle=True)

    def _vacate(self, place: str, now: int) -> None:
        self._free[place] += 1
        self._fill(place, now, is_idle=False)

    def _fill(self, place: str, now: int, is_idle: bool) -> None:
        """Gives free workers, or a free actor, the ready tasks that were submitted first."""
        ready = self._ready[place]
        while ready and self._free[place] > 0:
            _order, task_id = heappop(ready)
            self._free[place] -= 1
            task = self._tasks[task_id]
            handing = self._costs.before(task.name, is_idle)
            if task.kind == "creation":  # a process of its own, which takes as long as it took
                handing = max(0, task.stamps["taken"] - task.stamps["ready"])
            self._later(now + handing + task.part_ns("unpickle"), partial(self._begin_task, task))

    def _begin_task(self, task: Task, now: int) -> None:
        self._ran[task.id] = now, now
        key = task.worker, task.id
        program = self._programs.get(key)
        if program is None:
            self._later(now + task.run_ns, partial(self._ended, task))
        else:
            self._go_on(_Running(program, key, task), now)

    def _ended(self, task: Task, now: int) -> None:
        self._ran[task.id] = self._ran[task.id][0], now
        self._later(now + task.part_ns("store"), partial(self._stored, task))

    def _stored(self, task: Task, now: int) -> None:
        self._vacate(task.actor or "", now)
        self._later(now + self._costs.result, partial(self._returned, task))

    def _returned(self, task: Task, now: int) -> None:
        """The owner takes in one result after the other."""
        key = key_of(task, self._tasks)
        at = max(now, self._owner_free[key]) + self._costs.owner
        self._owner_free[key] = at
        self._later(at, partial(self._settle, task))

    def _settle(self, task: Task, now: int) -> None:
        self._settled.add(task.id)
        if not self._ends_with_driver:
            self._end = max(self._end, now)
        for waiting in self._after.pop(task.id, ()):
            self._missing[waiting] -= 1
            if not self._missing[waiting]:
                self._make_ready(self._tasks[waiting], now)
        for running in self._blocked.pop(task.id, ()):
            if running.task is not None and running.task.actor is None:
                self._free[""] -= 1  # at once, even if that makes one too many
            self._go_on(running, now)
