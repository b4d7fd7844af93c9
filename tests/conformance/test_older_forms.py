"""Ways of writing that older programs have, and annotations."""

from __future__ import annotations

from typing import Any


def test_remote_with_arguments_as_lists(rt: Any) -> None:
    @rt.remote
    def add(a: int, b: int = 1) -> int:
        return a + b

    @rt.remote
    class Counter:
        def __init__(self, start: int) -> None:
            self.value = start

        def add(self, n: int = 1) -> int:
            self.value += n
            return self.value

    assert rt.get(add._remote(args=[1], kwargs={"b": 4}, num_cpus=1)) == 5
    assert rt.get(add._remote([2])) == 3
    counter = Counter._remote(args=[10], num_cpus=0)
    assert rt.get(counter.add._remote(args=[5])) == 15
    assert rt.get(counter.add._remote()) == 16


def test_refs_in_annotations(rt: Any) -> None:
    assert rt.ObjectRef[int].__origin__ is rt.ObjectRef
    assert rt.ObjectRef[int].__args__ == (int,)
