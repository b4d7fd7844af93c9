"""Answers to exercise 3 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

FIND_WORK = """
def find_work(program):
    with profile(tool="cprofile", clock="cpu") as p:
        program()
    yours = [frame for frame in p.top(100) if frame.kind == "yours"]
    most = max(p.roots, key=lambda root: root.calls)
    return {name}, {tasks}
"""


def find_work(name: str = "yours[0].name", tasks: str = "sum(p.tasks.values())") -> str:
    return FIND_WORK.format(name=name, tasks=tasks)


IN_THE_MOST_FREQUENT = "max(most.children, key=lambda frame: frame.own).name"
MOST_CALLS = 'max(yours, key=lambda frame: frame.calls * (frame.name != "<genexpr>")).name'

STUB = "driver"
WRONG = [
    (find_work(IN_THE_MOST_FREQUENT), "one task"),
    (find_work("max(p.roots, key=lambda root: root.total).name"), "task"),
    (find_work(MOST_CALLS), "calls"),
    (find_work(tasks="len(p.roots)"), "tasks"),
    ("def find_work(program):\n    return program()", "result"),
]
