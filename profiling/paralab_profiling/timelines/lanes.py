"""Who did what when: one lane for each driver, worker and actor of a recording.

Pure data, in ns since the first submission.  What a lane holds::

    driver    calls: in .remote() and put      blocked: stands still in get or wait
    worker,   bars, each one task:  received ─ taken ─ loaded ════════ ended ─ stored
    actor                             its overhead      the run, less its waits

The calls of a threaded or async actor overlap, so its lane has several rows; a row holds one task
at a time.  A task waits in its worker's queue while others run, so its overhead begins only when
its row is free.  *Busy* is the time in which at least one function of the lane runs and does not
wait for other tasks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from paralab.shown_text import shown_name
from paralab_profiling.paths import critical_path
from paralab_profiling.recording import Recording, Task, Wait
from paralab_profiling.timelines.spans import (
    Span,
    clipped,
    length,
    merged,
    minus,
    most_at_once,
    rows_of,
    without,
)

MOST_LANES = 12
_GAPS = 8
"""The longest gaps of the workers, among which the one to tell of is searched."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One task on its lane; times in ns since the first submission.

    Attributes:
        task: what it stands for.
        row: of its lane, from 0.
        begin: from when the lane had time for it: in the worker's queue, or unpickling.
        start, end: of the function; of a task that has not ended, since it was sent.
        stored: when its result was stored.
        waits: within the run, when it stood still for other tasks.
    """

    task: Task
    row: int
    begin: int
    start: int
    end: int
    stored: int
    waits: tuple[Span, ...] = ()

    @property
    def own(self) -> tuple[Span, ...]:
        """When the function ran and did not wait; nothing of a task that has not ended."""
        if not self.task.ran:
            return ()
        if self.waits:
            return without((self.start, self.end), self.waits)
        return ((self.start, self.end),) if self.start < self.end else ()


@dataclass(frozen=True, slots=True)
class Blocked:
    """A time in which a driver stood still, what the words for it are, and in which call."""

    start: int
    end: int
    words: str
    call: str


@dataclass(frozen=True)
class Lane:
    """One process.

    Attributes:
        process: its number; 0 for CPUs that had no process.
        name: "driver", "worker 1", "actor Counter (3)", ...
        kind: "driver", "worker", "actor" or "unused".
        bars: what ran there, by start.
        calls: of a driver, when it was in ``.remote()`` or ``put``.
        blocked: of a driver, when it stood still.
    """

    process: int
    name: str
    kind: str
    bars: tuple[Bar, ...] = ()
    calls: tuple[Span, ...] = ()
    blocked: tuple[Blocked, ...] = ()

    @property
    def rows(self) -> int:
        """How many tasks it had at the same time, at most; at least 1."""
        return 1 + max((bar.row for bar in self.bars), default=0)

    @cached_property
    def busy(self) -> tuple[Span, ...]:
        """When at least one function ran here."""
        return merged(span for bar in self.bars for span in bar.own)

    @cached_property
    def still(self) -> tuple[Span, ...]:
        """When a driver was blocked, or all that ran here waited for other tasks."""
        spans = [(each.start, each.end) for each in self.blocked]
        spans += [span for bar in self.bars for span in bar.waits]
        return minus(merged(spans), self.busy)

    @cached_property
    def overhead(self) -> tuple[Span, ...]:
        """When it was at work for tasks whose functions did not run: load, store, hand on."""
        whole = merged((bar.begin, bar.stored) for bar in self.bars if bar.task.ran)
        runs = merged((bar.start, bar.end) for bar in self.bars)
        return minus(whole, runs)


@dataclass(frozen=True, slots=True)
class Gap:
    """The longest time in which a worker had nothing to do while one task ran elsewhere."""

    lane: Lane
    ns: int
    task: Task


@dataclass(frozen=True)
class Lanes:
    """A recording as lanes.

    Attributes:
        begin: the first submission, in ns on the recording's clock.
        ns: from there to the last stamp.
        workers: how many tasks could have run at the same time.
        lanes: drivers, workers and actors, at most :data:`MOST_LANES`.
        left_out: how many more there are; they are the least busy ones.
        path: the tasks of the critical path, first to last.
        whose: "workers" or "actors", which of them ran more; "driver" in local mode.
        share: of their time the part in which functions ran, 0 to 1.
        overhead: and the part in which they were at work for tasks besides.
        gap: what to tell of an idle worker, if anything.
    """

    begin: int
    ns: int
    workers: int
    lanes: tuple[Lane, ...]
    left_out: int
    path: tuple[Task, ...]
    whose: str
    share: float
    overhead: float
    gap: Gap | None

    @property
    def bars(self) -> Iterator[tuple[int, Bar]]:
        """(index of its lane, bar) of all that is on a lane."""
        return ((at, bar) for at, lane in enumerate(self.lanes) for bar in lane.bars)


def lanes_of(recording: Recording, most: int = MOST_LANES) -> Lanes:
    """The lanes of a recording.

    Args:
        recording: what ran.
        most: how many lanes to keep, drivers first, then the busiest.
    """
    begin, last = recording.span_ns
    ns = last - begin
    by_id = recording.by_id
    bars = _bars(recording, begin, ns)
    lanes = [
        _driver(recording, number, bars.get(number, ()), by_id, begin, ns)
        for number in _drivers(recording)
    ]
    kinds = {task.worker: "actor" for task in recording if task.actor is not None}
    lanes += [
        Lane(at, shown_name(recording.process(at)), kinds.get(at, "worker"), bars[at])
        for at in sorted(bars.keys() - {lane.process for lane in lanes})
    ]
    workers = [lane for lane in lanes if lane.kind == "worker"]
    actors = [lane for lane in lanes if lane.kind == "actor"]
    local = [lane for lane in lanes if lane.kind == "driver" and lane.bars]
    unused = recording.workers - len(workers) - len(actors) - len(local)
    if unused > 0 and ns:
        name = "unused CPU" if unused == 1 else f"{unused} unused CPUs"
        lanes.append(Lane(0, name, "unused"))
    kept = _kept(lanes, most)
    return Lanes(
        begin,
        ns,
        recording.workers,
        kept,
        len(lanes) - len(kept),
        tuple(by_id[task] for task in critical_path(recording)),
        *_shares(recording.workers, ns, workers=workers, actors=actors, driver=local),
        _gap(workers, lanes, ns),
    )


def _drivers(recording: Recording) -> list[int]:
    """Numbers of the processes that submit of their own accord: they run no task."""
    ran = {task.worker for task in recording}
    own = {task.owner for task in recording if task.parent is None}
    own |= {put.owner for put in recording.puts if put.parent is None}
    own |= {wait.process for wait in recording.waits if wait.parent is None}
    # In local mode tasks run in the driver itself.
    return sorted(n for n in own if n not in ran or recording.process(n).startswith("driver"))


def _driver(
    recording: Recording,
    number: int,
    bars: Sequence[Bar],
    by_id: Mapping[str, Task],
    begin: int,
    ns: int,
) -> Lane:
    calls = [
        (task.stamps["submitted"] - begin, task.stamps.get("packed", 0) - begin)
        for task in recording
        if task.owner == number and task.parent is None
    ]
    calls += [
        (put.start - begin, put.end - begin)
        for put in recording.puts
        if put.owner == number and put.parent is None
    ]
    puts = {put.id for put in recording.puts}
    blocked = (
        Blocked(start, end, wait_words(wait, by_id, puts), wait.call)
        for wait in recording.waits
        if wait.process == number and wait.parent is None
        for start, end in clipped([(wait.start - begin, wait.end - begin)], 0, ns)
    )
    name = shown_name(recording.process(number))
    return Lane(number, name, "driver", tuple(bars), clipped(merged(calls), 0, ns), tuple(blocked))


def wait_words(wait: Wait, by_id: Mapping[str, Task], puts: Container[str | None]) -> str:
    """What a driver is said to do in a wait, such as "blocked in get(load + 2 more)"."""
    task = by_id.get(wait.first or "")
    what = task.name if task else "what was put" if wait.first in puts else ""
    if wait.count > 1:
        what = f"{what} + {wait.count - 1:,} more" if what else f"{wait.count:,} objects"
    if wait.call:
        return f"blocked in {wait.call}({what})" if what else f"blocked in {wait.call}"
    return f"blocked, waits for {what}" if what else "blocked"


def _bars(recording: Recording, begin: int, ns: int) -> dict[int, tuple[Bar, ...]]:
    """What is on each process's lane."""
    waits: dict[str, list[Span]] = defaultdict(list)
    for wait in recording.waits:
        if wait.parent is not None:
            waits[wait.parent].append((wait.start - begin, wait.end - begin))
    found: dict[int, list[Bar]] = defaultdict(list)
    for task in sorted(recording, key=lambda task: not task.ran):
        at = {name: time - begin for name, time in task.stamps.items()}
        if task.ran and task.worker:
            inside = clipped(merged(waits.get(task.id, ())), at["loaded"], at["ended"])
            times = at["received"], at["taken"], at["loaded"], at["ended"], at["stored"]
            found[task.worker].append(_placed(task, times, inside))
        elif task.state == "running" and task.worker:
            sent = at.get("sent", at["submitted"])
            if task.actor is None:  # a worker runs one at a time, so the others were before it
                sent = max([sent, *(bar.stored for bar in found[task.worker])])
            found[task.worker].append(_placed(task, (sent, sent, sent, ns, ns), ()))
    return {process: _in_rows(bars) for process, bars in found.items()}


def _placed(task: Task, times: tuple[int, ...], waits: tuple[Span, ...]) -> Bar:
    """A bar whose ``begin`` is still its arrival, and whose ``row`` is not known."""
    received, taken, loaded, ended, stored = times
    return Bar(task, 0, min(received, taken), loaded, ended, stored, waits)


def _in_rows(bars: Sequence[Bar]) -> tuple[Bar, ...]:
    """Bars by start, each with its row, none beginning before its row is free."""
    ordered = sorted(bars, key=lambda bar: (bar.start, bar.end))
    rows = rows_of([(bar.start, bar.end) for bar in ordered])
    free: dict[int, int] = {}
    placed = []
    for bar, row in zip(ordered, rows, strict=True):
        begin = max(bar.begin, free.get(row, bar.begin))
        free[row] = bar.stored
        placed.append(
            Bar(bar.task, row, min(begin, bar.start), bar.start, bar.end, bar.stored, bar.waits)
        )
    return tuple(placed)


def _kept(lanes: Sequence[Lane], most: int) -> tuple[Lane, ...]:
    if len(lanes) <= most:
        return tuple(lanes)
    first = sorted(lanes, key=lambda lane: (lane.kind != "driver", -length(lane.busy)))[:most]
    chosen = {lane.process for lane in first}
    return tuple(lane for lane in lanes if lane.process in chosen)


def _shares(count: int, ns: int, **kinds: Sequence[Lane]) -> tuple[str, float, float]:
    """The kind of lane that ran most, and the parts of its time for functions and besides."""
    spans = {kind: [span for lane in of for span in lane.busy] for kind, of in kinds.items()}
    most = max(spans, key=lambda kind: (length(spans[kind]), len(kinds[kind])))
    if not ns or not kinds[most]:
        return "workers", 0.0, 0.0
    if most != "workers":
        count = len(kinds[most])
    # Tasks that need no CPU can be more than there are workers; then these count.
    count = max(count, most_at_once(spans[most]))
    besides = sum(length(lane.overhead) for lane in kinds[most])
    return most, length(spans[most]) / (count * ns), besides / (count * ns)


def _gap(workers: Sequence[Lane], lanes: Sequence[Lane], ns: int) -> Gap | None:
    gaps = [
        (lane, gap)
        for lane in workers
        for gap in without((0, ns), merged((bar.begin, bar.stored) for bar in lane.bars))
    ]
    gaps.sort(key=lambda each: each[1][0] - each[1][1])
    found: Gap | None = None
    most = 0
    for idle, (start, end) in gaps[:_GAPS]:
        for lane in lanes:
            for bar in lane.bars:
                if min(bar.end, end) - max(bar.start, start) <= most or lane is idle:
                    continue
                overlap = length(clipped(bar.own, start, end))
                if overlap > most:
                    most, found = overlap, Gap(idle, overlap, bar.task)
    return found
