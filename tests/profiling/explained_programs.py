"""Programs that do what a diagnosis is about, each beside one that does the same well.

A function of this module runs in a session with two CPUs, whose workers have been started; what it
returns has to live until the recording is taken.  Work is a loop that lasts a given time
on the clock, so that it takes as long on a busy machine.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import paralab
from paralab.limits import cpu_count
from paralab.platform import NumericThreads


def work(seconds: float) -> None:
    """Keeps a core busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def fine_tasks() -> None:
    @paralab.remote
    def tiny(x: int) -> int:
        return x + 1

    paralab.get([tiny.remote(x) for x in range(1_000)])


def coarse_tasks() -> None:
    @paralab.remote
    def batch(x: int) -> int:
        work(0.02)
        return x

    paralab.get([batch.remote(x) for x in range(16)])


def get_each() -> None:
    @paralab.remote
    def parse(x: int) -> int:
        work(0.02)
        return x

    assert [paralab.get(parse.remote(x)) for x in range(6)] == list(range(6))


def get_at_the_end() -> None:
    @paralab.remote
    def parse(x: int) -> int:
        work(0.02)
        return x

    refs = [parse.remote(x) for x in range(6)]
    assert [paralab.get(ref) for ref in refs] == list(range(6))


def get_with_others_under_way() -> None:
    """The caller waits between submissions, but keeps two under way."""

    @paralab.remote
    def parse(x: int) -> int:
        work(0.02)
        return x

    under_way = [parse.remote(0)]
    for x in range(1, 7):
        under_way.append(parse.remote(x))
        paralab.get(under_way.pop(0))
    paralab.get(under_way)


def large_closure() -> Any:
    table = list(range(400_000))

    @paralab.remote
    def look(x: int) -> int:
        return table[x]

    paralab.get([look.remote(x) for x in range(4)])
    return look


def put_table() -> None:
    table = list(range(400_000))

    @paralab.remote
    def look(table: list[int], x: int) -> int:
        return table[x]

    there = paralab.put(table)
    paralab.get([look.remote(there, x) for x in range(4)])


def same_argument() -> None:
    data = np.arange(1_000_000)

    @paralab.remote
    def part(data: Any, x: int) -> float:
        return float(data[x])

    paralab.get([part.remote(data, x) for x in range(6)])


def chunks() -> None:
    """Large arguments of one size, but each another."""
    data = np.arange(1_200_000).reshape(6, -1)

    @paralab.remote
    def part(data: Any) -> float:
        work(0.02)
        return float(data.sum())

    paralab.get([part.remote(chunk) for chunk in data])


def big_results() -> None:
    @paralab.remote
    def fill(x: int) -> Any:
        return np.full(1_000_000, x)

    paralab.get([fill.remote(x) for x in range(6)])


def reduced_results() -> None:
    @paralab.remote
    def fill(x: int) -> Any:
        return np.full(1_000_000, x)

    @paralab.remote
    def total(*parts: Any) -> float:
        return float(sum(part.sum() for part in parts))

    assert paralab.get(total.remote(*[fill.remote(x) for x in range(6)])) == 15_000_000


def straggler() -> None:
    @paralab.remote
    def parse(seconds: float) -> None:
        work(seconds)

    paralab.get([parse.remote(seconds) for seconds in (*[0.01] * 7, 0.3)])


def equal_tasks() -> None:
    @paralab.remote
    def parse(seconds: float) -> None:
        work(seconds)

    paralab.get([parse.remote(0.15) for _ in range(6)])


@paralab.remote
class Scores:
    """Adds up, slowly."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, x: int) -> int:
        work(0.01)
        self.total += x
        return self.total


def one_actor() -> None:
    scores: Any = Scores.remote()
    paralab.get([scores.add.remote(x) for x in range(40)])


def tasks_and_an_actor() -> None:
    """The actor has little to do beside the tasks."""

    @paralab.remote
    def score(x: int) -> int:
        work(0.05)
        return x

    scores: Any = Scores.remote()
    paralab.get([scores.add.remote(score.remote(x)) for x in range(8)])


def actors() -> list[Any]:
    """Two, which have been made."""
    both = [Scores.remote() for _ in range(2)]
    paralab.get([each.add.remote(0) for each in both])
    return both


def uneven_actors() -> None:
    first, second = actors()
    refs = [first.add.remote(x) for x in range(36)] + [second.add.remote(x) for x in range(4)]
    paralab.get(refs)


def even_actors() -> None:
    both = actors()
    paralab.get([both[x % 2].add.remote(x) for x in range(30)])


def nested_gets() -> None:
    @paralab.remote
    def merge(first: int, last: int) -> int:
        if last - first == 1:
            work(0.01)
            return first
        middle = (first + last) // 2
        return sum(paralab.get([merge.remote(first, middle), merge.remote(middle, last)]))

    assert paralab.get(merge.remote(0, 8)) == 28


def nested_refs() -> None:
    """The same tree, made by the driver."""

    @paralab.remote
    def leaf(x: int) -> int:
        work(0.01)
        return x

    @paralab.remote
    def merge(*parts: int) -> int:
        return sum(parts)

    parts = [leaf.remote(x) for x in range(8)]
    while len(parts) > 1:
        parts = [merge.remote(*parts[at : at + 2]) for at in range(0, len(parts), 2)]
    assert paralab.get(parts[0]) == 28


def too_much_for_the_store() -> None:
    """Wants a session whose store has 40 MB."""
    refs = [paralab.put(np.full(2_000_000, x)) for x in range(4)]
    assert [int(paralab.get(ref)[0]) for ref in refs] == [0, 1, 2, 3]


def let_go_of() -> None:
    """As much, one after the other, for the same store."""
    for x in range(4):
        ref = paralab.put(np.full(2_000_000, x))
        assert int(paralab.get(ref)[0]) == x
        del ref


def _multiply(threads: int) -> float:
    square = np.ones((400, 400))
    NumericThreads().set(threads)
    product = float((square @ square)[0, 0])
    work(0.05)  # so that the other worker takes the other task
    return product


def many_threads() -> None:
    @paralab.remote
    def multiply(threads: int) -> float:
        return _multiply(threads)

    paralab.get([multiply.remote(cpu_count() + 1) for _ in range(4)])


def one_thread() -> None:
    @paralab.remote
    def multiply(threads: int) -> float:
        return _multiply(threads)

    paralab.get([multiply.remote(1) for _ in range(4)])
