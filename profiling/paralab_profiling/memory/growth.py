"""The profiler "tracemalloc": which lines have taken memory that stays, by bytes a call.

``tracemalloc`` remembers the line of every allocation while it runs, which makes programs several
times slower.  It runs from the first call that is measured until none has run for a second, and is
stopped then, whatever became of the calls; see ``between`` for why not after each call.
"""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Mapping
from typing import Any

from paralab_profiling.memory.between import Room, Table, Watch, rows_of
from paralab_profiling.profilers.places import place_of
from paralab_profiling.profilers.result import Profile
from paralab_profiling.profilers.tools import ToolError
from paralab_profiling.profilers.tree import Frame

MOST_ROWS = 200


def _look() -> Table:
    """Bytes and blocks that are alive, by file and line, of what was taken since the start."""
    gc.collect()  # what is dead already is no leak
    found: dict[Any, tuple[int, int]] = {}
    not_its_own = tracemalloc.Filter(False, tracemalloc.__file__)
    snapshot = tracemalloc.take_snapshot().filter_traces([not_its_own])
    for each in snapshot.statistics("lineno"):
        frame = each.traceback[0]
        found[frame.filename, frame.lineno] = each.size, each.count
    return found


def _begin() -> None:
    if tracemalloc.is_tracing():
        raise ToolError("tracemalloc was running there already, started by the program itself")
    tracemalloc.start(1)


_room = Room(_look, _begin, tracemalloc.stop)


def _forked() -> None:
    global _room
    _room = Room(_look, _begin, tracemalloc.stop)  # the parent's lock may be held


os.register_at_fork(after_in_child=_forked)


class Tracemalloc:
    """See :class:`paralab_profiling.profilers.tools.Tool`."""

    name = "tracemalloc"
    unit = "bytes"
    hooks = frozenset({"Python's allocator"})
    tells_time = False
    distorts_time = True
    knows_coroutines = True
    settings: Mapping[str, type | tuple[type, ...]] = {}

    def __init__(self) -> None:
        self._watch = _room.watch()

    def problem(self) -> str:
        """Python brings it."""
        return ""

    def collector(self, name: str, settings: Mapping[str, Any]) -> Lines:
        """Counts the calls of one name; what grows is of the process, while this tool is used."""
        return Lines(name or "this process", self._watch)


class Lines:
    """See :class:`paralab_profiling.profilers.tools.Collector`."""

    def __init__(self, name: str, watch: Watch) -> None:
        self._name = name
        self._watch = watch
        self.calls = 0

    def begin(self) -> WatchSession:
        """A session for one call."""
        return WatchSession(self, self._watch)

    @property
    def is_settled(self) -> bool:
        """See :attr:`Watch.is_settled`."""
        return self._watch.is_settled

    def close(self) -> None:
        """See :meth:`Watch.close_if_idle`."""
        self._watch.close_if_idle()

    def profile(self) -> Profile:
        """What has grown in this process; each name tells it, and results count it once."""
        found = self._watch.growth()
        rows = []
        for (file, line), *figures in rows_of(found, MOST_ROWS):
            shown, kind = place_of(file)
            rows.append([shown or "built in", line, kind, *figures])
        told = [self._watch.token, found.calls, found.intervals, rows]
        return Profile(
            *("tracemalloc", "bytes", root_of(self._name, self.calls)),
            extra={"growth": [told] if found.calls else []},
        )


class WatchSession:
    """See :class:`paralab_profiling.profilers.tools.Session`."""

    def __init__(self, of: Any, watch: Watch) -> None:
        self._of = of
        self._watch = watch
        self._is_inside = False

    def start(self) -> None:
        """The call begins; one that only waited goes on."""
        if not self._is_inside:
            self._watch.enter()
            self._is_inside = True

    def stop(self) -> None:
        """It waits, and is still watched."""

    def end(self) -> None:
        """It is over."""
        if self._is_inside:
            self._is_inside = False
            self._of.calls += 1
            self._watch.leave()


def root_of(name: str, calls: int) -> tuple[Frame, ...]:
    """The root of a tool that measures processes and not paths."""
    return (Frame(name, "", 0, 0.0, 0.0, calls, (), "task"),) if calls else ()
