"""At which line of the learner's a process stands, from what ``faulthandler`` wrote of it.

It writes each thread's calls, the innermost first.  The learner's line is the first that is
neither Python's nor ours; the calls inside it tell what it waits for.
"""

from __future__ import annotations

import os
import re
import sysconfig

import paralab
import paralab_profiling
from paralab.shown_text import shown_name

_THREAD = re.compile(
    r"^(?:Current thread|Thread) 0x([0-9a-f]+)[^\n]*\n((?:  File [^\n]*\n?)*)", re.MULTILINE
)
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)
NOT_SEEN = "it could not be seen where it stood"
_WAITS = {"get", "wait"}


def told(traces: str, thread: int) -> str:
    """What the thread was doing, in words.

    Args:
        traces: as ``faulthandler.dump_traceback`` writes them for all threads.
        thread: the identity of the thread meant.
    """
    calls = next((body for name, body in _THREAD.findall(traces) if int(name, 16) == thread), "")
    inside: list[tuple[str, str]] = []
    for file, line, name in _FRAME.findall(calls):
        if not _is_library(file):
            place = shown_name(os.path.basename(file))
            if "ipykernel_" in file:  # a cell has no name, only a number that changes
                place = "a cell of the notebook"
            return f"it stood at line {line} of {place}, in {shown_name(name)}{_doing(inside)}"
        inside.append((file, name))
    return NOT_SEEN


def _doing(inside: list[tuple[str, str]]) -> str:
    of_paralab = [name for file, name in inside if _is_below(file, paralab)]
    waits = [name for name in of_paralab if name in _WAITS]
    if waits:
        return f", waiting in paralab.{waits[-1]}"
    if of_paralab:
        return f", inside paralab ({shown_name(of_paralab[-1])})"
    if inside:
        file, name = inside[-1]
        module = os.path.basename(file).removesuffix(".py")
        return f", inside {shown_name(name)} of {shown_name(module)}"
    return ", at work or waiting in C code"


def _is_below(file: str, package: object) -> bool:
    return file.startswith(os.path.dirname(getattr(package, "__file__", "")) + os.sep)


def _is_library(file: str) -> bool:
    if file.startswith("<frozen") or file == "<string>":
        return True
    if _is_below(file, paralab) or _is_below(file, paralab_profiling):
        return True
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return any(file.startswith(sysconfig.get_path(name) + os.sep) for name in names)
