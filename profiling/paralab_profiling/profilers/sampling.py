"""pyinstrument in the workers: the stack is looked at every millisecond.

pyinstrument's own stack begins at the thread; what stands above the task is cut off, and so is
what measures.  The time between the last sample and the end of a call is not in its samples: each
function's samples are therefore stretched to the seconds that its calls took, so that the root's
total is their time.  Tasks that are shorter than the interval may have no sample at all; the number
of samples says how much the shares mean.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from paralab_profiling.profilers.places import OURS, where_of
from paralab_profiling.profilers.result import Profile
from paralab_profiling.profilers.tools import ToolError
from paralab_profiling.profilers.tree import Tree, Where, without_inside

_HOOK = "the interpreter's profiling of calls"
INTERVAL = 0.001
"""Seconds between two samples."""
_RUNS = ("made", "run_steps", "run_awaiting")
"""What calls the user's function, in ``inside``."""


class Pyinstrument:
    """See :class:`paralab_profiling.profilers.tools.Tool`."""

    name = "pyinstrument"
    unit = "s"
    hooks = frozenset({_HOOK})
    tells_time = True
    distorts_time = False
    knows_coroutines = True
    settings: Mapping[str, type | tuple[type, ...]] = {"interval": (float, int)}

    def problem(self) -> str:
        """It has to be installed."""
        if importlib.util.find_spec("pyinstrument") is None:
            return "the package pyinstrument is not installed (pip install pyinstrument)."
        return ""

    def collector(self, name: str, settings: Mapping[str, Any]) -> Samples:
        """Takes the samples of the calls of one task."""
        return Samples(name, float(settings.get("interval", INTERVAL)))


class Samples:
    """See :class:`paralab_profiling.profilers.tools.Collector`."""

    def __init__(self, name: str, interval: float) -> None:
        self.name = name
        self.interval = interval
        self._tree = Tree()
        self._root: Where | None = None
        self._tasks = 0
        self._seconds = 0.0
        self._samples = 0

    def begin(self) -> SamplingSession:
        """A session for one call."""
        return SamplingSession(self)

    def ended(self, records: list[tuple[Sequence[Where], float]], seconds: float) -> None:
        """A call is over.

        Args:
            records: paths below what measures, from the outside in, and the seconds of each.
            seconds: how long the call took.
        """
        self._tasks += 1
        self._seconds += seconds
        for path, taken in records:
            if self.name and self._root is None:
                self._root = path[0]
            self._samples += 1
            self._tree.add(path, taken)

    def profile(self) -> Profile:
        """Everything that has ended."""
        if not self._tasks:
            return Profile("pyinstrument", "s", ())
        first = self._root or Where(self.name or "this process")
        root = Where(self.name or "this process", first.file, first.line, "task")
        frames = self._tree.frames()
        sampled = sum(frame.total for frame in frames)
        tree = Tree()
        tree.add([root], 0.0 if sampled else self._seconds, self._tasks)
        stretch = self._seconds / sampled if sampled else 0.0
        for frame in frames:
            is_root = self._root is not None and frame.where == self._root
            if is_root:
                tree.add([root], frame.own * stretch)
                tree.add_frames(frame.children, [root], stretch)
            else:
                tree.add_frames([frame], [root], stretch)
        return Profile(
            *("pyinstrument", "s", tree.frames()), seconds=self._seconds, samples=self._samples
        )


class SamplingSession:
    """See :class:`paralab_profiling.profilers.tools.Session`."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._profiler: Any = None
        self._since = 0.0
        self._seconds = 0.0
        self._records: list[tuple[Sequence[Where], float]] = []

    def start(self) -> None:
        """Samples from here on, in this thread or coroutine."""
        profiler = _profiler_class()
        self._since = time.perf_counter()
        self._profiler = profiler(self._samples.interval, async_mode="enabled")
        try:
            self._profiler.start(caller_frame=sys._getframe())
        except RuntimeError:
            self._profiler = None
            raise ToolError("another profiler was at work in its thread") from None

    def stop(self) -> None:
        """Samples no more."""
        session = self._profiler.stop()
        self._profiler = None
        self._seconds += time.perf_counter() - self._since
        for stack, seconds in session.frame_records:
            path = path_of(stack, is_task=bool(self._samples.name))
            if path:
                self._records.append((path, seconds))

    def end(self) -> None:
        """It counts from now on."""
        self._samples.ended(self._records, self._seconds)


def _profiler_class() -> Any:
    """pyinstrument's, which on a machine with a slow clock would fill each worker's output."""
    variable = "PYINSTRUMENT_IGNORE_OVERHEAD_WARNING"
    if "pyinstrument" in sys.modules or variable in os.environ:
        return importlib.import_module("pyinstrument").Profiler
    os.environ[variable] = "1"
    try:
        return importlib.import_module("pyinstrument").Profiler
    finally:
        del os.environ[variable]


def path_of(stack: list[str], is_task: bool = True) -> Sequence[Where]:
    """The functions below what measures; empty if nothing of the user's was sampled.

    Args:
        stack: as pyinstrument writes it, "name, NUL, file, NUL, line", attributes behind a SOH.
        is_task: whether a call is measured, and not a block of the driver.
    """
    frames = [_parts(each) for each in stack]
    first = 0
    for at, (name, file, _line) in enumerate(frames):
        if is_task and name in _RUNS and file.startswith(OURS):
            first = at + 1
    kept = frames[first:] if first or not is_task else []
    if not kept or kept[0][1].startswith(OURS):
        return []  # of ours, or of what stands outside of all calls that are measured
    return without_inside([where_of(*frame) for frame in kept])


def _parts(frame: str) -> tuple[str, str, int]:
    name, _, rest = frame.partition("\x01")[0].partition("\x00")
    file, _, line = rest.partition("\x00")
    return name, file, int(line) if line.isdigit() else 0
