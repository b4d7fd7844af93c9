"""The profiler "peak": the high-water mark of each task, see ``peak``; cheap, and always there.

What a task added to the store is not in its process, or only in part; the driver adds it from the
events, with what the machine leaves (:meth:`Peak.finish`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from paralab.engine import installed
from paralab.ids import process_number, split_object_id
from paralab.limits import memory_available
from paralab_profiling.memory.peak import CannotMeasureError, Figures, PeakMeter, Running, why_not
from paralab_profiling.memory.peak_drawing import draw_peaks
from paralab_profiling.memory.peaks import TaskPeak, highest, peak_of, with_stored
from paralab_profiling.picture import Picture
from paralab_profiling.profilers.result import Profile
from paralab_profiling.profilers.tools import ToolError
from paralab_profiling.profilers.tree import Frame
from paralab_profiling.profilers.words import cost, measured_on
from paralab_profiling.taking import take

_INDEX = b"\0\0\0\1"
_meter = PeakMeter()


def _forked() -> None:
    global _meter
    _meter = PeakMeter()  # a task's child measures nothing, and its parent's lock may be held


os.register_at_fork(after_in_child=_forked)


class Peak:
    """See :class:`paralab_profiling.profilers.tools.Tool`."""

    name = "peak"
    unit = "bytes"
    hooks = frozenset({"the kernel's count of the highest memory"})
    tells_time = False
    distorts_time = False
    knows_coroutines = True
    settings: Mapping[str, type | tuple[type, ...]] = {}

    def problem(self) -> str:
        """Elsewhere than on Linux nobody tells."""
        return why_not()

    def collector(self, name: str, settings: Mapping[str, Any]) -> Peaks:
        """Keeps the highest of the tasks called ``name``."""
        return Peaks(name or "this process")

    def finish(self, profile: Profile) -> Profile:
        """In the driver: adds what tasks added to the store, and what the machine leaves."""
        engine = installed()
        if engine is None:
            return profile
        peaks = [peak_of(row) for row in profile.extra.get("peaks", ())]
        recording = take()
        rows = [each.to_row() for each in with_stored(peaks, recording)]
        machine = [[recording.workers, memory_available()]]
        return replace(profile, extra={**profile.extra, "peaks": rows, "machine": machine})


class Peaks:
    """See :class:`paralab_profiling.profilers.tools.Collector`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._private = 0
        self._kept: list[TaskPeak] = []

    def begin(self) -> PeakSession:
        """A session for one call."""
        return PeakSession(self, *_task_and_process())

    def add(self, task: str, worker: int, figures: Figures) -> None:
        """A call is over."""
        self._count += 1
        self._private += figures.private
        self._kept.append(TaskPeak(self._name, task, worker, figures))
        self._kept = highest(self._kept)

    def profile(self) -> Profile:
        """Everything that has ended; a frame has the peaks of its tasks added up."""
        roots: Iterable[Frame] = ()
        if self._count:
            size = float(self._private)
            roots = [Frame(self._name, "", 0, size, size, self._count, (), "task")]
        rows = [each.to_row() for each in self._kept]
        return Profile("peak", "bytes", tuple(roots), extra={"peaks": rows})


class PeakSession:
    """See :class:`paralab_profiling.profilers.tools.Session`."""

    def __init__(self, peaks: Peaks, task: str, worker: int) -> None:
        self._peaks = peaks
        self._task = task
        self._worker = worker
        self._running: Running | None = None
        self._highest: Figures | None = None

    def start(self) -> None:
        """The call begins, or goes on."""
        try:
            self._running = _meter.begin()
        except CannotMeasureError as error:
            raise ToolError(str(error)) from None

    def stop(self) -> None:
        """It ends, or waits."""
        running, self._running = self._running, None
        if running is None:
            return
        try:
            figures = _meter.end(running)
        except CannotMeasureError:
            return
        if self._highest is None or figures.private > self._highest.private:
            self._highest = figures

    def end(self) -> None:
        """It counts from now on."""
        self.stop()
        if self._highest is not None:
            self._peaks.add(self._task, self._worker, self._highest)


def _task_and_process() -> tuple[str, int]:
    """The id of the task that runs here, as in a recording, and the number of its process."""
    engine = installed()
    if engine is None:
        return "", 0
    facts = engine.info("context")
    address = getattr(engine, "address", b"")
    worker = process_number(address) if isinstance(address, bytes) and address else 0
    task = facts.get("task_id")
    if not task:
        return "", worker
    owner, key = split_object_id(bytes.fromhex(task) + _INDEX)
    return f"{process_number(owner)}.{key >> 32}", worker


def draw(profile: Profile) -> Picture:
    """A bar for each task, or the highest of each function."""
    peaks = highest(peak_of(row) for row in profile.extra.get("peaks", ()))
    machine = profile.extra.get("machine") or ((1, memory_available()),)
    workers, available = machine[-1]  # of several that were merged, the last
    stamp, paid = measured_on(profile), cost(profile)
    return draw_peaks(peaks, profile.tasks, int(workers), int(available), stamp, paid)
