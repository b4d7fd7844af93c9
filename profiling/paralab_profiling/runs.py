"""One run of a piece of a program: how long it took, and which task ran when on which worker.

The tasks come from the session's events (``take``).  Their clock is the machine's monotonic one,
so they and ``record`` share a zero.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import paralab
from paralab.shown_text import shown_name
from paralab.sources import keep_definitions
from paralab_profiling.picture import Picture
from paralab_profiling.recording import Recording
from paralab_profiling.scaling.missing_time import missing_time
from paralab_profiling.taking import take


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
        missing: seconds of the run that went to something else than your functions, by what it
            was; see ``scaling/missing_time.py``.  Empty if that is not known.
        recording: all events of the block, for views and for counts (``measures.py``).
    """

    label: str
    seconds: float = 0.0
    workers: int = 1
    slices: list[Slice] = field(default_factory=list)
    missing: Mapping[str, float] = field(default_factory=dict)
    recording: Recording = field(default_factory=lambda: Recording((), 1), repr=False)

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
        from paralab_profiling.timelines.compare import (
            compare,  # it draws runs, so it imports this module
        )

        return compare(self)


def run_of(label: str, recording: Recording, block_ns: tuple[int, int], workers: int) -> Run:
    """The run of a block of a program, out of a recording.

    Args:
        label: how pictures call it.
        recording: may hold more than the block's tasks.
        block_ns: the stamps at which the block began and ended.
        workers: how many tasks could run at the same time.
    """
    begin, end = block_ns
    inside = recording.between(begin, end)
    slices = [
        Slice(
            task.name,
            task.worker,
            (task.stamps["loaded"] - begin) / 1e9,
            (task.stamps["ended"] - begin) / 1e9,
        )
        for task in inside
        if task.ran and task.stamps["loaded"] <= end
    ]
    return Run(
        *(label, (end - begin) / 1e9, workers, sorted(slices, key=lambda slice_: slice_.start)),
        missing_time(inside, block_ns, workers) if slices else {},
        inside,
    )


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
    begin = time.monotonic_ns()
    with keep_definitions():  # what the block defines for itself is told, too
        try:
            yield run
        finally:
            block = begin, time.monotonic_ns()
            found = run_of(label, take(), block, run.workers)
            run.seconds, run.slices, run.missing = found.seconds, found.slices, found.missing
            run.recording = found.recording
