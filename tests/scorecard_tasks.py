"""Tasks of the scorecard's rows about size, in a module that workers import in no time.

A test module would have every worker import pytest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paralab


@paralab.remote
def same(n: int) -> int:
    """What it is given."""
    return n


@paralab.remote
def total(*numbers: int) -> tuple[int, int]:
    """How many numbers there are, and their sum."""
    return len(numbers), sum(numbers)


@paralab.remote
def objects(count: int) -> list[Any]:
    """Refs to objects that the worker owns."""
    return [paralab.put(n) for n in range(count)]


@paralab.remote
def total_of(refs: list[Any]) -> int:
    """The sum of what refs in a list stand for."""
    return sum(paralab.get(refs))


@paralab.remote
def deep(n: int) -> int:
    """Waits for a task that waits for a task, and so on."""
    return 0 if n == 0 else int(paralab.get(deep.remote(n - 1))) + 1


@paralab.remote
def fib(n: int) -> int:
    """A Fibonacci number, with a task for each call."""
    if n < 2:
        return n
    left, right = fib.remote(n - 1), fib.remote(n - 2)
    return int(paralab.get(left)) + int(paralab.get(right))


@paralab.remote
def parent(n: int) -> int:
    """Waits for one task."""
    return int(paralab.get(same.remote(n)))


@paralab.remote
def read(path: str) -> str:
    """What is written into a fifo."""
    return Path(path).read_text()


@paralab.remote
def after(gate: list[Any], n: int) -> int:
    """Waits for a task that somebody else has made."""
    return int(paralab.get(gate[0])) + n


@paralab.remote(num_cpus=0)
class Counter:
    """Says its number, and how often it was asked."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0

    def next(self) -> tuple[int, int]:
        """One call more."""
        self.calls += 1
        return self.number, self.calls
