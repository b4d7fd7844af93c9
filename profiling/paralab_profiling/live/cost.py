"""What live views cost the work that they show: the same tasks with and without one, in turns.

A view has a thread in the driver, which looks, and messages to the page, at most ten a second
(``watcher.py``).  Both take time from the driver, so tasks in flight, which keep it busy all the
time, show it most: no-ops as the worst case, and tasks of 1 ms.  How the page draws is not in it.

In a notebook: ``live_cost()``.  In a terminal, with a kernel of its own::

    python -m paralab_profiling.live
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import paralab
from paralab_profiling.live.view import KINDS, live
from paralab_profiling.live.widgets import has_widgets
from paralab_profiling.svg import three_digits

PAIRS, NO_OPS, TASKS = 7, 20_000, 2_000
BUSY_SECONDS = 0.001


@dataclass(frozen=True)
class LiveCost:
    """What one kind of view cost one kind of task.

    Attributes:
        kind: of the view, see :func:`paralab_profiling.live`.
        tasks: what they did.
        count: how many were in flight in each run.
        rates: of each pair, tasks a second with the view as a share of those without.
        cpu: of each pair, CPU time of the driver with the view, as a multiple of that without.
        sent: messages to the page, of all runs with the view.
        seconds: how long it was open, in all.
    """

    kind: str
    tasks: str
    count: int
    rates: tuple[float, ...]
    cpu: tuple[float, ...]
    sent: int
    seconds: float


@dataclass(frozen=True)
class LiveCosts:
    """All that :func:`live_cost` measured; its text is a table."""

    rows: tuple[LiveCost, ...]

    def __repr__(self) -> str:
        pairs = len(self.rows[0].rates)
        of = f"{pairs:,} pair{'' if pairs == 1 else 's'}"
        lines = [
            f"Tasks in flight with a live view, beside those without: medians of {of}",
            f"{'view':10}{'tasks':16}{'tasks/s with ÷ without':26}{'CPU of driver':16}messages/s",
        ]
        for row in self.rows:
            rate, cpu = statistics.median(row.rates), statistics.median(row.cpu)
            spread = f"({three_digits(min(row.rates))} to {three_digits(max(row.rates))})"
            lines.append(
                f"{row.kind:10}{f'{row.count:,} {row.tasks}':16}"
                f"{f'{three_digits(rate)} {spread}':26}{f'× {three_digits(cpu)}':16}"
                f"{three_digits(row.sent / row.seconds)}"
            )
        return "\n".join(lines)


def live_cost(
    kinds: Sequence[str] = KINDS, pairs: int = PAIRS, no_ops: int = NO_OPS, tasks: int = TASKS
) -> LiveCosts:
    """Measures what live views cost: tasks in flight with and without one, in turns.

    It shows each view while it is measured, and leaves its picture as the view does.

    Args:
        kinds: of views.
        pairs: runs with and without, of each kind of view and of task.
        no_ops: how many tasks that do nothing are in flight.
        tasks: the same of tasks that take 1 ms.

    Raises:
        ValueError: there is no such kind, or nothing is to be measured.
        RuntimeError: this is not the kernel of a notebook, or paralab is not running.
        ImportError: anywidget, ipywidgets or IPython is missing.
    """
    check(kinds, pairs, no_ops, tasks)
    if not has_widgets():
        raise RuntimeError(
            "live_cost() measures in the kernel of a notebook that has anywidget; in a terminal "
            "run: python -m paralab_profiling.live"
        )

    @paralab.remote
    def no_op(number: int) -> int:
        return number

    @paralab.remote
    def busy(number: int) -> int:
        end = time.perf_counter() + BUSY_SECONDS
        while time.perf_counter() < end:
            pass
        return number

    found = []
    for what, function, count in (("no-ops", no_op, no_ops), ("of 1 ms", busy, tasks)):
        _run(function, count)  # the workers are there, and have the function
        found += [_cost(kind, what, function, count, pairs) for kind in kinds]
    return LiveCosts(tuple(found))


def check(kinds: Sequence[str], pairs: int, no_ops: int, tasks: int) -> None:
    """Raises ValueError if these cannot be arguments of :func:`live_cost`."""
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"live_cost() measures {', '.join(KINDS)}; got {kind!r}.")
    least = {"kinds": len(kinds), "pairs": pairs, "no_ops": no_ops, "tasks": tasks}
    for name, number in least.items():
        if number < 1:
            raise ValueError(f"live_cost() needs at least 1 of {name}; got {number}.")


def _run(function: Any, count: int) -> tuple[float, float]:
    """Seconds that the tasks took, and CPU seconds of this process meanwhile."""
    start, cpu = time.perf_counter(), time.process_time()
    paralab.get([function.remote(number) for number in range(count)])
    return time.perf_counter() - start, time.process_time() - cpu


def _cost(kind: str, what: str, function: Any, count: int, pairs: int) -> LiveCost:
    found, sent, seconds = [], 0, 0.0
    for pair in range(pairs):
        # What is first is so in every other pair.
        plain = _run(function, count) if pair % 2 else None
        start = time.perf_counter()
        with live(kind) as view:
            watched = _run(function, count)
            sent += view.sent
            seconds += time.perf_counter() - start
        found.append((plain or _run(function, count), watched))
    rates = tuple(plain[0] / watched[0] for plain, watched in found)
    cpu = tuple(watched[1] / plain[1] for plain, watched in found)
    return LiveCost(kind, what, count, rates, cpu, sent, seconds)
