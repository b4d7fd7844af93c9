"""What an exercise counts in a recording: numbers that a busy machine does not change.

Seconds vary with whatever else runs; how many tasks there were, what they needed, and how many
bytes went where does not.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable

from paralab_profiling.recording import Recording, Task


def named(run: Recording, name: str) -> list[Task]:
    """The calls of a function, or of a method as ``Class.method``, whatever it is defined in."""
    return [task for task in run if task.name == name or task.name.endswith(f".{name}")]


def task_count(run: Recording) -> int:
    """How many tasks and calls of actors' methods there were; constructors do not count."""
    return sum(task.kind != "creation" for task in run)


def method_calls(run: Recording) -> int:
    """How many calls of actors' methods there were."""
    return sum(task.kind == "actor" for task in run)


def actors(run: Recording) -> int:
    """How many actors were made."""
    return sum(task.kind == "creation" for task in run)


def calls_of_busiest(run: Recording) -> int:
    """How many calls of methods the actor had that had the most."""
    calls = Counter(task.actor for task in run if task.kind == "actor")
    return max(calls.values(), default=0)


def puts(run: Recording) -> int:
    """How many objects were put into the store by hand."""
    return len(run.puts)


def at_once(tasks: Iterable[Task]) -> int:
    """The largest number of them that ran their function at the same time."""
    # An end counts before a start at the same moment.
    changes = sorted(
        change
        for task in tasks
        if task.ran
        for change in ((task.stamps["loaded"], 1), (task.stamps["ended"], -1))
    )
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def early_gets(run: Recording) -> int:
    """How many results a program had fetched before it submitted its last task.

    Tasks that tasks submit are left out.
    """
    top = [task for task in run if task.parent is None]
    last = max((task.stamps["submitted"] for task in top), default=0)
    return sum(task.stamps.get("fetched", last) < last for task in top)


def empty_results(run: Recording) -> int:
    """How many tasks gave nothing back but ``None``."""
    nothing = len(pickle.dumps(None, protocol=5))
    return sum(task.ran and task.bytes_out <= nothing for task in run if task.kind != "creation")


def depth(run: Recording) -> int:
    """How many tasks the longest chain has in which each takes a result of the one before."""
    chain: dict[str, int] = {}
    # An input is submitted before what takes it, so one pass in order is enough.
    for task in run:
        chain[task.id] = 1 + max((chain.get(need, 0) for need in task.needs), default=0)
    return max(chain.values(), default=0)


def edges(run: Recording) -> int:
    """How many arrows the graph has: from a task to one that takes its result."""
    ids = {task.id for task in run}
    return sum(need in ids for task in run for need in task.needs)


def bytes_sent(run: Recording) -> int:
    """Bytes of all arguments as they were pickled; a reference counts as what it is, a few."""
    return sum(task.bytes_in for task in run)


def bytes_fetched(run: Recording) -> int:
    """Bytes of the results that somebody asked for with ``get``."""
    return sum(task.bytes_out for task in run if "fetched" in task.stamps)
