"""Spans of time: joined, cut, counted and put into rows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from paralab_profiling.timelines.spans import (
    binned,
    clipped,
    length,
    merged,
    minus,
    most_at_once,
    rows_of,
    without,
)

spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda each: (each[0], sum(each)))
)


def test_examples() -> None:
    assert merged([(5, 9), (0, 2), (8, 12), (3, 3), (12, 13)]) == ((0, 2), (5, 13))
    assert clipped([(0, 5), (6, 9), (20, 30)], 4, 8) == ((4, 5), (6, 8))
    assert without((0, 10), [(2, 3), (5, 20)]) == ((0, 2), (3, 5))
    assert without((0, 10), []) == ((0, 10),)
    assert most_at_once([(0, 5), (5, 9), (4, 6)]) == 2
    assert rows_of([(0, 5), (1, 3), (3, 9), (5, 6)]) == [0, 1, 1, 0]
    assert binned([(0, 5), (4, 6)], 10, 5) == [1.0, 1.0, 1.5, 0.0, 0.0]


@settings(deadline=None)
@given(spans)
def test_time_is_covered_or_not(found: list[tuple[int, int]]) -> None:
    """Counted moment by moment."""
    covers = [sum(start <= at < end for start, end in found) for at in range(81)]
    assert length(merged(found)) == sum(map(bool, covers))
    assert length(without((0, 81), merged(found))) == 81 - sum(map(bool, covers))
    assert most_at_once(found) == max(covers)
    assert [round(each, 6) for each in binned(found, 81, 81)] == covers


@settings(deadline=None)
@given(spans, spans)
def test_what_is_left(found: list[tuple[int, int]], holes: list[tuple[int, int]]) -> None:
    left = minus(merged(found), merged(holes))
    assert left == tuple(part for span in merged(found) for part in without(span, merged(holes)))
    assert length(left) == length(merged([*found, *holes])) - length(merged(holes))


@settings(deadline=None)
@given(spans)
def test_no_two_of_a_row_overlap(found: list[tuple[int, int]]) -> None:
    ordered = sorted(found)
    rows = rows_of(ordered)
    for row in set(rows):
        assert most_at_once(s for s, r in zip(ordered, rows, strict=True) if r == row) <= 1
    real = [span for span in ordered if span[0] < span[1]]
    assert len(set(rows_of(real))) == most_at_once(real), "and there are no more than needed"
