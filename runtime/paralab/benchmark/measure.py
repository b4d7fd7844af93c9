"""Loops and clocks that every side shares, so that no side is timed in its own way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from paralab.benchmark import machine
from paralab.benchmark.callers import Caller
from paralab.benchmark.rows import Sizes
from paralab.benchmark.statistics import Sample

_WARM_UP = 0.2
"""Share of the measured time that is spent before it."""


def rate(call: Callable[[], object], seconds: float, *, chunk: int = 20) -> tuple[float, int]:
    """Runs ``call`` in chunks for at least ``seconds``; returns calls per second and calls."""
    calls, start = 0, time.perf_counter()
    while True:
        for _ in range(chunk):
            call()
        calls += chunk
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return calls / elapsed, calls


def warm_rate(call: Callable[[], object], sizes: Sizes, *, chunk: int = 20) -> Sample:
    """Calls per second of ``call`` after a warm-up."""
    rate(call, sizes.seconds * _WARM_UP, chunk=chunk)
    value, calls = rate(call, sizes.seconds, chunk=chunk)
    return Sample(value, calls)


def single(caller: Caller, sizes: Sizes) -> Sample:
    """Calls per second, one at a time, driver and worker each pinned to a core of its own."""
    rate(caller.one, sizes.seconds * _WARM_UP)
    workers = caller.workers()
    pids = [os.getpid(), *workers]
    with machine.pinned(workers) as pinned:
        rate(caller.one, sizes.seconds * _WARM_UP)
        before = machine.cpu_seconds(pids)
        value, calls = rate(caller.one, sizes.seconds)
        cpu = machine.cpu_seconds(pids) - before
    return Sample(value, calls, cpu / calls * 1e6, {"pinned": pinned, "workers": len(workers)})


def in_flight(caller: Caller, sizes: Sizes, *, pin: bool = False) -> Sample:
    """Calls per second with many in flight, unpinned unless ``pin``."""
    calls = max(1, sizes.in_flight // caller.slow_down)
    caller.many(max(1, calls // 4))
    workers = caller.workers()
    pids = [os.getpid(), *workers]

    def run() -> Sample:
        before = machine.cpu_seconds(pids)
        batches, total = rate(lambda: caller.many(calls), sizes.seconds, chunk=1)
        cpu = (machine.cpu_seconds(pids) - before) / (total * calls)
        return Sample(batches * calls, total * calls, cpu * 1e6, {"in_flight": calls})

    if not pin:
        return run()
    with machine.pinned(workers):
        return run()
