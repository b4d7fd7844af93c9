"""The most memory that a process had while a task ran, told by the kernel.

Linux keeps the highest resident size of each process (``VmHWM``) and forgets it when "5" is
written to ``/proc/self/clear_refs``.  So one write before the task and one read after it give its
peak, exact for the kernel's count (pages, with some 100 kB that each CPU has not told yet), for a
third of a millisecond, without instrumenting anything::

    begin ── trim, forget ──▶ before │      ▁▂▅█▂▁      │ peak ◀── read ── end
                                     └─ the task runs ──┘

Memory that was freed but kept by the allocator would hide what a task takes from it; glibc is
asked to give it back first.  What lies free between pieces in use it cannot give back, and what a
task takes of that is not counted.  The count is of the process: where an actor runs several calls
at once, all of them get the figure of all, and are told so.

Rejected: sampling the size, which misses what is short, and ``ru_maxrss``, which only ever rises:
the second task of a worker would get the peak of the first.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

STATUS = "/proc/self/status"
CLEAR = "/proc/self/clear_refs"
_FORGET_PEAK = b"5"
_FIELDS = (b"VmHWM:", b"VmRSS:", b"RssFile:", b"RssShmem:")


class CannotMeasureError(OSError):
    """This system does not tell what a measurement needs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the kernel says of a process, in bytes.

    Attributes:
        peak: the highest ``resident`` since it was last forgotten.
        resident: in memory now.
        shared: of that, pages that others may have too: files, libraries, the store.
    """

    peak: int
    resident: int
    shared: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The memory of one task.

    Attributes:
        before: bytes that its process had when its function started.
        peak: the most bytes that the process had until it ended.
        mapped: by how much shared pages had grown at its end: what it read of the store and of
            libraries.  They are others' too.
        at_once: how many tasks ran in the process at the same time; the figures are theirs
            together if it is more than 1.
    """

    before: int
    peak: int
    mapped: int
    at_once: int = 1

    @property
    def added(self) -> int:
        """Bytes above what the process had before."""
        return max(0, self.peak - self.before)

    @property
    def private(self) -> int:
        """Of :attr:`added`, what only this process had.  An estimate: ``mapped`` is of the end."""
        return max(0, self.added - self.mapped)


def read(path: str = STATUS) -> Reading:
    """What the kernel says of this process now.

    Raises:
        CannotMeasureError: it says nothing.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            text = file.read(1 << 16)
        peak, resident, files, segments = (_field(text, name) for name in _FIELDS)
    except (OSError, ValueError) as error:
        raise CannotMeasureError(_because(error)) from error
    return Reading(peak, resident, files + segments)


def forget(path: str = CLEAR) -> None:
    """Has the kernel count this process's peak from now on.

    Raises:
        CannotMeasureError: it does not let us.
    """
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(_FORGET_PEAK)
    except OSError as error:
        raise CannotMeasureError(_because(error)) from error


def why_not() -> str:
    """Why peaks cannot be measured here; "" if they can."""
    try:
        forget()
        read()
    except CannotMeasureError as error:
        return str(error)
    return ""


def _because(error: Exception) -> str:
    return (
        "The peak memory of a task cannot be measured here: it takes Linux's /proc/self/status and "
        f"/proc/self/clear_refs ({error}). tool='tracemalloc' needs no such help."
    )


def _field(text: bytes, name: bytes) -> int:
    at = text.index(name) + len(name)
    return int(text[at : text.index(b"kB", at)]) << 10


@cache
def _trim() -> Callable[[int], int] | None:
    """glibc's ``malloc_trim``, which gives free memory back; None with another C library."""
    try:
        function: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return function


@dataclass(slots=True, eq=False)
class Running:
    """A task that is being measured.

    Attributes:
        start: what the process had, when this task or the first of those with it began.
        at_once: the most tasks that ran at a time since it began.
    """

    start: Reading
    at_once: int = 1


@dataclass
class PeakMeter:
    """Measures the tasks of this process, one or several at once.

    Attributes:
        running: tasks that have begun and not ended, in order.
    """

    running: list[Running] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> Running:
        """A task begins.

        Raises:
            CannotMeasureError: the kernel does not tell.
        """
        with self._lock:
            if self.running:  # to forget the peak now would take it from those that run
                mine = Running(self.running[0].start)
            else:
                if (trim := _trim()) is not None:
                    trim(0)
                forget()
                mine = Running(read())
            self.running.append(mine)
            for each in self.running:
                each.at_once = max(each.at_once, len(self.running))
            return mine

    def end(self, task: Running) -> Figures:
        """A task has ended, whatever the way.

        Raises:
            CannotMeasureError: the kernel does not tell any more.
        """
        with self._lock:
            self.running.remove(task)
            now = read()
        mapped = max(0, now.shared - task.start.shared)
        return Figures(task.start.resident, now.peak, mapped, task.at_once)
