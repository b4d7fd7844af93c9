"""Waiting at the wrong place: ``get`` in a loop, and more tasks that wait than there are cores."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

from paralab_profiling.explain.finding import Facts, Finding, called, name_in_code, some
from paralab_profiling.recording import Task, Wait
from paralab_profiling.svg import duration

LEAST_TURNS = 4
SHARE_OF_CALLS = 0.75


def get_in_a_loop(facts: Facts) -> Iterator[Finding]:
    """Submit one, wait for it, submit the next: one task at a time on any number of workers.

    A turn is a wait during which its caller had nothing else under way, and after which it
    submitted another call of the same function.
    """
    if facts.workers < 2:
        return
    turns = _turns(facts)
    for name, found in turns.items():
        calls = facts.by_name[name]
        if len(found) < LEAST_TURNS or len(found) < SHARE_OF_CALLS * (len(calls) - 1):
            continue
        waited = sum(wait.end - wait.start for wait, _ in found)
        at_once = min(facts.workers, len(found) + 1)
        f = name_in_code(name)
        stood = " or ".join(sorted({f"{wait.call or 'get'}()" for wait, _ in found}))
        yield Finding(
            kind="get in a loop",
            finding=f"{called(name)} ran one call at a time: each was waited for before the next",
            evidence=(
                f"{len(found)} times the caller stood in {stood} for the only task that it had"
                f" under way, {duration(waited / 1e9)} in all, while {facts.workers} workers were"
                " there."
            ),
            remedy="Submit all calls first, then get them, unless each needs the result before it:",
            code=f"refs = [{f}.remote(item) for item in items]\nresults = paralab.get(refs)",
            gain_ns=waited * (1 - 1 / at_once),
            wall_ns=facts.wall_ns,
            rests_on=f"no call needs another's result, and {at_once} run as fast beside each other",
            tasks=some([task for _, task in found]),
        )


def _turns(facts: Facts) -> dict[str, list[tuple[Wait, Task]]]:
    """By function the waits that were turns of such a loop, and what was waited for."""
    submitted: dict[tuple[int, str | None], list[Task]] = defaultdict(list)
    for task in facts.ran:
        submitted[task.owner, task.parent].append(task)
    by_id = {task.id: task for task in facts.ran if task.kind == "task"}
    starts = {key: [task.stamps["submitted"] for task in tasks] for key, tasks in submitted.items()}
    ends = {
        key: sorted(task.stamps["returned"] for task in tasks) for key, tasks in submitted.items()
    }
    turns: dict[str, list[tuple[Wait, Task]]] = defaultdict(list)
    for wait in facts.recording.waits:
        key = wait.process, wait.parent
        waited_for = by_id.get(wait.first or "")
        if waited_for is None or (waited_for.owner, waited_for.parent) != key:
            continue
        before = bisect_right(starts[key], wait.start)
        under_way = before - bisect_left(ends[key], wait.start)
        later = submitted[key][before : before + 1]
        if under_way == 1 and later and later[0].name == waited_for.name:
            turns[waited_for.name].append((wait, waited_for))
    return turns


def blocking(facts: Facts) -> Iterator[Finding]:
    """More tasks stand in ``get`` at a time than there are cores: a process is started for each."""
    inner = [wait for wait in facts.recording.waits if wait.parent is not None]
    changes = sorted([(wait.start, 1) for wait in inner] + [(wait.end, -1) for wait in inner])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    if most <= facts.workers:
        return
    parents = {wait.parent for wait in inner}
    tasks = [task for task in facts.ran if task.id in parents]
    if not tasks:
        return
    names = sorted({task.name for task in tasks})
    name = name_in_code(names[0])
    ran_on = {task.worker for task in facts.ran if task.kind == "task"}
    starting = facts.spent.part_ns("queue") / facts.workers
    yield Finding(
        kind="more blocking than cores",
        finding=(
            f"Up to {most} tasks of {', '.join(map(called, names[:3]))} stood in get() at once, on"
            f" {facts.workers} {'cores' if facts.workers > 1 else 'core'}"
        ),
        evidence=(
            f"{len(tasks)} tasks waited for others inside. A task that waits lends its core, and"
            f" another process takes it: {len(ran_on)} processes ran tasks here."
        ),
        remedy="Pass the refs on as arguments: such a task starts when its inputs are there:",
        code=f"part = inner.remote(x)\nwhole = {name}.remote(part)  # {name} takes the value",
        gain_ns=starting,
        wall_ns=facts.wall_ns,
        rests_on="no further processes have to be started: so long was work ready and a core free",
        tasks=some(tasks),
        is_always_said=True,
    )
