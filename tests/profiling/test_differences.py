"""Results compared: the same, rounding, or another value."""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Any

import pytest

from paralab_profiling.aggregation.differences import difference


@pytest.mark.parametrize(
    "value",
    [3, 0.5, 10**400, "text", b"bytes", None, [1, 2.5], {"a": (1, 2)}, 1j, math.nan, [math.nan]],
)
def test_the_same(value: Any) -> None:
    import copy

    found = difference(value, copy.deepcopy(value))
    assert found.is_equal
    assert found.relative == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 2), (10**400, 10**400 + 1), ("a", "b"), ([1], [1, 2]), ({"a": 1}, {"b": 1}), (1.0, "1"),
     ([1.0, "a"], [1.0, "b"]), (1.0, math.nan)],
)  # fmt: skip
def test_another_value_without_a_size(one: Any, other: Any) -> None:
    found = difference(one, other)
    assert not found.is_equal
    assert not found.is_rounding
    assert found.relative is None


def test_rounding_is_told_from_another_value() -> None:
    found = difference(reduce(add, [0.1] * 10), 1.0)
    assert found.is_rounding
    assert found.relative is not None
    assert 0 < found.relative < 1e-14
    other = difference(2.0, 3.0)
    assert not other.is_rounding
    assert other.relative == pytest.approx(1 / 3)
    assert difference([1.0, 0.0], [1.0, 1e-17]).is_rounding, "measured against the whole"


def test_arrays() -> None:
    numpy = pytest.importorskip("numpy")
    ones = numpy.ones(5, dtype="float32")
    near = ones * numpy.float32(1 + 3e-7)
    assert difference(ones, ones.copy()).is_equal
    assert difference(ones, near).is_rounding
    assert difference(ones, near).relative == pytest.approx(3e-7, rel=0.3)
    assert not difference(ones.astype("float64"), ones * 1.1).is_rounding
    assert not difference(ones, ones[:3]).is_equal
    assert difference(numpy.arange(3), numpy.arange(3) + 1).relative is None
    holes = numpy.array([1.0, math.nan])
    assert difference(holes, holes.copy()).is_equal
    assert difference([ones, 2], [near, 2]).is_rounding
    assert difference(numpy.float64(2.0), numpy.float64(2.0)).is_equal


def test_what_cannot_be_compared() -> None:
    class Odd:
        __hash__ = object.__hash__

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("no")

    assert difference(Odd(), Odd()).problem == "RuntimeError when they were compared"
