"""Answers to exercise 12 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

TIMED = """
import statistics

def timed(function, data, clock):
    start = clock()
    list(function(data))
    return clock() - start
"""

ONCE = (
    TIMED
    + """
def benchmark(old, new, data, clock):
    ratio = timed(old, data, clock) / timed(new, data, clock)
    return ratio, ratio, ratio
"""
)

MEAN_WITH_THE_FIRST = (
    TIMED
    + """
def benchmark(old, new, data, clock):
    pairs = [(timed(old, data, clock), timed(new, data, clock)) for _ in range(20)]
    ratio = sum(one for one, _ in pairs) / sum(other for _, other in pairs)
    return ratio, ratio * 0.9, ratio * 1.1

slow_first = benchmark

def benchmark(old, new, data, clock):
    list(old(data))
    return slow_first(old, new, data, clock)
"""
)

IN_BLOCKS = (
    TIMED
    + """
def benchmark(old, new, data, clock):
    list(old(data)), list(new(data))
    olds = [timed(old, data, clock) for _ in range(20)]
    news = [timed(new, data, clock) for _ in range(20)]
    ratios = sorted(one / other for one, other in zip(olds, news))
    return statistics.median(ratios), ratios[5], ratios[-6]
"""
)

SMALLEST_AND_LARGEST = (
    TIMED
    + """
def benchmark(old, new, data, clock):
    list(old(data)), list(new(data))
    ratios = [timed(old, data, clock) / timed(new, data, clock) for _ in range(20)]
    return statistics.median(ratios), min(ratios), max(ratios)
"""
)

STANDARD_ERROR_OF_THE_MEAN = (
    TIMED
    + """
def benchmark(old, new, data, clock):
    list(old(data)), list(new(data))
    ratios = [timed(old, data, clock) / timed(new, data, clock) for _ in range(100)]
    mean, error = statistics.mean(ratios), statistics.stdev(ratios) / 10
    return mean, mean - error / 100, mean + error / 100
"""
)

NO_INTERVAL = (
    TIMED
    + """
def benchmark(old, new, data, clock):
    list(old(data)), list(new(data))
    ratio = statistics.median(timed(old, data, clock) / timed(new, data, clock) for _ in range(20))
    return ratio, ratio, ratio
"""
)

UPSIDE_DOWN = (
    TIMED
    + """
def benchmark(old, new, data, clock):
    list(old(data)), list(new(data))
    ratios = sorted(timed(new, data, clock) / timed(old, data, clock) for _ in range(20))
    return statistics.median(ratios), ratios[5], ratios[-6]
"""
)

OWN_CLOCK = (
    TIMED
    + """
import time

def benchmark(old, new, data, clock):
    clock = time.perf_counter
    ratios = sorted(timed(old, data, clock) / timed(new, data, clock) for _ in range(20))
    return statistics.median(ratios), ratios[5], ratios[-6]
"""
)

STUB = "nothing done"
WRONG = [
    (ONCE, "too few"),
    (MEAN_WITH_THE_FIRST, "first call"),
    (IN_BLOCKS, "in blocks"),
    (SMALLEST_AND_LARGEST, "too wide"),
    (STANDARD_ERROR_OF_THE_MEAN, "misses"),
    (NO_INTERVAL, "no interval"),
    (UPSIDE_DOWN, "ratio"),
    (OWN_CLOCK, "another clock"),
]
