"""Profiling without processes: local mode, and what stands in for a session's messages."""

from __future__ import annotations

import paralab
from paralab_profiling import profile


def leaf(number: int) -> int:
    return number + 1


@paralab.remote
def work(count: int) -> int:
    return sum(leaf(number) for number in range(count))


@paralab.remote
def parent(tasks: int, count: int) -> int:
    return sum(paralab.get([work.remote(count) for _ in range(tasks)]))


@paralab.remote
class Adder:
    def __init__(self, start: int) -> None:
        self.sum = leaf(start)

    def add(self, count: int) -> int:
        self.sum += sum(leaf(number) for number in range(count))
        return self.sum


def test_without_processes_a_call_inside_another_one_is_part_of_it(shutdown_after: None) -> None:
    paralab.init(local_mode=True)
    with profile("cprofile") as p:
        paralab.get(parent.remote(2, 5))
        adder = Adder.remote(1)
        paralab.get(adder.add.remote(3))
    assert p.tasks == {"parent": 1, "Adder.__init__": 1, "Adder.add": 1}
    assert sum(p.missed.values()) == 2
    assert p.calls("leaf") == 10 + 1 + 3
    assert p.refresh().tasks == p.tasks
