"""Work that is shared out unequally: one long task, one busy actor, one long lane."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median

from paralab_profiling.explain.finding import Facts, Finding, called, name_in_code, some
from paralab_profiling.recording import Task
from paralab_profiling.svg import duration, percent, three_digits

LEAST_TASKS = 4
LONGER = 3
"""Times the median of its function that a straggler takes."""
ENOUGH = 0.8
"""Of what splitting it would gain that submitting it first has to gain, to be the advice."""
ACTOR_BUSY = 0.5
"""Share of the time since the actor was there in which it works."""
WAITS = 2
"""Calls that wait for the actor, on average, while one runs."""
UNEQUAL = 1.5
"""Times the mean that the longest lane has."""


def one_straggler(facts: Facts) -> Iterator[Finding]:
    """One task much longer than its like, alone at the end."""
    if facts.workers < 2:
        return
    for name, calls in facts.by_name.items():
        longest = max(calls, key=lambda task: facts.own_ns[task.id])
        # Calls that were under way together with it: what is submitted later came in its own time.
        tasks = [task for task in calls if _meet(task, longest)]
        if len(tasks) < LEAST_TASKS:
            continue
        own = facts.own_ns[longest.id]
        usual = median(facts.own_ns[task.id] for task in tasks if task is not longest)
        # What it submitted, and what took its result, could not end before it.
        others = [task for task in facts.ran if not _after(task, longest)]
        end = max((task.stamps["ended"] for task in others), default=0)
        began = max(end, longest.stamps["loaded"])
        alone = longest.stamps["ended"] - began
        if own < LONGER * usual or alone <= 0:
            continue
        # Either its parts run beside each other, or it runs beside all the short ones.
        split = alone * (1 - 1 / min(facts.workers, len(tasks)))
        begin = min(task.stamps["loaded"] for task in tasks)
        work = sum(facts.own_ns[task.id] for task in tasks)
        earlier = longest.stamps["ended"] - begin - max(own, work / facts.workers)
        earlier = min(earlier, split)  # gaps before the end have other causes
        is_first_enough = earlier >= ENOUGH * split
        f = name_in_code(name)
        yield Finding(
            kind="one straggler",
            finding=(
                f"One call of {called(name)} took {duration(own / 1e9)} and went on when the others"
                " were done"
            ),
            evidence=(
                f"The {len(tasks) - 1} others took {duration(usual / 1e9)} (median). For"
                f" {duration(alone / 1e9)} nothing else ran, on {facts.workers} workers."
            ),
            remedy=(
                "Submit it first, so that the short ones run beside it:"
                if is_first_enough
                else "Split the long one into parts that run beside each other:"
            ),
            code=(
                "items.sort(key=size, reverse=True)  # the longest first\n"
                f"refs = [{f}.remote(item) for item in items]"
                if is_first_enough
                else "parts = [part for item in items for part in split(item)]  # equal ones\n"
                f"refs = [{f}.remote(part) for part in parts]"
            ),
            gain_ns=earlier if is_first_enough else split,
            wall_ns=facts.wall_ns,
            rests_on=(
                "the others fill the other workers without gaps"
                if is_first_enough
                else "it can be split into equal parts for all workers"
            )
            + (
                ", and it has more to do than they have: a machine with other work slows single"
                " calls too, so run it again to see"
            ),
            tasks=(longest.id,),
        )


def _meet(task: Task, other: Task) -> bool:
    """Whether there was a time after both had been submitted and before either had ended."""
    return (
        task.stamps["submitted"] < other.stamps["ended"]
        and other.stamps["submitted"] < task.stamps["ended"]
    )


def _after(task: Task, cause: Task) -> bool:
    """Whether a task is ``cause``, or began after it had ended, or is above or below it."""
    return (
        task.stamps["loaded"] >= cause.stamps["ended"]
        or cause.id in (task.id, task.parent)
        or task.id == cause.parent
    )


def one_actor(facts: Facts) -> Iterator[Finding]:
    """One actor works while the calls to it queue up and nothing else runs."""
    calls: dict[str, list[Task]] = defaultdict(list)
    for task in facts.ran:
        if task.kind == "actor" and task.actor is not None:
            calls[task.actor].append(task)
    alike: dict[str, int] = defaultdict(int)
    for of in calls.values():
        alike[_class_of(of[0])] += 1
    for actor, of in calls.items():
        cls = _class_of(of[0])
        if len(of) < 2 * LEAST_TASKS or alike[cls] > 1:
            continue
        busy = _union((t.stamps["taken"], t.stamps["stored"]) for t in of)
        # A call may have been sent before its actor was there.
        begin = min(t.stamps["taken"] for t in of)
        there = facts.recording.span_ns[1] - begin
        queued = sum(t.stamps["taken"] - max(begin, t.stamps["received"]) for t in of)
        elsewhere = _union(
            (t.stamps["taken"], t.stamps["stored"]) for t in facts.ran if t.actor != actor
        )
        if (
            busy < ACTOR_BUSY * there
            or queued < WAITS * busy
            or elsewhere > busy / 2
            or _overlap(of)
        ):
            continue
        c = name_in_code(cls)
        method = name_in_code(of[0].name)
        yield Finding(
            kind="one actor as the bottleneck",
            finding=f"All wait for one {called(cls)}: it works {percent(busy / there)} of its time",
            evidence=(
                f"Its {len(of)} calls ran one after the other, {duration(busy / 1e9)} in all, with"
                f" {three_digits(queued / busy)} more waiting on average."
            ),
            remedy=(
                "Move what needs no state into tasks, or share the state out over several actors:"
            ),
            code=(
                f"actors = [{c}.remote() for _ in range({max(2, facts.workers)})]\n"
                f"refs = [actors[hash(key) % len(actors)].{method}.remote(key) for key in keys]"
            ),
            gain_ns=busy * (1 - 1 / max(2, facts.workers)),
            wall_ns=facts.wall_ns,
            rests_on=f"its state can be divided among {max(2, facts.workers)} actors",
            tasks=some(of),
        )


def _class_of(call: Task) -> str:
    return call.name.rpartition(".")[0] or call.name


def _union(spans: Iterable[tuple[int, int]]) -> int:
    """How long at least one of some spans lasted."""
    total, reached = 0, 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _overlap(tasks: Sequence[Task]) -> bool:
    """Whether an actor did several calls at once, as async and threaded ones do."""
    ordered = sorted(tasks, key=lambda task: task.stamps["loaded"])
    pairs = pairwise(ordered)
    return any(after.stamps["loaded"] < before.stamps["ended"] for before, after in pairs)


def unequal_lanes(facts: Facts) -> Iterator[Finding]:
    """Some workers, or some of several equal actors, had far more to do than the others."""
    lanes: dict[str, dict[int | str, list[Task]]] = defaultdict(lambda: defaultdict(list))
    for task in facts.ran:
        if task.kind == "task":
            lanes["workers"][task.worker].append(task)
        elif task.kind == "actor" and task.actor is not None:
            lanes[_class_of(task)][task.actor].append(task)
    for kind, of in lanes.items():
        finding = _unequal(facts, kind, of)
        if finding is not None:
            yield finding


def _unequal(facts: Facts, kind: str, lanes: Mapping[int | str, Sequence[Task]]) -> Finding | None:
    loads = sorted(
        ((sum(facts.own_ns[task.id] for task in tasks), tasks) for tasks in lanes.values()),
        key=lambda lane: -lane[0],
    )
    if kind == "workers":
        loads = loads[: facts.workers]  # there are more where tasks wait
        if loads and loads[0][0] < facts.wall_ns / 2:  # it was not the lanes that took the time
            return None
    count = facts.workers if kind == "workers" else len(loads)
    tasks = sum(len(of) for _, of in loads)
    if count < 2 or tasks < LEAST_TASKS * count:
        return None
    most, busiest = loads[0]
    average = sum(load for load, _ in loads) / count
    largest = max(facts.own_ns[task.id] for task in busiest)
    # One long task is a straggler.  Where nothing stood in line, one lane was enough.
    in_line = sum(task.stamps["taken"] - task.stamps["ready"] for task in busiest)
    if most < UNEQUAL * average or largest > most / 2 or in_line < most:
        return None
    what = "workers" if kind == "workers" else f"actors of {called(kind)}"
    code = (
        "pool = paralab.util.ActorPool(actors)\n"
        "results = list(pool.map_unordered(lambda a, item: a.method.remote(item), items))"
        if kind != "workers"
        else "refs = [f.remote(item) for item in items]  # no fixed worker, and smaller items"
    )
    return Finding(
        kind="unequal lanes",
        finding=(
            f"The work was shared out unequally: one of {count} {what} had"
            f" {three_digits(most / average)} times the mean"
        ),
        evidence=(
            f"The busiest ran {len(busiest)} of {tasks} calls, {duration(most / 1e9)}; the mean is"
            f" {duration(average / 1e9)}, the least {duration(_least(loads, count) / 1e9)}."
        ),
        remedy="Give the next piece to whoever is free, instead of fixed shares:",
        code=code,
        gain_ns=most - average,
        wall_ns=facts.wall_ns,
        rests_on="any of them can do any piece, and that the busiest lane set the end",
        tasks=some(list(busiest)),
    )


def _least(loads: Sequence[tuple[int, Sequence[Task]]], count: int) -> float:
    return loads[-1][0] if len(loads) == count else 0.0
