"""An executor of ``concurrent.futures`` whose processes are actors.

Source: the standard library's documentation of ``concurrent.futures``; it passes CPython's own
tests of executors.  Work is given out by the same thread as a pool's (``util.multiprocessing``)::

    submit, map ──▶ events ─▶ dispatcher ──▶ actor, which is started when there is work for it
                                  │
       Future ◀── value, error ───┘     RUNNING when an actor has it; until then cancel() works

What differs from ``ProcessPoolExecutor``: an actor that dies fails the calls that it had, by the
same BrokenProcessPool, and is replaced, where the standard executor gives up all its work; and
functions need not be importable.  An initializer that fails breaks the executor, as it does there.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures.process import (
    BrokenProcessPool,
    _ExceptionWithTraceback,
)
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import Any

import paralab
from paralab.call_names import print_as
from paralab.exceptions import ActorError
from paralab.serialization import own
from paralab.util.multiprocessing.dispatcher import Chunk, Dispatcher, Function, Job, Slot
from paralab.util.multiprocessing.pool import PoolActor, join_session, timed
from paralab.util.multiprocessing.results import Outcome

_logger = logging.getLogger("paralab")
_futures_logger = logging.getLogger("concurrent.futures")
_threads: weakref.WeakSet[Serving] = weakref.WeakSet()
"""Of the executors that have not ended: they finish their work before the program ends."""


class InitializerError(Exception):
    """The initializer of an executor has failed."""


class ExecutorActor(PoolActor):
    """One process of an executor."""

    def __init__(self, initializer: Callable[..., object] | None, initargs: Iterable[Any]) -> None:
        self._failed: InitializerError | None = None
        try:
            super().__init__(initializer, initargs)
        except BaseException as error:
            _futures_logger.critical("Exception in initializer:", exc_info=True)
            self._failed = InitializerError(f"{type(error).__name__}: {error}")

    def run(self, number: int, items: Sequence[Any], name: str) -> tuple[float, bool, Any]:
        """Calls a function with each of ``items``, which are tuples of arguments."""
        if self._failed is not None:
            return 0.0, False, self._failed
        print_as(name)
        give, _spread = self._functions[number]
        function = give()
        return _timed(lambda: [function(*item) for item in items])

    def apply(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[float, bool, Any]:
        """Calls a function once."""
        if self._failed is not None:
            return 0.0, False, self._failed
        print_as("")
        return _timed(lambda: function(*args, **kwargs))


def _timed(call: Callable[[], Any]) -> tuple[float, bool, Any]:
    return timed(call, BaseException, _ExceptionWithTraceback)


class _Pace:
    """How long the calls of one function take: the longest lately, as calls differ.

    A call that is queued behind a long one waits although another actor may be free.
    """

    def __init__(self) -> None:
        self.seconds: float | None = None

    def took(self, seconds: float) -> None:
        known = self.seconds
        self.seconds = seconds if known is None or seconds > known else 0.9 * known + 0.1 * seconds


class _Called(Function):
    """A function whose pace is known from earlier calls."""

    def __init__(self, what: str, call: Any, pace: _Pace) -> None:
        super().__init__(what, call, of="Executor")
        self._pace = pace
        self.seconds = pace.seconds

    def took(self, seconds: float, items: int) -> None:
        self._pace.took(max(seconds / max(items, 1), 1e-7))
        self.seconds = self._pace.seconds


class _Call(Job):
    """One call, or the chunk of a ``map``: what one future stands for."""

    def __init__(
        self,
        function: Function,
        future: futures.Future[Any],
        items: Sequence[Any] = (None,),
        arguments: tuple[Any, ...] = (),
        first: int = 0,
    ) -> None:
        super().__init__(function, partial(_settle, future), items, len(items), arguments, first)
        self.future = future


def _settle(future: futures.Future[Any], _at: int, _length: int, outcome: Outcome) -> None:
    if not future.running() and not future.set_running_or_notify_cancel():
        return
    good, value = outcome
    if good:
        future.set_result(value)
    else:
        future.set_exception(value)


class _Calls(Dispatcher):
    """The dispatcher of an executor."""

    broken: BaseException | None = None
    """Why it takes no more work."""

    def cancel_waiting(self) -> None:
        """Cancels what no actor has."""
        self._feed()  # as many as there are actors have begun
        while self._waiting:
            job = self._waiting.popleft()
            assert isinstance(job, _Call)
            if job.future.cancel():
                job.future.set_running_or_notify_cancel()

    def _give(self, slot: Slot, job: Job) -> None:
        assert isinstance(job, _Call)
        if job.future.set_running_or_notify_cancel():
            super()._give(slot, job)
        else:
            job.cut(1)

    def _take(self, slot: Slot, chunk: Chunk) -> Outcome:
        good, value = super()._take(slot, chunk)
        if isinstance(value, ActorError):
            broken = BrokenProcessPool(
                "A process of this executor ended abruptly while it had this call, "
                f"{chunk.job.function.name}: {value}"
            )
            broken.__cause__ = value
            return False, broken
        if isinstance(value, InitializerError):
            self.broken = BrokenProcessPool(f"The initializer of this executor failed: {value}")
            # An event of its own: this call is not settled yet.
            self.events.put((Dispatcher.terminate, self.broken))
            return False, self.broken
        if isinstance(value, _ExceptionWithTraceback):  # where nothing is pickled on its way
            parts: Any = value.__reduce__()
            value = parts[0](*parts[1])
        return good, value


class Serving(threading.Thread):
    """The thread of a dispatcher, which outlives its executor until all work is done."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(target=dispatcher.run, name="paralab-executor", daemon=True)
        self.events = dispatcher.events


def _finish() -> None:
    """At the end of the program, as the standard executors do: what was submitted is done."""
    for thread in list(_threads):
        thread.events.put((Dispatcher.close,))
    for thread in list(_threads):
        thread.join()


class Executor(futures.Executor):
    """A ``concurrent.futures.Executor`` on actors, with ``ProcessPoolExecutor``'s parameters.

    Args:
        max_workers: processes at most, which are started when there is work for them; by default
            as many as the session has CPUs.  There may be more, for calls that wait.
        mp_context: ignored, with a warning: processes are started by the runtime.
        initializer: called first in each process, with ``initargs``.
        max_tasks_per_child: calls after which a process is replaced; None for never.
        remote_args: options of the actors, such as ``{"resources": {"licence": 1}}``; they take no
            CPUs of the session by default.

    Raises:
        ValueError: ``max_workers`` or ``max_tasks_per_child`` is below 1.
        TypeError: ``initializer`` cannot be called, or ``max_tasks_per_child`` is no int.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        max_tasks_per_child: int | None = None,
        remote_args: dict[str, Any] | None = None,
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        if max_tasks_per_child is not None:
            if type(max_tasks_per_child) is not int:
                raise TypeError("max_tasks_per_child must be an integer")
            if max_tasks_per_child <= 0:
                raise ValueError("max_tasks_per_child must be >= 1")
        if mp_context is not None:
            _logger.warning(
                "Executor: mp_context is ignored, processes are started by the runtime."
            )
        self._max_workers = join_session(None, None) if max_workers is None else int(max_workers)
        if max_workers is not None:
            join_session(None, None)
        remote_class: Any = paralab.remote(**{"num_cpus": 0, **(remote_args or {})})(ExecutorActor)
        start = partial(remote_class.remote, initializer, own(tuple(initargs)))
        self._dispatcher = _Calls(start, [None] * self._max_workers, max_tasks_per_child)
        self._paces: weakref.WeakKeyDictionary[Any, _Pace] = weakref.WeakKeyDictionary()
        """Of functions; an entry leaves with its function."""
        self._open = True
        self._lock = threading.Lock()
        """Nothing is submitted behind the end."""
        self._thread = Serving(self._dispatcher)
        _threads.add(self._thread)
        # Again for each, so that it comes before the end of the session that there is now.
        atexit.unregister(_finish)
        atexit.register(_finish)
        self._thread.start()
        # One that nobody has any more does what it was given, and ends its processes.
        end = weakref.finalize(self, self._dispatcher.events.put, (Dispatcher.close,))
        end.atexit = False

    @property
    def _broken(self) -> BaseException | None:
        return self._dispatcher.broken

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        """``fn(*args, **kwargs)`` in a process.

        Raises:
            RuntimeError: after ``shutdown``.
            BrokenProcessPool: the initializer has failed.
        """
        future: futures.Future[Any] = futures.Future()
        function = _Called("submit", fn, self._pace(fn))
        self._add(_Call(function, future, arguments=(args, kwargs)))
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """The results of ``map(fn, *iterables)``, in order, computed in processes.

        Args:
            timeout: seconds from this call, after which ``TimeoutError`` is raised for what is not
                there yet; None waits for ever.
            chunksize: items that go to a process together.
            buffersize: chunks that may be under way and not taken; by default all items are read
                and submitted at once.

        Raises:
            ValueError: ``chunksize`` or ``buffersize`` is below 1.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        end = None if timeout is None else time.monotonic() + timeout
        function = _Called("map", fn, self._pace(fn))
        items = zip(*iterables, strict=False)
        number = itertools.count()

        def start(chunk: list[Any]) -> futures.Future[Any]:
            future: futures.Future[Any] = futures.Future()
            self._add(_Call(function, future, chunk, first=next(number) * chunksize))
            return future

        chunks = iter(lambda: list(itertools.islice(items, chunksize)), [])
        started = [start(chunk) for chunk in itertools.islice(chunks, buffersize)]
        return _results(started, chunks, start, end)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more work; its processes end when all is done.

        Args:
            wait: whether to return only then.
            cancel_futures: whether to cancel what no process has begun.
        """
        with self._lock:
            self._open = False
            if cancel_futures:
                self._dispatcher.events.put((_Calls.cancel_waiting,))
            self._dispatcher.events.put((Dispatcher.close,))
        if wait:
            self._thread.join()

    def _add(self, call: _Call) -> None:
        with self._lock:
            if self._dispatcher.broken is not None:
                raise BrokenProcessPool(*self._dispatcher.broken.args)
            if not self._open or not self._thread.is_alive():
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._dispatcher.events.put((Dispatcher.add, call))

    def _pace(self, fn: Any) -> _Pace:
        # By identity: what users have made may be equal to other things, or take long to hash.
        if type(fn) not in (FunctionType, BuiltinFunctionType):
            return _Pace()
        return self._paces.setdefault(fn, _Pace())

    def __repr__(self) -> str:
        state = "open" if self._open else "closed" if self._thread.is_alive() else "ended"
        return f"<{type(self).__module__}.Executor max_workers={self._max_workers} {state}>"

    def __reduce__(self) -> Any:
        raise TypeError("executors cannot be passed between processes or pickled")


def _results(
    started: list[futures.Future[Any]],
    rest: Iterator[list[Any]],
    start: Callable[[list[Any]], futures.Future[Any]],
    end: float | None,
) -> Iterator[Any]:
    """What has been taken is kept by nobody here; what nobody will take is cancelled."""
    started.reverse()
    try:
        while started:
            left = None if end is None else end - time.monotonic()
            future = started.pop()
            try:
                chunk = future.result(left)
            finally:
                future.cancel()
                del future
            for following in itertools.islice(rest, 1):
                started.insert(0, start(following))
            chunk.reverse()
            while chunk:
                yield chunk.pop()
    finally:
        for future in started:
            future.cancel()
