"""Threads that a sampled call starts: each gets a sampler of its own.

pyinstrument looks at one thread alone, and nobody else can stop it there.  So, while a call is
sampled, ``Thread.start`` and ``ThreadPoolExecutor.submit`` are others, which know by their context
whose call it is, and what a thread runs for that call begins and ends its sampler itself::

    call ─┬─ Thread.start ──▶ Run: sampled while the thread runs ─────────┐
          └─ submit ────────▶ Run: sampled while the pool's thread runs it┴─▶ "threads of" the call

A pool's threads are not sampled as such: they wait, and they may be older than the call, or serve
others, too.  A function that outlives its call counts until the call's end.  What it has done since
its last sample is charged to where it stands then: while it computes, it is seen every interval, so
after a longer gap it has stood there.  From then on nothing is kept of it, and at its next sample
it ends its sampler.  Rejected: to wait for it, which a thread that never ends would make endless.

Not seen: threads that C code or ``_thread`` starts, threads of paralab itself, and what was given
to a thread before the call began.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, NamedTuple

_POOL = "concurrent.futures.thread"
_BETWEEN = ("threading", "concurrent.futures._base", _POOL, __name__)
"""Modules between who starts a thread and the thread's start."""
_OURS = ("paralab", "paralab_profiling")
CALL: ContextVar[Threads | None] = ContextVar("paralab_sampled_call", default=None)
"""The sampled call that this context belongs to."""
_lock = threading.Lock()
_open = 0
"""Sampled calls that run in this process now."""
_before: dict[str, Callable[..., Any]] = {}
"""What was replaced; empty while nothing is."""


class Seen(NamedTuple):
    """What was sampled of a function in a thread.

    Attributes:
        records: stacks as pyinstrument writes them, and the seconds of each.
        seconds: from its begin to its end, or to its call's.
        is_ended: whether it was over before its call.
    """

    records: list[tuple[Sequence[str], float]]
    seconds: float
    is_ended: bool


class Threads:
    """Those of one call; made where it runs."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.refused = 0
        """Functions that could not be sampled, as another profiler was at work in their thread."""
        self._runs: list[Run] = []
        self._lock = threading.Lock()
        self._is_over = False

    def begin(self) -> Run | None:
        """A function of this call begins in this thread; None if it is not sampled."""
        run = Run()
        with self._lock:
            if self._is_over:
                return None
            try:
                run.start(self.interval)
            except RuntimeError:
                self.refused += 1
                return None
            self._runs.append(run)
        return run

    def end(self, run: Run) -> None:
        """It ends; in the same thread."""
        with self._lock:
            run.freeze(is_ended=True)
        run.stop()

    def over(self) -> list[Seen]:
        """The call has ended: what was sampled for it.  Nothing is from now on."""
        with self._lock:
            self._is_over = True
            for run in self._runs:
                run.freeze(is_ended=False)
            return [run.seen for run in self._runs if run.seen is not None]


class Run:
    """A function in a thread, and its sampler there."""

    def __init__(self) -> None:
        self.seen: Seen | None = None
        self._records: list[tuple[Sequence[str], float]] = []
        self._thread = threading.get_ident()
        self._since = self._last = 0.0
        self._is_off = False
        """Its sampler is ended, or about to be: samples come even while it is being ended."""

    def start(self, interval: float) -> None:
        """Samples this thread; RuntimeError if another profiler does."""
        from pyinstrument.stack_sampler import get_stack_sampler

        if sys.getprofile() is not None:
            raise RuntimeError("another profiler is at work in this thread")
        self._since = self._last = time.perf_counter()
        get_stack_sampler().subscribe(self._saw, desired_interval=interval, use_async_context=True)

    def _saw(self, stack: list[str], seconds: float, state: Any) -> None:
        if self._is_off:
            return
        if self.seen is not None:  # its call has ended
            self._is_off = True
            self._unsubscribe()
            return
        self._last = time.perf_counter()
        if state is not None and state.state == "out_of_context_awaited":
            stack = [*state.info, _await()]
        self._records.append((stack, seconds))

    def freeze(self, is_ended: bool) -> None:
        """What was seen so far is all; a function that goes on is charged where it stands."""
        if self.seen is not None:
            return
        now = time.perf_counter()
        records = list(self._records)
        if not is_ended:
            stack = _stack_of(self._thread)
            if stack:
                records.append((stack, max(0.0, now - self._last)))
        self.seen = Seen(records, now - self._since, is_ended)
        self._records.clear()

    def stop(self) -> None:
        """Samples no more; in its own thread, outside of all that it has called."""
        from pyinstrument.stack_sampler import active_profiler_context_var

        was_off, self._is_off = self._is_off, True  # no call between, so no sample
        if not was_off:
            self._unsubscribe()
        elif active_profiler_context_var.get() == self._saw:
            active_profiler_context_var.set(None)  # it was ended in another context

    def _unsubscribe(self) -> None:
        from pyinstrument.stack_sampler import get_stack_sampler

        get_stack_sampler().unsubscribe(self._saw)


def _await() -> str:
    from pyinstrument.frame import AWAIT_FRAME_IDENTIFIER

    return AWAIT_FRAME_IDENTIFIER


def _stack_of(thread: int) -> list[str]:
    """Where a thread stands, as pyinstrument writes it."""
    from pyinstrument.low_level.stat_profile import get_frame_info

    frame, found = sys._current_frames().get(thread), []
    while frame is not None:
        found.append(get_frame_info(frame))
        frame = frame.f_back
    return found[::-1]


def run_in_thread(threads: Threads, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls ``function`` in this thread, sampled for the call of ``threads``."""
    run = threads.begin()
    if run is None:
        return function(*args, **kwargs)
    token = CALL.set(threads)
    try:
        return function(*args, **kwargs)
    finally:
        threads.end(run)
        CALL.reset(token)


def opened() -> None:
    """A sampled call begins, or goes on: threads that it starts are sampled, too."""
    global _open
    with _lock:
        _open += 1
        if not _is_in():
            _before.update(start=threading.Thread.start, submit=ThreadPoolExecutor.submit)
            threading.Thread.start = _start  # type: ignore[method-assign]
            ThreadPoolExecutor.submit = _submit  # type: ignore[method-assign, assignment]


def closed() -> None:
    """Undoes :func:`opened`."""
    global _open
    with _lock:
        _open -= 1
        if not _open:
            _restore()


def _is_in() -> bool:
    """Whether ours are in place, or below what somebody has put around them."""
    return bool(_before)


def _restore() -> None:
    if threading.Thread.start is not _start or ThreadPoolExecutor.submit is not _submit:
        return  # somebody has put theirs around ours, which do nothing outside of sampled calls
    threading.Thread.start = _before["start"]  # type: ignore[method-assign]
    ThreadPoolExecutor.submit = _before["submit"]  # type: ignore[method-assign]
    _before.clear()  # at last: ours may be on the way to them


def _forked() -> None:
    global _open, _lock
    _open, _lock = 0, threading.Lock()
    CALL.set(None)  # a task's child is not measured
    if _is_in():
        _restore()


os.register_at_fork(after_in_child=_forked)


def _start(self: threading.Thread) -> None:
    """``Thread.start`` while a call is sampled."""
    start = _before.get("start", threading.Thread.start)
    threads, starter = CALL.get(), _starter()
    if threads is None or starter == _POOL or _is_ours(starter):
        start(self)
        return
    own, run = vars(self).get("run"), self.run

    def restore() -> None:
        if own is None:
            vars(self).pop("run", None)
        else:
            self.run = own  # type: ignore[method-assign]

    def sampled() -> None:
        restore()
        run_in_thread(threads, run)

    self.run = sampled  # type: ignore[method-assign]
    try:
        start(self)
    except BaseException:
        restore()  # such as one that was started before
        raise


def _submit(
    self: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    """``ThreadPoolExecutor.submit`` while a call is sampled."""
    submit = _before.get("submit", ThreadPoolExecutor.submit)
    threads = CALL.get()
    if threads is None or _is_ours(_starter()):
        return submit(self, function, *args, **kwargs)
    return submit(self, functools.partial(run_in_thread, threads, function), *args, **kwargs)


def _starter() -> str:
    """The module whose code starts a thread here; a pool's if it is one of its threads."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name == _POOL or name not in _BETWEEN:
            return name
        frame = frame.f_back
    return ""


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _OURS
