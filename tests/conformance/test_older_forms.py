"""Ways of writing that older programs have, and annotations."""

from __future__ import annotations

from typing import Any

import pytest


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


def test_refs_made_of_ids(rt: Any) -> None:
    @rt.remote
    def add(x: int) -> int:
        return x + 1

    ref = rt.put(3)
    again = rt.ObjectRef(ref.binary())
    assert (again == ref, hash(again) == hash(ref)) == (True, True)
    assert rt.wait([again], timeout=30) == ([ref], [])
    for _ in range(3):
        assert rt.get(rt.ObjectRef(ref.binary())) == 3
    assert rt.get([rt.ObjectID(ref.binary()), add.remote(again)]) == [3, 4]
    with pytest.raises(ValueError, match="ID string needs to have length 28, got 5"):
        rt.ObjectRef(b"short")
    del again
    assert rt.get(ref) == 3


def test_refs_in_annotations(rt: Any) -> None:
    assert rt.ObjectRef[int].__origin__ is rt.ObjectRef
    assert rt.ObjectRef[int].__args__ == (int,)
