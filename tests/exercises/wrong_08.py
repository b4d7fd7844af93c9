"""Answers to exercise 8 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

OF_THE_OVERHEAD = """
OVERHEAD = [part for part in PARTS if part != "run"]
def take_apart(run):
    found = {}
    for name in {task.name for task in run if task.ran}:
        tasks = [task for task in run if task.ran and task.name == name]
        sums = {part: sum(task.part_ns(part) for task in tasks) for part in OVERHEAD}
        widest = max(sums, key=sums.get)
        found[name] = widest, sums[widest] / sum(sums.values())
    return found
"""

MEAN_OF_SHARES = """
def take_apart(run):
    found = {}
    for name in {task.name for task in run if task.ran}:
        tasks = [task for task in run if task.ran and task.name == name]
        sums = {part: sum(task.part_ns(part) for task in tasks) for part in PARTS if part != "run"}
        widest = max(sums, key=sums.get)
        shares = [task.part_ns(widest) / sum(task.parts_ns().values()) for task in tasks]
        found[name] = widest, sum(shares) / len(shares)
    return found
"""

THE_FIRST_TASK = """
def take_apart(run):
    found = {}
    for task in run:
        if task.ran and task.name not in found:
            parts = {part: task.part_ns(part) for part in PARTS if part != "run"}
            widest = max(parts, key=parts.get)
            found[task.name] = widest, parts[widest] / sum(task.parts_ns().values())
    return found
"""

UNFINISHED_TOO = """
def take_apart(run):
    found = {}
    for name in {task.name for task in run}:
        tasks = [task for task in run if task.name == name]
        sums = {part: sum(task.part_ns(part) for task in tasks) for part in PARTS}
        whole = sum(sums.values())
        del sums["run"]
        widest = max(sums, key=sums.get)
        found[name] = widest, sums[widest] / whole
    return found
"""

STUB = "run counted"
WRONG = [
    (OF_THE_OVERHEAD, "share of overhead"),
    (MEAN_OF_SHARES, "mean of shares"),
    (THE_FIRST_TASK, "one task"),
    (UNFINISHED_TOO, "unfinished"),
]
