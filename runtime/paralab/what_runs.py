"""Where the threads and coroutines of this process are, and which calls they run, this moment.

A worker's thread runs a task or method if its stack goes through the place where the runtime
enters calls; which one, the executor and its lanes know.  A coroutine that waits is in no
thread's stack: its event loop knows it, and the coroutine knows where it waits.  Nothing is asked
of the calls themselves, and nothing that is looked at is kept: not a frame, for it would keep
what the function holds.
"""

from __future__ import annotations

import os
import sys
import threading
from sysconfig import get_path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from paralab.engine import Engine
from paralab.ids import Address
from paralab.remote_traceback import is_own_file
from paralab.shown_text import shown_name
from paralab.sources import SOME_CELL, cell_of, shown_file

DEEPEST = 200
"""Frames of one stack, the innermost ones."""


class Call(NamedTuple):
    """A call that runs here."""

    name: str
    caller: Address
    key: int


class Running:
    """Which call of a task or method each thread and coroutine of a process is in, this moment."""

    def __init__(self, engine: Engine | None) -> None:
        self.entries: set[CodeType] = set()
        """Code of the runtime from which calls are entered; empty in a driver."""
        self.own_threads = {
            each.ident for each in threading.enumerate() if each.name.startswith("paralab-")
        }
        self.of_thread: dict[int, Call] = {}
        self.waiting: list[tuple[Call, Any]] = []
        """Calls of event loops that wait, with their coroutines, and what they have started."""
        executor: Any = getattr(engine, "executor", None)
        if executor is None:
            return
        self.entries.add(type(executor)._run.__code__)
        lanes = executor.lanes
        if lanes is None:
            main, current = threading.main_thread().ident, executor.current
            if current is not None and main is not None:
                self.of_thread[main] = _named(current)
            return
        self.entries.add(type(lanes).run_call.__code__)
        # The last one that a thread has begun: those before it are over.
        self.of_thread = {c.begun: _named(c) for c in list(lanes._calls.values()) if c.begun}
        for lane in list(lanes._lanes.values()):
            if hasattr(lane, "loop"):
                self._look_into(lane)

    def _look_into(self, lane: Any) -> None:
        from asyncio import all_tasks, current_task, events

        self.entries.add(events.Handle._run.__code__)
        ident = (lane._thread or threading.main_thread()).ident
        assert ident is not None
        self.of_thread[ident] = Call("a callback of the event loop", b"", 0)
        calls = {task: call for call, task in lane._tasks.copy().items()}
        current = current_task(lane.loop)
        for task in all_tasks(lane.loop):
            coroutine = task.get_coro()
            if task in calls:
                call = _named(calls[task])
            else:
                name = getattr(coroutine, "__qualname__", "a coroutine")
                call = Call(shown_name(f"{name}, started by a call"), b"", 0)
            if task is current:
                self.of_thread[ident] = call
            elif not task.done():
                self.waiting.append((call, coroutine))


def _named(call: Any) -> Call:
    return Call(call.template.name, call.link.address, call.key)


def walked(
    frame: FrameType | None, entries: set[CodeType]
) -> tuple[list[tuple[CodeType, int]], bool]:
    """A stack from its innermost frame to where a call was entered, and whether one was."""
    at: list[tuple[CodeType, int]] = []
    while frame is not None:
        if frame.f_code in entries:
            return at, True
        at.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return at, False


def runs_cells(code: CodeType) -> bool:
    """Whether a function is what IPython runs a cell by; what stands above is not the user's."""
    return code.co_name == "run_code" and code.co_filename.endswith("interactiveshell.py")


def chain(coroutine: Any) -> list[tuple[CodeType, int]]:
    """Where a coroutine waits, outermost first."""
    found: list[tuple[CodeType, int]] = []
    while coroutine is not None and len(found) < DEEPEST:
        for kind, waits in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            frame = getattr(coroutine, f"{kind}_frame", None)
            if frame is not None:
                found.append((frame.f_code, frame.f_lineno))
                coroutine = getattr(coroutine, waits)
                break
        else:
            return found
    return found


def described(code: CodeType) -> tuple[str, str, int, str]:
    """Name, file and first line of a function as text that may be shown, and whose it is."""
    file, kind = placed(code.co_filename)
    return shown_name(code.co_qualname), file, code.co_firstlineno, kind


def placed(file: str) -> tuple[str, str]:
    """A source file as it may be shown, and whose it is: "yours", "library" or "runtime".

    A notebook's cell whose number this process does not know is what ``cell_of`` says, so that
    whoever asked can number it.
    """
    folders = {*_LIBRARIES, *(path for path in sys.path if os.path.isabs(path))}
    here = max((f for f in folders if file.startswith(f + os.sep)), key=len, default="")
    kind = "library" if here in _LIBRARIES or file.startswith("<frozen") else "yours"
    if is_own_file(file):
        kind = "runtime"
    shown = file[len(here) + 1 :] if here else shown_file(file)
    return (cell_of(file) if shown == SOME_CELL else shown_name(shown)), kind


_LIBRARIES = {path for name in ("stdlib", "purelib", "platlib") if (path := get_path(name))}
