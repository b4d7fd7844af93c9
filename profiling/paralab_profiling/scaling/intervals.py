"""How sure a speed-up is: the median of the ratios of pairs, with an interval.

Runs are measured in pairs, one after the other, because a machine's speed changes from minute to
minute and both of a pair meet the same.  The interval is a percentile bootstrap: the pairs are
drawn anew, with replacement, many times, and the middle 95 % of the medians that come out are the
interval (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13).  With five pairs
it is little more than the smallest and the largest ratio, so it is honest about few repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

from paralab_profiling.svg import three_digits

DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A median, and between what it lies.

    Attributes:
        low, middle, high: in the unit of what was measured.
        count: of measurements.
        confidence: 0 to 1.
    """

    low: float
    middle: float
    high: float
    count: int
    confidence: float = 0.95

    def __str__(self) -> str:
        """As pictures write it: "1.74 (1.66 to 1.81)"."""
        low, high = three_digits(self.low), three_digits(self.high)
        return f"{three_digits(self.middle)} ({low} to {high})"

    @property
    def evidence(self) -> str:
        """The line under a title: "between 1.66 and 1.81 (95 %) in 12 pairs of runs"."""
        low, high = three_digits(self.low), three_digits(self.high)
        share = f"{self.confidence * 100:.3g} %"
        return f"between {low} and {high} ({share}) in {self.count} pairs of runs"


def interval_of(values: Sequence[float], *, seed: int = 0, confidence: float = 0.95) -> Interval:
    """The median of ``values`` and its bootstrap interval.

    Args:
        values: at least one.
        seed: the same gives the same interval.
        confidence: share of the redrawn medians that lie in the interval, 0 to 1.

    Raises:
        ValueError: there is no value, or ``confidence`` is not between 0 and 1.
    """
    if not values or not 0 < confidence < 1:
        raise ValueError("an interval needs a value, and a confidence between 0 and 1")
    random = Random(seed)  # noqa: S311 - no secret
    medians = sorted(median(random.choices(values, k=len(values))) for _ in range(DRAWS))
    outside = (1 - confidence) / 2
    low, high = medians[int(outside * DRAWS)], medians[int((1 - outside) * DRAWS) - 1]
    return Interval(low, median(values), high, len(values), confidence)


def ratios_of(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """How many times less the second of each pair is.

    Raises:
        ValueError: not as many of one as of the other.
    """
    return [one / max(other, 1e-9) for one, other in zip(before, after, strict=True)]
