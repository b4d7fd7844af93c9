"""cProfile in the workers: every call counted, merged to a tree.

cProfile knows of each function its calls and times, and the same for each pair of caller and
callee, but no paths.  The tree shares a function's figures out to its callers by the time that it
spent for each, as gprof does; so sums by function are exact, and single paths are an estimate.
What recursion does further down stands at the outermost call.

By the clock "wall" time is all that passes, waiting included.  By "cpu" it is what the thread that
runs a call spent computing: what other programs on a busy machine take is no part of it, nor is
waiting; to read that clock costs a call of the system, so each call is charged more.

A ``cProfile.Profile`` goes on where it stopped, so one serves all calls of a task that come one
after the other, and what 10,000 tasks add to it is merged in C.
"""

from __future__ import annotations

import cProfile
import gc
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from threading import get_ident
from types import CodeType
from typing import Any

from paralab_profiling.profilers.places import where_of
from paralab_profiling.profilers.result import Function, Profile
from paralab_profiling.profilers.tools import ToolError
from paralab_profiling.profilers.tree import Tree, Where

LEAST = 1e-4
"""Share of the whole below which a path is not followed; its time stands in its last frame."""
MOST_FRAMES = 3_000
CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}
_EVENTS = ("PY_START", "PY_RESUME", "PY_THROW", "PY_RETURN", "PY_YIELD", "PY_UNWIND", "CALL",
           "C_RETURN", "C_RAISE")  # fmt: skip
"""Of those that ``sys.monitoring`` knows, the ones that cProfile wants."""
_HOOK = "the interpreter's profiling of calls"


class CProfile:
    """See :class:`paralab_profiling.profilers.tools.Tool`."""

    name = "cprofile"
    unit = "s"
    hooks = frozenset({_HOOK})
    tells_time = True
    distorts_time = False
    knows_coroutines = False
    settings: Mapping[str, type | tuple[type, ...]] = {"clock": str}
    choices: Mapping[str, Sequence[str]] = {"clock": tuple(CLOCKS)}

    def problem(self) -> str:
        """Python brings it."""
        return ""

    def collector(self, name: str, settings: Mapping[str, Any]) -> Counts:
        """Counts the calls under one task."""
        return Counts(name, settings.get("clock", "wall"))

    def finish(self, profile: Profile) -> Profile:
        """Says once by which clock, where it is not the usual one."""
        clocks = sorted(set(profile.extra.get("clock", ())))
        if not clocks:
            return profile
        more = {"clock": clocks, "notes": ["CPU seconds, so waiting counts for nothing"]}
        return replace(profile, extra={**profile.extra, **more})


class _Counter:
    """One ``cProfile.Profile`` and what it has counted since it was last looked at."""

    def __init__(self, clock: str) -> None:
        # By default it reads its clock in C, which is quicker than to call a function.
        is_wall = clock == "wall"
        self.profile = cProfile.Profile() if is_wall else cProfile.Profile(CLOCKS[clock])
        self.tasks = 0
        self.seconds = 0.0


class Counts:
    """See :class:`paralab_profiling.profilers.tools.Collector`."""

    def __init__(self, name: str, clock: str = "wall") -> None:
        self._name = name
        self._clock = clock
        self._idle: list[_Counter] = []
        self._functions: dict[Where, list[float]] = {}
        self._pairs: dict[Where, dict[Where, list[float]]] = {}
        """For each function, for each of its callers: calls, primitive calls, own, total."""
        self._tasks = 0
        self._seconds = 0.0

    def begin(self) -> CountingSession:
        """A session for one call, which goes on with a counter that is idle."""
        counter = self._idle.pop() if self._idle else _Counter(self._clock)
        return CountingSession(self, counter, CLOCKS[self._clock])

    def ended(self, counter: _Counter, seconds: float) -> None:
        """A call is over."""
        counter.tasks += 1
        counter.seconds += seconds
        self.keep(counter)

    def keep(self, counter: _Counter) -> None:
        """Takes a counter back, with what it has counted of earlier calls."""
        self._idle.append(counter)

    def profile(self) -> Profile:
        """Everything that has ended."""
        for counter in self._idle:
            if counter.tasks:
                self._take(counter)
        del self._idle[1:]
        tree = Tree()
        if self._tasks:
            _Sharing(self._functions, self._pairs, tree).share(self._name, self._tasks)
        return Profile(
            *("cprofile", "s", tree.frames()),
            seconds=self._seconds,
            functions=self._table(),
            extra={} if self._clock == "wall" else {"clock": [self._clock]},
        )

    def _take(self, counter: _Counter) -> None:
        # The list is made in C; a collection in between could let another thread count on.
        was_on = gc.isenabled()
        gc.disable()
        try:
            entries = counter.profile.getstats()
        finally:
            if was_on:
                gc.enable()
        counter.profile.clear()
        self._tasks += counter.tasks
        self._seconds += counter.seconds
        counter.tasks, counter.seconds = 0, 0.0
        for entry in entries:
            where = _where(entry.code)
            if where is None:  # what it called, it called to measure
                for callee in entry.calls or ():
                    of = _where(callee.code)
                    if of is not None:
                        _add(self._functions.setdefault(of, [0, 0, 0.0, 0.0]), callee, -1)
                continue
            _add(self._functions.setdefault(where, [0, 0, 0.0, 0.0]), entry)
            for callee in entry.calls or ():
                of = _where(callee.code)
                if of is not None:
                    callers = self._pairs.setdefault(of, {})
                    _add(callers.setdefault(where, [0, 0, 0.0, 0.0]), callee)
        for where in [where for where, found in self._functions.items() if found[0] <= 0]:
            del self._functions[where]

    def _table(self) -> tuple[Function, ...]:
        places = {where: place for place, where in enumerate(self._functions)}
        table = []
        for where, (calls, primitive, own, total) in self._functions.items():
            callers = tuple(
                (places[caller], int(found[0]), int(found[1]), found[2], found[3])
                for caller, found in self._pairs.get(where, {}).items()
                if caller in places
            )
            figures = int(calls), int(primitive), own, total
            table.append(Function(where.name, where.file, where.line, *figures, callers))
        return tuple(table)


class CountingSession:
    """See :class:`paralab_profiling.profilers.tools.Session`."""

    def __init__(self, counts: Counts, counter: _Counter, clock: Callable[[], float]) -> None:
        self._counts = counts
        self._counter = counter
        self._clock = clock
        self._seconds = 0.0
        self._since = 0.0

    def start(self) -> None:
        """Counts from here on, in this thread."""
        is_free = sys.getprofile() is None  # before 3.12 ours would silently take its place
        self._since = self._clock()
        try:
            if is_free:
                self._counter.profile.enable()
                _hear_only_this_thread()
        except ValueError:
            is_free = False
        if not is_free:
            self._counts.keep(self._counter)
            raise ToolError("another profiler was at work in its thread")

    def stop(self) -> None:
        """Counts no more."""
        self._counter.profile.disable()
        self._seconds += self._clock() - self._since

    def end(self) -> None:
        """It counts from now on."""
        self._counts.ended(self._counter, self._seconds)


def _hear_only_this_thread() -> None:
    """Since Python 3.12 cProfile hears of all threads, and mixes their calls up.

    So what it is told by ``sys.monitoring`` goes through a function that leaves other threads' out.
    All are put in place by one call into C: what is told of that call comes in pairs, or the first
    of a pair would stay at the bottom of the profiler's stack.
    """
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return
    mine = get_ident()
    before: list[Callable[..., Any]] = []

    def filtered(at: int) -> Callable[..., Any]:
        def hear(*told: Any) -> None:
            if get_ident() == mine:
                before[at](*told)

        return hear

    events = [getattr(monitoring.events, name) for name in _EVENTS]
    hear = map(filtered, range(len(events)))
    before.extend(map(monitoring.register_callback, repeat(monitoring.PROFILER_ID), events, hear))


def _where(code: CodeType | str) -> Where | None:
    """The function; None for what stands between start and stop only because it measures."""
    if isinstance(code, str):
        if "_lsprof.Profiler" in code:
            return None
        return where_of(short_name(code), "", 0)
    where = where_of(code.co_name, code.co_filename, code.co_firstlineno)
    return None if where.file.startswith("paralab_profiling/profilers/") else where


def short_name(code: str) -> str:
    """What is built in, by a name that can be read: "sum", "math.hypot", "Random.random"."""
    found = re.fullmatch(r"<method '(.+)' of '(?:.*\.)?([^.]+)' objects>", code)
    if found is not None:
        return f"{found[2]}.{found[1]}"
    found = re.fullmatch(r"<built-in method (?:builtins\.)?(.+)>", code)
    return code if found is None else found[1]


def _add(to: list[float], entry: Any, times: int = 1) -> None:
    to[0] += entry.callcount * times
    to[1] += (entry.callcount - entry.reccallcount) * times
    to[2] += entry.inlinetime * times
    to[3] += entry.totaltime * times


class _Sharing:
    """From functions and pairs of them to paths."""

    def __init__(
        self,
        functions: Mapping[Where, Sequence[float]],
        pairs: Mapping[Where, Mapping[Where, Sequence[float]]],
        tree: Tree,
    ) -> None:
        self._functions = functions
        self._tree = tree
        self._frames = 0
        self._whole = 0.0
        self._callees: dict[Where, list[tuple[Where, float]]] = {}
        """For each function what it called: which share of that one's time and calls is its."""
        self._outside: list[tuple[Where, float]] = []
        """What nobody that was measured called, and the share of it that was called so."""
        for where, (calls, _primitive, _own, total) in functions.items():
            taken = 0.0
            for caller, (times, _p, _o, seconds) in pairs.get(where, {}).items():
                if caller == where or caller not in functions:
                    continue
                share = seconds / total if total > 0 else times / max(calls, 1)
                share = min(share, 1.0 - taken)
                taken += share
                self._callees.setdefault(caller, []).append((where, share))
            recursive = pairs.get(where, {}).get(where, (0,))[0]
            from_others = sum(
                found[0] for caller, found in pairs.get(where, {}).items() if caller != where
            )
            if calls - recursive - from_others > 0:
                self._outside.append((where, max(0.0, 1.0 - taken)))

    def share(self, name: str, tasks: int) -> None:
        """Fills the tree with one root, the task."""
        self._whole = sum(self._functions[each][3] * share for each, share in self._outside)
        outside = sorted(self._outside, key=lambda each: -self._functions[each[0]][3] * each[1])
        outside.sort(key=lambda each: each[0].kind != "yours")
        if name and outside:
            function, share = outside.pop(0)
            root = Where(name, function.file, function.line, "task")
            self._tree.add([root], 0.0, tasks)
            self._follow(function, share, [root], {function})
        else:
            root = Where(name or "this process", "", 0, "task")
            self._tree.add([root], 0.0, tasks)
        for function, share in outside:
            if function.kind != "runtime":
                self._below(function, share, [root], {function})

    def _below(self, function: Where, share: float, path: list[Where], above: set[Where]) -> None:
        calls = self._functions[function][0]
        path = [*path, function]
        self._tree.add(path, 0.0, max(1, round(calls * share)))
        self._follow(function, share, path, above)

    def _follow(self, function: Where, share: float, path: list[Where], above: set[Where]) -> None:
        """Adds a share of a function, and of all that it called, at the end of a path."""
        own, total = self._functions[function][2:]
        self._frames += 1
        if function.kind == "runtime":  # see tree.without_inside
            self._tree.add(path, total * share)
            return
        self._tree.add(path, own * share)
        for callee, part in self._callees.get(function, ()):
            if callee in above:
                continue
            taken = self._functions[callee][3] * part * share
            if self._frames > MOST_FRAMES or len(path) > 100 or taken < LEAST * self._whole:
                self._tree.add([*path, callee], taken, 1)
            else:
                self._below(callee, part * share, path, above | {callee})
