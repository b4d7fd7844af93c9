"""Whether two results are the same, and if not, whether rounding explains it.

Floating-point addition is not associative (Goldberg, "What Every Computer Scientist Should Know
About Floating-Point Arithmetic", 1991), so a chain and a tree of the same numbers may end in
different last digits.  The difference is measured against the larger of the two, over a whole
array or list; up to the square root of the type's precision it counts as rounding.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EPSILON = sys.float_info.epsilon


@dataclass(frozen=True, slots=True)
class Difference:
    """How two results compare.

    Attributes:
        is_equal: they are the same; two NaN are.
        relative: size of the difference ÷ size of the result; None if it has none.
        is_rounding: it is as small as the order of floating-point operations can make it.
        problem: why they could not be compared, "" if they could.
    """

    is_equal: bool
    relative: float | None = None
    is_rounding: bool = False
    problem: str = ""


def difference(one: Any, other: Any) -> Difference:
    """Compares two results: numbers, NumPy arrays, and lists, tuples and dicts of them.

    Anything else is compared by ``==`` alone.
    """
    try:
        pairs = list(_pairs(one, other))
    except Exception as problem:  # the user's own __eq__ or __array__ may raise anything
        return Difference(False, problem=f"{type(problem).__name__} when they were compared")
    if all(is_equal for is_equal, *_sizes in pairs):
        return Difference(True, 0.0)
    if any(size is None for _equal, size, _by, _epsilon in pairs):
        return Difference(False)
    size = max((size or 0.0) for _equal, size, _by, _epsilon in pairs)
    by = max(by for _equal, _size, by, _epsilon in pairs)
    relative = by / size if size else math.inf
    if math.isnan(relative):
        return Difference(False)
    epsilon = max(epsilon for *_rest, epsilon in pairs)
    return Difference(False, relative, relative <= math.sqrt(epsilon))


def _pairs(one: Any, other: Any) -> Iterator[tuple[bool, float | None, float, float]]:
    """(equal, size, difference, precision) of each pair of parts; the size is None if it has none.

    The precision is 0 for what is exact, such as whole numbers.
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(one, (numpy.ndarray, numpy.generic)):
        yield from _array_pairs(numpy, one, other)
    elif isinstance(one, (int, float, complex)) and isinstance(other, (int, float, complex)):
        both_nan = one != one and other != other
        exact = isinstance(one, int) and isinstance(other, int)
        if one == other or both_nan:
            # A whole number may be too large for a float, and needs no size.
            size = 0.0 if isinstance(one, int) else abs(one)
            yield True, size if math.isfinite(size) else 0.0, 0.0, 0.0
        elif exact:
            yield False, None, 0.0, 0.0
        else:
            yield False, float(max(abs(one), abs(other))), float(abs(one - other)), EPSILON
    elif isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        for key in one:
            yield from _pairs(one[key], other[key])
    elif _is_list(one) and _is_list(other) and len(one) == len(other):
        for left, right in zip(one, other, strict=True):
            yield from _pairs(left, right)
    else:
        yield bool(one == other), None, 0.0, 0.0


def _array_pairs(
    numpy: Any, one: Any, other: Any
) -> Iterator[tuple[bool, float | None, float, float]]:
    left, right = numpy.asarray(one), numpy.asarray(other)
    is_float = left.dtype.kind in "fc" and right.dtype.kind in "fc"
    if left.shape != right.shape:
        yield False, None, 0.0, 0.0
    elif numpy.array_equal(left, right, equal_nan=is_float):
        yield True, 0.0, 0.0, 0.0
    elif not is_float:
        yield False, None, 0.0, 0.0
    else:
        epsilon = max(numpy.finfo(left.dtype).eps, numpy.finfo(right.dtype).eps)
        size = max(float(numpy.abs(left).max()), float(numpy.abs(right).max()))
        yield False, size, float(numpy.abs(left - right).max()), float(epsilon)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
