"""Spans of time: pairs of a start and an end, and what is made of several of them.

An end belongs to what comes after it, so two spans that touch do not overlap.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

Span = tuple[int, int]
"""Start and end in ns, the end not before the start."""


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The time that any of them covers, in order, without overlaps and without empty spans."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)


def clipped(spans: Iterable[Span], start: int, end: int) -> tuple[Span, ...]:
    """What of them lies between two moments; those that lie outside are left out."""
    return tuple((max(a, start), min(b, end)) for a, b in spans if max(a, start) < min(b, end))


def without(span: Span, holes: Sequence[Span]) -> tuple[Span, ...]:
    """What is left of a span when some, as :func:`merged` gives them, are taken out."""
    left: list[Span] = []
    at, end = span
    for start, stop in clipped(holes, at, end):
        if at < start:
            left.append((at, start))
        at = stop
    return (*left, (at, end)) if at < end else tuple(left)


def minus(spans: Sequence[Span], holes: Sequence[Span]) -> tuple[Span, ...]:
    """What is left of some spans when others are taken out; both as from :func:`merged`."""
    left: list[Span] = []
    first = 0
    for start, end in spans:
        while first < len(holes) and holes[first][1] <= start:
            first += 1
        last = bisect_left(holes, (end, end), lo=first)
        left += without((start, end), holes[first:last])
    return tuple(left)


def length(spans: Iterable[Span]) -> int:
    """The sum of their lengths, in ns."""
    return sum(end - start for start, end in spans)


def most_at_once(spans: Iterable[Span]) -> int:
    """The largest number of them that cover one moment."""
    changes = sorted(
        change for start, end in spans if start < end for change in ((start, 1), (end, -1))
    )
    most = now = 0
    for _, change in changes:  # an end sorts before a start at the same moment
        now += change
        most = max(most, now)
    return most


def rows_of(spans: Sequence[Span]) -> list[int]:
    """For each span the first row, from 0, in which it overlaps no span before it.

    Args:
        spans: ordered by their starts.
    """
    free: list[int] = []
    taken: list[tuple[int, int]] = []
    rows = []
    for start, end in spans:
        while taken and taken[0][0] <= start:
            heappush(free, heappop(taken)[1])
        row = heappop(free) if free else len(taken)
        heappush(taken, (end, row))
        rows.append(row)
    return rows


def binned(spans: Iterable[Span], ns: int, count: int) -> list[float]:
    """How many of them cover each of ``count`` equal parts of the time 0 to ``ns``, on average.

    Args:
        spans: within that time.
        ns: the whole time; more than 0.
        count: of the parts.
    """
    covered = [0.0] * count
    size = ns / count
    for start, end in spans:
        first, last = int(start / size), min(int(end / size), count - 1)
        for part in range(first, last + 1):
            covered[part] += max(0.0, min(end, (part + 1) * size) - max(start, part * size)) / size
    return covered
