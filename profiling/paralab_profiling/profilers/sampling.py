"""pyinstrument in the workers: the stack is looked at every millisecond.

pyinstrument's own stack begins at the thread; what stands above the task is cut off, and so is
what measures.  The time between the last sample and the end of a call is not in its samples: each
function's samples are therefore stretched to the seconds that its calls took, so that the root's
total is their time.  Tasks that are shorter than the interval may have no sample at all; the number
of samples says how much the shares mean.  Threads that a call starts are sampled as well
(``threads``): beside the root of each task there is one of what its threads did.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextvars import Token
from typing import Any

from paralab_profiling.profilers import threads
from paralab_profiling.profilers.places import OURS, place_of, where_of
from paralab_profiling.profilers.result import Profile
from paralab_profiling.profilers.tools import ToolError
from paralab_profiling.profilers.tree import THREADS_OF, Tree, Where, without_inside

_HOOK = "the interpreter's profiling of calls"
INTERVAL = 0.001
"""Seconds between two samples."""
_RUNS = ("made", "run_steps", "run_awaiting", threads.run_in_thread.__name__)
"""What calls the user's function, in ``inside`` and ``threads``."""

HERE = "this process"
"""What a block of the driver is called."""
_THREADING = place_of(threading.__file__)[0]


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
        self._in_threads = Tree()
        self._threads = [0, 0, 0]
        """Functions that ran in threads, those of them that outlived their call, and others that
        could not be sampled."""

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

    def ended_in_threads(self, seen: Sequence[threads.Seen], refused: int) -> None:
        """The same of what the call's threads did, and how many could not be sampled."""
        self._threads[0] += len(seen)
        self._threads[1] += sum(not each.is_ended for each in seen)
        self._threads[2] += refused
        for each in seen:
            records = [(path_of(stack), taken) for stack, taken in each.records]
            sampled = sum(taken for path, taken in records if path)
            self._in_threads.add([self._of_threads], 0.0 if sampled else each.seconds)
            for path, taken in records:
                if not path:
                    continue
                below = path[1:] if path[0][:2] == ("run", _THREADING) else path
                self._samples += 1
                self._in_threads.add([self._of_threads, *below], taken * each.seconds / sampled)

    @property
    def _of_threads(self) -> Where:
        return Where(f"{THREADS_OF}{self.name or HERE}", "", 0, "task")

    def profile(self) -> Profile:
        """Everything that has ended."""
        if not self._tasks:
            return Profile("pyinstrument", "s", ())
        first = self._root or Where(self.name or HERE)
        root = Where(self.name or HERE, first.file, first.line, "task")
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
        tree.add_frames(self._in_threads.frames())
        rows = {"threads": [[root.name, *self._threads]]} if any(self._threads) else {}
        return Profile(
            *("pyinstrument", "s", tree.frames()),
            seconds=self._seconds,
            samples=self._samples,
            extra=rows,
        )


class SamplingSession:
    """See :class:`paralab_profiling.profilers.tools.Session`."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._profiler: Any = None
        self._since = 0.0
        self._seconds = 0.0
        self._records: list[tuple[Sequence[Where], float]] = []
        self._threads = threads.Threads(samples.interval)
        self._token: Token[threads.Threads | None] | None = None

    def start(self) -> None:
        """Samples from here on, in this thread or coroutine, and in threads that it starts."""
        profiler = _profiler_class()
        self._since = time.perf_counter()
        self._profiler = profiler(self._samples.interval, async_mode="enabled")
        try:
            self._profiler.start(caller_frame=sys._getframe())
        except RuntimeError:
            self._profiler = None
            raise ToolError("another profiler was at work in its thread") from None
        threads.opened()
        self._token = threads.CALL.set(self._threads)

    def stop(self) -> None:
        """Samples this thread no more."""
        if self._token is not None:
            threads.CALL.reset(self._token)
            self._token = None
            threads.closed()
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
        self._samples.ended_in_threads(self._threads.over(), self._threads.refused)


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


def path_of(stack: Sequence[str], is_task: bool = True) -> Sequence[Where]:
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
    # What stands between a call and the start of its thread is ours, too, and no news.
    return without_inside([where_of(*frame) for frame in kept if not frame[1].startswith(OURS)])


def _parts(frame: str) -> tuple[str, str, int]:
    name, _, rest = frame.partition("\x01")[0].partition("\x00")
    file, _, line = rest.partition("\x00")
    return name, file, int(line) if line.isdigit() else 0
