"""Answers to exercise 1 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

BENCHMARK = """
import copy
def benchmark(sort, data, runs, clock):
    times = []
    {before}
    for _ in range(runs):
        {setup}
        start = clock()
        sort({what})
        times.append(clock() - start)
    return times
"""


def benchmark(what: str, setup: str = "pass", before: str = "pass") -> str:
    return BENCHMARK.format(what=what, setup=setup, before=before)


RUNS_OF_TIMEIT = """
import timeit
def benchmark(sort, data, runs, clock):
    timer = timeit.Timer("sort(fresh)", "fresh = data.copy()", clock, locals())
    return timer.repeat(runs, NUMBER)
"""

ITS_OWN_CLOCK = benchmark("fresh", "fresh = data.copy()").replace("clock()", "time.perf_counter()")
SINCE_THE_BEGINNING = """
def benchmark(sort, data, runs, clock):
    copies, start, times = [data.copy() for _ in range(runs)], clock(), []
    for each in copies:
        sort(each)
        times.append(clock() - start)
    return times
"""

STUB = "sorted already"
WRONG = [
    (benchmark("fresh", before="fresh = data.copy()"), "sorted already"),
    (RUNS_OF_TIMEIT.replace("NUMBER", "10"), "sorted already"),
    (benchmark("data", "random.shuffle(data)"), "other order"),
    (benchmark("data", "data[:] = kept", "kept = data.copy()"), "data changed"),
    *[
        (benchmark(copied), "copy timed")
        for copied in ("data.copy()", "list(data)", "data[:]", "[*data]", "copy.copy(data)")
    ],
    (ITS_OWN_CLOCK, "clock"),
    (SINCE_THE_BEGINNING, "clock"),
    ("def benchmark(sort, data, runs, clock):\n    return [sorted(data)] * runs", "result"),
    ("def benchmark(sort, data, runs, clock):\n    return [len(sorted(data))] * runs", "calls"),
]
