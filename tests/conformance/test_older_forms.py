"""Ways of writing that older programs have, and annotations."""

from __future__ import annotations

import importlib
import warnings
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
    assert rt.wait([again], timeout=60) == ([ref], [])
    for _ in range(3):
        assert rt.get(rt.ObjectRef(ref.binary())) == 3
    assert rt.get([rt.ObjectID(ref.binary()), add.remote(again)]) == [3, 4]
    with pytest.raises(ValueError, match="ID string needs to have length 28, got 5"):
        rt.ObjectRef(b"short")
    del again
    assert rt.get(ref) == 3


def test_annotations_that_are_looked_at(rt: Any) -> None:
    actor = rt.actor
    for cls in (rt.ObjectRef, actor.ActorClass, actor.ActorHandle):
        assert (cls[int].__origin__, cls[int].__args__) == (cls, (int,))
    assert type[int] in actor.ActorProxy[int].__args__


def test_older_places_of_public_modules(rt: Any) -> None:
    name = rt.library.__name__
    find = importlib.import_module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        queues = find(f"{name}.experimental.queue")
    assert queues.Queue is find(f"{name}.util.queue").Queue
    pools = find(f"{name}.experimental.multiprocessing")
    assert issubclass(pools.Pool, find(f"{name}.util.multiprocessing").Pool)
    states = find(f"{name}.experimental.state.api")
    assert states.list_tasks is find(f"{name}.util.state").list_tasks


def test_names_from_the_native_module(rt: Any) -> None:
    native = importlib.import_module(f"{rt.library.__name__}._raylet")
    assert native.StreamingObjectRefGenerator is native.ObjectRefGenerator is rt.ObjectRefGenerator
    for name in ("ObjectRefStreamEndOfStreamError", "GetTimeoutError", "TaskCancelledError"):
        assert issubclass(getattr(native, name), rt.exceptions.RayError)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = native.no_such_name


def test_private_helpers_of_public_examples(rt: Any) -> None:
    helpers = importlib.import_module(f"{rt.library.__name__}._private.utils")
    assert 0 < helpers.get_used_memory() < helpers.get_system_memory()
    assert 0 < helpers.estimate_available_memory() < helpers.get_system_memory()
    assert rt.ObjectRef[int].__args__ == (int,)
