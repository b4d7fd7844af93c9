"""What notebook 19 needs beside the tools that it compares: who ran which item when.

A function is wrapped so that each call tells when it began and ended, and in which process.  The
clock is the machine's monotonic one, which all processes of one machine share, so calls in threads,
coroutines and workers can be drawn on one axis.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from paralab_profiling import Run, Slice

Call = tuple[Any, int, float, float]
"""One call: its result, its process, and when it began and ended, s on the monotonic clock."""


def told(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``function``, giving a :data:`Call`; of a coroutine function a coroutine function.

    What it gives is plain, and it travels by value like what a notebook defines, so that workers
    need not import this module, and with it all that draws.
    """

    @wraps(function)
    def call(item: Any) -> Call:
        start = time.monotonic()
        result = function(item)
        return result, os.getpid(), start, time.monotonic()

    @wraps(function)
    async def awaited(item: Any) -> Call:
        start = time.monotonic()
        result = await function(item)
        return result, os.getpid(), start, time.monotonic()

    return awaited if inspect.iscoroutinefunction(function) else call


@dataclass(frozen=True)
class Measured:
    """What :func:`measured` found.

    Attributes:
        results: in the order in which the tool gave them.
        pids: the processes that ran something.
        run: for pictures; its rows are places in which one call ran at a time.
    """

    results: list[Any]
    pids: frozenset[int]
    run: Run

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.run.seconds

    @property
    def at_once(self) -> int:
        """The largest number of calls that were under way at the same time."""
        return self.run.at_once

    @property
    def processes(self) -> str:
        """Where it ran, as text that does not depend on how two workers shared the items."""
        return "this notebook" if self.pids == {os.getpid()} else "other processes"


def measured(
    tool: Callable[[Callable[[Any], Any], list[Any]], Iterable[Call]],
    function: Callable[[Any], Any],
    items: Iterable[Any],
    repeat: int = 2,
) -> Measured:
    """Runs ``function`` on all items by one tool, and keeps the fastest of the runs.

    Args:
        tool: called with a function and a list; gives what the function gave, in any order.
        function: called with each item; a coroutine function if the tool awaits it.
        items: what it is called with.
        repeat: how often, at least 1.
    """
    work, best = list(items), None
    for _ in range(repeat):
        begin = time.monotonic()
        calls = list(tool(told(function), work))
        seconds = time.monotonic() - begin
        if best is None or seconds < best.seconds:
            best = _measured(tool.__name__.rstrip("_"), function.__name__, calls, begin, seconds)
    if best is None:
        raise ValueError(f"repeat must be 1 or more, not {repeat}")
    return best


def _measured(
    label: str, name: str, calls: Sequence[Call], begin: float, seconds: float
) -> Measured:
    slices: list[Slice] = []
    until: list[tuple[int, float]] = []  # of each place its process, and when it is free
    for _result, pid, start, end in sorted(calls, key=lambda call: call[2]):
        free = (at for at, (whose, when) in enumerate(until) if whose == pid and when <= start)
        place = next(free, len(until))
        until[place : place + 1] = [(pid, end)]
        slices.append(Slice(name, place, start - begin, end - begin))
    run = Run(label, seconds, max(1, len(until)), slices)
    return Measured([call[0] for call in calls], frozenset(call[1] for call in calls), run)


def bars(found: Sequence[Measured]) -> str:
    """The times as bars, and how many calls were under way at once, a line for each tool."""
    longest = max(each.seconds for each in found)
    lines = [
        f"{each.run.label:9}  {'█' * max(1, round(30 * each.seconds / longest)):30}"
        f"  {each.seconds * 1e3:6.0f} ms  at most {each.at_once} at once, {each.processes}"
        for each in found
    ]
    return "\n".join(lines)
