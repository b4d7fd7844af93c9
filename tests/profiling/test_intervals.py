"""Intervals: what is known of them, and that a seed repeats them."""

from __future__ import annotations

import pytest

from paralab_profiling.scaling.intervals import interval_of, ratios_of


def test_the_median_and_its_interval() -> None:
    found = interval_of([1.0, 2.0, 3.0, 4.0, 100.0])
    assert found.middle == 3.0
    assert 1.0 <= found.low < 3.0 < found.high <= 100.0
    assert found.count == 5
    assert interval_of([1.0, 2.0, 3.0, 4.0, 100.0]) == found
    assert interval_of([2.0]).low == interval_of([2.0]).high == 2.0


def test_more_measurements_and_less_confidence_make_it_narrower() -> None:
    values = [1 + number % 10 / 10 for number in range(10)]
    few, many = interval_of(values), interval_of(values * 20)
    assert many.high - many.low < few.high - few.low
    unsure = interval_of(values, confidence=0.5)
    assert unsure.high - unsure.low < few.high - few.low


def test_it_holds_the_median_of_what_the_sample_was_drawn_from_about_as_often_as_it_says() -> None:
    from random import Random

    random = Random(3)
    held = 0
    for _ in range(60):
        found = interval_of([random.gauss(2, 0.3) for _ in range(15)])
        held += found.low <= 2 <= found.high
    assert 50 <= held <= 60


def test_as_text() -> None:
    found = interval_of([1.74] * 12)
    assert str(found) == "1.74 (1.74 to 1.74)"
    assert found.evidence == "between 1.74 and 1.74 (95 %) in 12 pairs of runs"


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="needs a value"):
        interval_of([])
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval_of([1.0], confidence=95)
    with pytest.raises(ValueError, match="shorter"):
        ratios_of([1.0, 2.0], [1.0])
    assert ratios_of([4.0, 3.0], [2.0, 6.0]) == [2.0, 0.5]
