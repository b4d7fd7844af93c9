"""More objects than the object store holds: programs do not notice."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

MB = 1 << 20
STORE = 80 * MB
COUNT, SIZE = 20, 8 * MB
"""Of arrays: twice what the store holds."""
HOW: dict[str, dict[str, Any]] = {
    "local": {"local_mode": True},
    "pickled": {"local_mode": "pickled"},
    "processes": {},
    "ray": {"include_dashboard": False},
}


@pytest.fixture(scope="module")
def small(rt: Any) -> Any:
    """The runtime, with a small store."""
    rt.shutdown()
    rt.init(num_cpus=2, object_store_memory=STORE, **HOW[rt.engine])
    return rt


def array(number: int) -> Any:
    return np.full(SIZE // 8, number, dtype=np.int64)


def is_right(values: Any, number: int) -> bool:
    return bool(len(values) == SIZE // 8 and (values == number).all())


def test_put_and_get(small: Any) -> None:
    refs = [small.put(array(number)) for number in range(COUNT)]
    for _ in range(2):
        assert all(is_right(small.get(ref), number) for number, ref in enumerate(refs))


def test_results_and_arguments(small: Any) -> None:
    make, check = small.remote(array), small.remote(is_right)
    refs = [make.remote(number) for number in range(COUNT)]
    assert all(small.get([check.remote(ref, number) for number, ref in enumerate(refs)]))
    assert all(is_right(small.get(ref), number) for number, ref in enumerate(refs))


def test_what_is_looked_at_stays_as_it_is(small: Any) -> None:
    kept = small.get(small.put(array(99)))[1:]
    refs = [small.put(array(number)) for number in range(COUNT)]
    assert len(kept) == SIZE // 8 - 1
    assert (kept == 99).all()
    assert is_right(small.get(refs[0]), 0)


def test_an_actor_keeps_more_than_fits(small: Any) -> None:
    @small.remote
    class Keeper:
        def __init__(self) -> None:
            self.refs: list[Any] = []

        def keep(self, number: int) -> None:
            self.refs.append(small.put(array(number)))

        def check(self) -> bool:
            return all(is_right(small.get(ref), at) for at, ref in enumerate(self.refs))

    keeper = Keeper.remote()
    small.get([keeper.keep.remote(number) for number in range(COUNT)])
    assert small.get(keeper.check.remote())
