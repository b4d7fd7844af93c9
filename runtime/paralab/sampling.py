"""A look at what this process runs, every few milliseconds, started by a message.

::

    survey("sampling " + wish) ──▶ act ──start──▶ Sampler (a thread) ──▶ stacks and their times
                                    │  ──look───▶ what it has seen so far, and a sign of life
                                    └──stop────▶ the same, and its end

Nothing has to be prepared and nothing is restarted: Python tells for each thread where it is
(``sys._current_frames``), and where a coroutine waits is told by the coroutine.  Each stack is cut
off below the call of a task or of an actor's method, and named after that.

What the figures mean: each look stands for the time since the one before, whether the thread ran
or waited; the system tells how much of it that thread was on a CPU, or wanted one.  The sampler
needs the GIL.  While a call into C keeps it, and while the machine is too busy, looks are *missed*:
they are counted, with the longest gap and the stack that was found behind it, and no time is
invented for them.

The sampler takes no lock that others take, holds no frame between two looks, looks less often
where looking takes long, and ends by itself: when its time is over and nobody has asked for
:data:`PATIENCE` seconds, and with the session.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from sysconfig import get_path
from types import CodeType
from typing import Any

from paralab.engine import installed
from paralab.ids import Address
from paralab.platform import thread_times
from paralab.remote_traceback import is_own_file
from paralab.shown_text import shown_name
from paralab.what_runs import DEEPEST, Call, Running, chain, described, runs_cells, walked

PATIENCE = 10.0
"""Seconds without a question after which a sampler is nobody's any more."""
SHARE = 0.05
"""Of a core, which looking may take at most; with more, it looks less often."""
MOST_STACKS = 5_000
"""Different stacks that are kept; what comes after counts for the call alone."""
MOST_CALLS = 20_000
"""Calls of one name that are told apart when they are counted."""
FIRST_SECONDS = 1.0
"""For which a start waits for the first look, so that whoever was asked has seen something."""
MOST_SAMPLERS = 4
"""At the same time, in one process."""
GAP = 3
"""So many intervals without a look are a gap, of which nothing is known."""
_WAITS = {os.path.join(get_path("stdlib"), f"{n}.py") for n in ("threading", "selectors", "queue")}

Times = tuple[int, int]
"""ns on a CPU, and ns of waiting for one."""

_samplers: dict[str, Sampler] = {}
"""Of this process, by the names that the askers gave them; each takes itself out at its end."""


def act(wish: str) -> dict[str, Any] | None:
    """Does what an asker wishes, if it concerns this process.

    Args:
        wish: JSON: ``do`` ("start", "look", "stop") and ``id`` (what the asker calls it); to start
            also ``targets`` (from a pid, as text, to what is looked at there: [caller's address in
            hexadecimal digits, key] for one task, or None for everything), ``seconds``,
            ``interval`` in seconds, ``asked``, when that was, in ns on the monotonic clock, and
            ``asker``, pid and ident of the thread that asks.

    Returns:
        None if this process is not meant or looks no more; else :meth:`Sampler.seen`, or ``error``.
    """
    asked = json.loads(wish)
    number, here = asked["id"], str(os.getpid())
    if here in asked.get("targets", ()) and number not in _samplers:
        if len(_samplers) >= MOST_SAMPLERS:
            return {"error": f"{MOST_SAMPLERS} profiles of it are being taken already"}
        pid, thread = asked["asker"]
        sampler = Sampler(
            *(number, asked["seconds"], asked["interval"], asked["asked"]),
            only=asked["targets"][here],
            left_out=thread if pid == os.getpid() else 0,
        )
        _samplers[number] = sampler
        sampler.start()
    found = _samplers.get(number)
    if found is None:
        return None
    if asked["do"] == "stop":
        found.stop()
    return found.seen()


class Sampler:
    """Looks at all threads and coroutines of this process.

    Args:
        number: what the asker calls it.
        seconds: how long.
        interval: seconds from look to look.
        asked_ns: when the asker asked; what lies before the first look was missed.
        only: address (in hexadecimal digits) and key of the one call to look at, which ends it.
        left_out: ident of a thread that is not looked at.
    """

    def __init__(
        self,
        number: str,
        seconds: float,
        interval: float,
        asked_ns: int,
        only: Any = None,
        left_out: int = 0,
    ) -> None:
        self._number = number
        self._interval = int(interval * 1e9)
        self._asked = asked_ns
        self._end = asked_ns + int(seconds * 1e9)
        self._only = None if only is None else (bytes.fromhex(only[0]), int(only[1]))
        self._left_out = {left_out}
        self._engine = installed()
        self._heard = time.monotonic()
        self._bell = threading.Event()
        self._has_looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="paralab-sampler", daemon=True)
        self._stopped = False
        self._codes: dict[CodeType, int] = {}
        self._frames: list[tuple[str, str, int, str]] = []
        self._stacks: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        self._lines: dict[tuple[int, int], int] = {}
        self._natives: dict[int, int] = {}
        """The system's number of each thread, by its ident; looked up again where it is wrong."""
        self._times: dict[int, Times] = {}
        """Of each thread, by its ident, at the last look."""
        self._calls: dict[str, set[tuple[Address, int]]] = {}
        self._facts = dict.fromkeys(
            ("looks", "idle", "missed", "longest_gap", "cost", "watched", "dropped"), 0
        )
        self._behind = ""
        """What was found behind the longest gap."""
        self._failure = ""
        self._was_there = False
        self._over = False

    def start(self) -> None:
        """Begins to look, and has looked once unless that takes long."""
        self._thread.start()
        self._has_looked.wait(FIRST_SECONDS)

    def stop(self) -> None:
        """Ends it; what it has seen stays."""
        self._stopped = True
        self._bell.set()

    def seen(self) -> dict[str, Any]:
        """What was seen so far, as plain data.

        ``frames`` (name, file, line of the definition); ``stacks`` (name of the task, its frames
        by number from the outermost one, ns of wall time, on a CPU, of waiting for one, looks);
        ``lines`` (frame, line, looks of the innermost frames); ``interval``, ``longest_gap``,
        ``cost`` (CPU time of looking) and ``watched``, in ns; ``has_cpu``, whether CPU times are
        known; the numbers of ``looks``, of those that found no call (``idle``) and of those
        ``missed``; ``behind``, the function found after the longest gap;
        ``calls``: how many calls of each name were met;
        ``over``: nothing will be added; ``error``, where looking has failed.
        """
        self._heard = time.monotonic()
        # Each copy is one C call, so that the sampler need not be stopped for it.
        stacks = [(*key, *value) for key, value in self._stacks.copy().items()]
        return {
            "pid": os.getpid(),
            "stacks": stacks,
            "lines": [(*key, count) for key, count in self._lines.copy().items()],
            "frames": self._frames.copy(),
            "interval": self._interval,
            "has_cpu": thread_times(threading.get_native_id()) is not None,
            "behind": self._behind,
            "over": self._over or self._stopped,
            "calls": {name: len(keys) for name, keys in self._calls.copy().items()},
            **({"error": self._failure} if self._failure else {}),
            **self._facts,
        }

    # -- the sampler's thread ----------------------------------------------------------------

    def _run(self) -> None:
        self._left_out.add(threading.get_ident())
        try:
            try:
                self._look_until_the_end()
            except Exception as error:  # it is told to the asker; the process goes on
                self._failure = f"looking has failed: {error!r}"
            self._over = True
            self._has_looked.set()
            while not self._stopped and self._is_wanted():
                self._bell.wait(0.25)
        finally:
            self._over = True
            _samplers.pop(self._number, None)

    def _is_wanted(self) -> bool:
        return installed() is self._engine and time.monotonic() - self._heard < PATIENCE

    def _look_until_the_end(self) -> None:
        facts = self._facts
        planned, last, now = self._interval, self._asked, time.monotonic_ns()
        while not facts["looks"] or (
            now < self._end and not self._stopped and not self._over and self._is_wanted()
        ):
            gap, last = now - last, now
            is_gap = gap > GAP * planned
            cost = time.thread_time_ns()
            innermost = self._look(planned if is_gap else gap)
            cost = time.thread_time_ns() - cost
            if is_gap:
                facts["missed"] += gap // planned - 1
                if gap > facts["longest_gap"]:
                    facts["longest_gap"], self._behind = gap, innermost
            facts["looks"] += 1
            facts["watched"] = now - self._asked
            facts["cost"] += cost
            self._has_looked.set()
            planned = max(self._interval, int(cost / SHARE))
            self._bell.wait(max(0, last + planned - time.monotonic_ns()) / 1e9)
            now = time.monotonic_ns()

    def _look(self, wall: int) -> str:
        """One look at everything; returns the function that the first call was in."""
        innermost, found = "", False
        runs = Running(self._engine)
        for call, at, used in [*self._of_threads(runs), *self._of_coroutines(runs)]:
            found, name = True, call.name
            met = self._calls.setdefault(name, set())
            if len(met) < MOST_CALLS:
                met.add((call.caller, call.key))
            key = (name, tuple([number for number, _line in at]))
            if key not in self._stacks and len(self._stacks) >= MOST_STACKS:
                self._facts["dropped"] += 1
                key = name, ()
            sums = self._stacks.setdefault(key, [0, 0, 0, 0])
            sums[0] += wall
            # Not limited to the time of this look: the system tells some of it late.
            sums[1] += wall if used is None else used[0]
            sums[2] += 0 if used is None else used[1]
            sums[3] += 1
            if at:
                self._lines[at[-1]] = self._lines.get(at[-1], 0) + 1
                innermost = innermost or self._frames[at[-1][0]][0]
        self._facts["idle"] += not found
        if self._only is not None:
            self._over = self._was_there and not found
            self._was_there |= found
        return innermost

    def _of_threads(
        self, runs: Running
    ) -> Iterator[tuple[Call, list[tuple[int, int]], Times | None]]:
        """Call, frames from the outermost, and CPU time since the last look, of what runs."""
        frames = sys._current_frames()
        for ident in self._left_out:
            frames.pop(ident, None)
        while frames:
            ident, frame = frames.popitem()
            at, is_call = walked(frame, runs.entries)
            del frame  # or what it holds would live longer than its function
            used = None if ident in runs.own_threads and not is_call else self._used(ident)
            call = self._call_of(runs, ident, is_call, at, bool(used and used[0]))
            if call is not None:
                yield call, self._shown(at), used

    def _call_of(
        self,
        runs: Running,
        ident: int,
        is_call: bool,
        at: list[tuple[CodeType, int]],
        works: bool,
    ) -> Call | None:
        """What a thread's stack is part of; None if it is not to be shown."""
        if is_call:
            call = runs.of_thread.get(ident)
            return call if call is not None and self._wants(call) else None
        if self._only is not None or ident in runs.own_threads:
            return None
        if ident == threading.main_thread().ident:
            if runs.entries:
                return None  # the worker waits
            cell = next((n for n, (code, _) in enumerate(at) if runs_cells(code)), None)
            if cell is None and "IPython" in sys.modules and not works:
                return None  # the kernel waits
            if cell is not None:
                del at[cell:]
            return Call("the driver's program", b"", 0)
        if not works:
            return None
        known = {each.ident: each.name for each in threading.enumerate()}
        return Call(shown_name(f"thread {known.get(ident, ident)}"), b"", 0)

    def _of_coroutines(
        self, runs: Running
    ) -> Iterator[tuple[Call, list[tuple[int, int]], Times | None]]:
        """The same of coroutines that wait; the one that runs is its thread's."""
        for call, coroutine in runs.waiting:
            if self._wants(call):
                yield call, self._shown(chain(coroutine)[::-1]), (0, 0)

    def _wants(self, call: Call) -> bool:
        return self._only is None or self._only == (call.caller, call.key)

    def _shown(self, at: list[tuple[CodeType, int]]) -> list[tuple[int, int]]:
        """Frames by number, outermost first; of the runtime's only where it was entered."""
        found: list[tuple[int, int]] = []
        is_own = True  # what stands between the call and the user's function
        for code, line in reversed(at[:DEEPEST]):
            was_own, is_own = is_own, is_own_file(code.co_filename)
            if was_own and (is_own or (found and code.co_filename in _WAITS)):
                is_own = True
                continue
            number = self._codes.get(code)
            if number is None:
                number = self._codes[code] = len(self._frames)
                self._frames.append(described(code))
            found.append((number, line))
        return found

    def _used(self, ident: int) -> Times | None:
        """CPU time of a thread since the last look; None at first, or if it is not told."""
        if ident not in self._natives:
            for each in threading.enumerate():
                if each.ident is not None and each.native_id is not None:
                    self._natives.setdefault(each.ident, each.native_id)
            main = threading.main_thread().ident
            assert main is not None
            self._natives[main] = os.getpid()  # after a fork Python tells the parent's number
        now = thread_times(self._natives.get(ident, 0))
        if now is None:  # that thread has ended, and this one has its ident
            self._natives.pop(ident, None)
            return None
        before, self._times[ident] = self._times.get(ident), now
        return before and (now[0] - before[0], now[1] - before[1])
