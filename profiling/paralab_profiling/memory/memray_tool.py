"""The profiler "memray": what was alive at the peak of a task, C functions included.

memray writes every allocation into a file, which is read once the call has ended and removed.  Its
own flame graph is a page that loads from the net; here its stacks become frames like all others.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from paralab.shown_text import shown_name
from paralab_profiling.memory.at_peak import AtPeak
from paralab_profiling.profilers.places import where_of
from paralab_profiling.profilers.tools import ToolError
from paralab_profiling.profilers.tree import Where

_AROUND = ("paralab_profiling/profilers/inside.py", "paralab_profiling/memory/")
"""What calls the user's function."""


class Memray:
    """See :class:`paralab_profiling.profilers.tools.Tool`."""

    name = "memray"
    unit = "bytes"
    hooks = frozenset({"Python's allocator"})
    tells_time = False
    distorts_time = True
    knows_coroutines = True
    settings: Mapping[str, type | tuple[type, ...]] = {}

    def problem(self) -> str:
        """It is a package of its own."""
        if importlib.util.find_spec("memray") is None:
            return "the package memray is not installed (pip install 'paralab[memray]')."
        return ""

    def collector(self, name: str, settings: Mapping[str, Any]) -> AtPeak:
        """Takes what was alive at the peaks of the tasks called ``name``."""
        return AtPeak("memray", name, _Recorder())


class _Recorder:
    """See :class:`paralab_profiling.memory.at_peak.Recorder`."""

    def __init__(self) -> None:
        self._tracker: Any = None

    def start(self, folder: str) -> None:
        """Begins."""
        memray = importlib.import_module("memray")
        path = os.path.join(folder, "allocations")
        tracker = memray.Tracker(path, native_traces=True)
        try:
            # In another thread: memray then sees this one's whole stack; from here it would miss
            # what returns before the task begins, and drop as many frames of the task.
            with ThreadPoolExecutor(1) as aside:
                aside.submit(tracker.__enter__).result()
        except RuntimeError as error:  # the program uses it itself
            raise ToolError(f"memray cannot begin there: {error}") from None
        self._tracker = tracker

    def stop(self, folder: str) -> list[tuple[Sequence[Where], int]]:
        """Ends, and reads what was alive at the peak."""
        tracker, self._tracker = self._tracker, None
        tracker.__exit__(None, None, None)
        memray = importlib.import_module("memray")
        with memray.FileReader(os.path.join(folder, "allocations")) as reader:
            records = reader.get_high_watermark_allocation_records(merge_threads=True)
            return [(path_of(each.hybrid_stack_trace()), int(each.size)) for each in records]


def path_of(stack: Sequence[tuple[str, str, int]]) -> Sequence[Where]:
    """From the task's function to the allocation.

    Args:
        stack: name, file and line of each function, the last one first; C functions too.
    """
    path: list[Where] = []
    whole = 0
    for name, file, line in stack:
        if _is_python(file):
            where = where_of(name, file, line)
            if where.file.startswith(_AROUND):
                break
            path.append(where)
            whole = len(path)
        else:
            path.append(
                Where(shown_name(name), shown_name(os.path.basename(file)), line, "library")
            )
    del path[whole:]  # the interpreter's own, between what measures and the task
    path.reverse()
    return path


def _is_python(file: str) -> bool:
    return file.endswith(".py") or (file.startswith("<") and file != "<unknown>")
