"""The peaks of many tasks: which to keep, and what they say together.

Ten thousand tasks of one function have one interesting peak, the highest.  So of each function
the highest are kept, and of all others only how many there were.  Rows are plain data, as results
are merged and saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

from paralab_profiling.memory.peak import Figures
from paralab_profiling.recording import Recording

KEPT = 8
"""Tasks of one function whose figures are kept, the highest."""
IN_STORE = 100_000
"""Bytes from which a value goes to the store; smaller ones stay with their owner."""


@dataclass(frozen=True, slots=True)
class TaskPeak:
    """The peak memory of one task.

    Attributes:
        name: of its function.
        task: its id, as in a recording.
        worker: number of its process.
        figures: what the kernel said.
        stored: bytes that it added to the store, by ``put`` and by its result; 0 until
            :func:`with_stored` has looked.
    """

    name: str
    task: str
    worker: int
    figures: Figures
    stored: int = 0

    @property
    def needed(self) -> int:
        """Bytes that the machine must have for it: its own, and what it adds to the store."""
        return self.figures.private + self.stored

    def to_row(self) -> list[Any]:
        """Plain data, which :func:`peak_of` reads."""
        return [self.name, self.task, self.worker, *astuple(self.figures), self.stored]


def peak_of(row: Any) -> TaskPeak:
    """What :meth:`TaskPeak.to_row` has made.

    Raises:
        ValueError: it is something else.
    """
    try:
        name, task, worker, before, peak, mapped, at_once, stored = row
        figures = Figures(int(before), int(peak), int(mapped), int(at_once))
        return TaskPeak(str(name), str(task), int(worker), figures, int(stored))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{row!r} is no peak of a task") from error


def highest(peaks: Iterable[TaskPeak], most: int = KEPT) -> list[TaskPeak]:
    """Of each function the ``most`` highest, the highest of all first."""
    kept: dict[str, list[TaskPeak]] = {}
    for each in sorted(peaks, key=lambda each: (-each.needed, each.task)):
        of = kept.setdefault(each.name, [])
        if len(of) < most:
            of.append(each)
    return sorted(
        (each for of in kept.values() for each in of), key=lambda each: (-each.needed, each.task)
    )


def with_stored(peaks: Iterable[TaskPeak], recording: Recording) -> list[TaskPeak]:
    """The same, with what each task added to the store, as far as the recording knows."""
    added: dict[str, int] = {}
    for task in recording.tasks:
        if task.bytes_out >= IN_STORE:
            added[task.id] = task.bytes_out
    for put in recording.puts:
        if put.parent is not None and put.bytes >= IN_STORE:
            added[put.parent] = added.get(put.parent, 0) + put.bytes
    return [replace(each, stored=added.get(each.task, each.stored)) for each in peaks]


@dataclass(frozen=True)
class Load:
    """Whether the highest tasks fit on the machine at once; computed, not measured.

    Attributes:
        name: of the function whose peak is the highest.
        count: how many of its tasks would run at once: one a worker, if there are so many.
        private, stored: bytes that they would take together.
        available: bytes that the machine leaves.
    """

    name: str
    count: int
    private: int
    stored: int
    available: int

    @property
    def fits(self) -> bool:
        """Whether there is room for all of them."""
        return self.private + self.stored <= self.available


def load_of(
    peaks: Iterable[TaskPeak], counts: Mapping[str, int], workers: int, available: int
) -> Load | None:
    """What the function with the highest peak would take on all workers; None without tasks."""
    ordered = highest(peaks, 1)
    if not ordered:
        return None
    worst = ordered[0]
    count = max(1, min(workers, counts.get(worst.name, 1)))
    return Load(
        worst.name,
        count,
        worst.figures.private * count,
        worst.stored * count,
        available,
    )
