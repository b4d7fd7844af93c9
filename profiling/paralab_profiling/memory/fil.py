"""The profiler "fil": which lines had the memory that was alive at the peak of a task.

Fil takes the place of the allocator, so its library has to be loaded before anything else: tasks
with this profiler run in workers of an environment of their own (``environment``), which are fresh
interpreters, as ``fil-profile python`` starts them.  It does not see shared memory: what a task
reads of the store is not in it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paralab_profiling.memory.at_peak import AtPeak
from paralab_profiling.profilers.places import where_of
from paralab_profiling.profilers.tools import ToolError
from paralab_profiling.profilers.tree import Where

NEWEST = (3, 13)
"""The newest Python that it has wheels for."""
MACHINES = "x86_64", "aarch64"
"""What processors, on Linux."""
_LINE = re.compile(r"(?P<file>.*):(?P<line>\d+) \((?P<name>.*)\)$")
_FRAMES = re.compile(r"(?<=\));")


class Fil:
    """See :class:`paralab_profiling.profilers.tools.Tool`."""

    name = "fil"
    package = "filprofiler"
    unit = "bytes"
    hooks = frozenset({"Python's allocator", "the interpreter's profiling of calls"})
    tells_time = False
    distorts_time = True
    knows_coroutines = True
    settings: Mapping[str, type | tuple[type, ...]] = {}

    def problem(self) -> str:
        """It is a package of its own, for few Pythons and two kinds of processors."""
        return problem_of(sys.version_info[:2], platform.machine(), sys.platform)

    def environment(self) -> dict[str, str]:
        """Variables with which a worker has to start, as ``fil-profile python`` sets them."""
        library = importlib.util.find_spec("filprofiler._filpreload")
        assert library is not None
        return {
            "LD_PRELOAD": str(library.origin),
            "PYTHONMALLOC": "malloc",
            "__FIL_STATUS": "api",
            "__FIL_DISABLE_OOM_DETECTION": "1",
            "_RJEM_MALLOC_CONF": "dirty_decay_ms:100,muzzy_decay_ms:1000,abort_conf:true",
        }

    def collector(self, name: str, settings: Mapping[str, Any]) -> AtPeak:
        """Takes what was alive at the peaks of the tasks called ``name``."""
        return AtPeak("fil", name, _Recorder())


def problem_of(python: tuple[int, ...], machine: str, system: str) -> str:
    """Why Fil cannot run, a sentence; "" if it can."""
    if system != "linux" or machine not in MACHINES:
        return (
            f"Fil has no wheels for {machine} on {system}, only for {' and '.join(MACHINES)} on "
            "Linux. tool='memray' tells the same."
        )
    if python > NEWEST:
        return (
            f"Fil has no wheels for Python {python[0]}.{python[1]}; the newest is "
            f"{NEWEST[0]}.{NEWEST[1]}. tool='memray' tells the same."
        )
    if importlib.util.find_spec("filprofiler") is None:
        return "the package filprofiler is not installed (pip install filprofiler)."
    return ""


class _Recorder:
    """See :class:`paralab_profiling.memory.at_peak.Recorder`."""

    def start(self, folder: str) -> None:
        """Begins; what libraries take when they are imported is not the task's."""
        if os.environ.get("__FIL_STATUS") != "api":
            raise ToolError(
                "its worker was not started under Fil: give the option profile='fil' to the task "
                "or to the actor itself, not to a method"
            )
        if importlib.util.find_spec("numpy") is not None:
            importlib.import_module("numpy")
        importlib.import_module("filprofiler._tracer").start_tracing(folder)

    def stop(self, folder: str) -> list[tuple[Sequence[Where], int]]:
        """Ends, and reads the report that it has written."""
        with _silent():
            importlib.import_module("filprofiler._tracer").stop_tracing(folder)
        report = Path(folder) / "peak-memory.prof"
        text = report.read_text("utf-8", "replace") if report.exists() else ""
        return list(stacks_of(text))


def stacks_of(report: str) -> Iterator[tuple[Sequence[Where], int]]:
    """What stands in Fil's report: a line a stack, from the first function on, and its bytes."""
    for line in report.splitlines():
        stack, _, size = line.rpartition(" ")
        if not size.isdigit():
            continue
        path = []
        for each in _FRAMES.split(stack):
            found = _LINE.match(each)
            if found is not None:
                path.append(where_of(found["name"], found["file"], int(found["line"])))
        yield _from_task(path), int(size)


def _from_task(path: Sequence[Where]) -> Sequence[Where]:
    """The stack without what calls the user's function, as far as Fil has seen that."""
    at = 0
    while at < len(path) and path[at].file.startswith("paralab_profiling/"):
        at += 1
    return path[at:]


@contextmanager
def _silent() -> Iterator[None]:
    """Without what Fil's library writes to the error output of the process."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
