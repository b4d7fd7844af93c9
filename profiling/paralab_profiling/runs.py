"""One run of a piece of a program: how long it took, and which task ran when on which worker.

The tasks come from ``paralab.timeline()``: complete events ("ph": "X") in the Trace Event
Format, one for the time that each call spent in your function.  Their clock is the machine's
monotonic one, so they and ``record`` share a zero.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import paralab
from paralab.shown_text import shown_name
from paralab_profiling.picture import Picture


@dataclass(frozen=True)
class Slice:
    """One task on one worker; times in seconds since the run began."""

    name: str
    worker: int
    start: float
    end: float


@dataclass
class Run:
    """What :func:`record` found.

    Attributes:
        label: how pictures call the run.
        seconds: wall time of the whole block.
        workers: how many tasks could have run at the same time.
        slices: the tasks that ran, by start.
    """

    label: str
    seconds: float = 0.0
    workers: int = 1
    slices: list[Slice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.label = shown_name(self.label)

    @property
    def busy(self) -> float:
        """Seconds in tasks, all workers together."""
        return sum(slice_.end - slice_.start for slice_ in self.slices)

    @property
    def at_once(self) -> int:
        """The largest number of tasks that ran at the same time."""
        # An end counts before a start at the same moment.
        changes = sorted(
            [(slice_.start, 1) for slice_ in self.slices]
            + [(slice_.end, -1) for slice_ in self.slices]
        )
        most = now = 0
        for _, change in changes:
            now += change
            most = max(most, now)
        return most

    @property
    def lanes(self) -> list[list[Slice]]:
        """The tasks of each worker, workers in the order of their first task.

        Workers that ran nothing have an empty lane at the end.
        """
        lanes: dict[int, list[Slice]] = {}
        for slice_ in self.slices:
            lanes.setdefault(slice_.worker, []).append(slice_)
        return [*lanes.values(), *([] for _ in range(self.workers - len(lanes)))]

    def __repr__(self) -> str:
        return repr(self._picture())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self._picture()._repr_mimebundle_()

    def _picture(self) -> Picture:
        from paralab_profiling.compare import compare  # it draws runs, so it imports this module

        return compare(self)


def slices_of(events: Iterable[Mapping[str, Any]], start: float, end: float) -> list[Slice]:
    """The tasks among trace events that began between ``start`` and ``end``.

    Args:
        events: as ``paralab.timeline()`` gives them, ``ts`` and ``dur`` in microseconds.
        start: seconds on the events' clock; becomes 0.
        end: seconds on the events' clock.
    """
    found = []
    for event in events:
        if event["ph"] != "X":  # names of lanes
            continue
        began = event["ts"] / 1e6
        if start <= began <= end:
            name = shown_name(str(event["name"]).removeprefix("__main__."))
            after = began + event["dur"] / 1e6
            found.append(Slice(name, event["tid"], began - start, after - start))
    return sorted(found, key=lambda slice_: slice_.start)


@contextmanager
def record(label: str) -> Iterator[Run]:
    """Measures the block under ``with`` and collects the tasks that started in it.

    Args:
        label: how pictures call this run.

    Yields:
        The run; its fields are filled when the block ends.

    Raises:
        SystemFailure: paralab is not running, see ``paralab.init``.
    """
    run = Run(label, workers=max(1, int(paralab.cluster_resources().get("CPU", 1))))
    start = time.monotonic()
    try:
        yield run
    finally:
        end = time.monotonic()
        run.seconds = end - start
        run.slices = slices_of(paralab.timeline() or (), start, end)
