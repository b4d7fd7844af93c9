"""A pool of processes with the methods of ``multiprocessing.Pool``, whose processes are actors.

Source: the standard library's documentation of ``multiprocessing.pool``, and Ray's
``ray.util.multiprocessing``.  What differs: an actor that dies fails the call that it ran, where
the standard pool would wait for ever; ``imap`` over an iterable of unknown length reads only so
far ahead of whoever takes its results; and ``terminate`` fails what has no result yet.  Arguments
and results are copies to write into, as there; a large array's is made page by page, where it is
written (``serialization.own``).
"""

from __future__ import annotations

import itertools
import logging
import os
import pickle
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

import paralab
from paralab.call_names import print_as
from paralab.serialization import own, pack
from paralab.util.multiprocessing.dispatcher import Dispatcher, Function, Job
from paralab.util.multiprocessing.results import (
    AsyncResult,
    Callback,
    IMapIterator,
    IMapUnorderedIterator,
    InPieces,
    MapResult,
    ReadAhead,
)

AHEAD = 16
"""How many chunks ``imap`` reads ahead for each process, if the iterable's length is unknown."""

_logger = logging.getLogger("paralab")


class PoolActor:
    """One process of a pool."""

    def __init__(
        self, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = ()
    ) -> None:
        self._functions: dict[int, tuple[Callable[[], Callable[..., Any]], bool]] = {}
        """What gives them, by number: from the first chunk here to the last anywhere."""
        if initializer is not None:
            initializer(*initargs)

    def ping(self) -> int:
        """Answers with the process's id."""
        return os.getpid()

    def define(self, number: int, function: Callable[..., Any], spread: bool) -> int:
        """Tells of a function that will be called often."""
        self._functions[number] = giver(function), spread
        return number

    def forget(self, number: int) -> None:
        """It is called no more."""
        self._functions.pop(number, None)

    def run(self, number: int, items: Sequence[Any], name: str) -> tuple[float, bool, Any]:
        """Calls a function with each item; what ``define`` has answered comes as an input."""
        print_as(name)
        give, spread = self._functions[number]
        function = give()
        if spread:
            return timed(lambda: [function(*item) for item in items])
        return timed(lambda: [function(item) for item in items])

    def apply(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[float, bool, Any]:
        """Calls a function once."""
        print_as("")
        return timed(lambda: function(*args, **kwargs))


def giver(function: Callable[..., Any]) -> Callable[[], Callable[..., Any]]:
    """Gives a function to each chunk; one that carries arrays with arrays for that chunk alone.

    The standard library's pools pickle the function with each chunk.
    """
    data, buffers, _refs = pack(own(function))
    if not buffers:
        return lambda: function
    return lambda: pickle.loads(data, buffers=buffers)


def timed(
    call: Callable[[], Any],
    caught: type[BaseException] = Exception,
    sent: Callable[[BaseException, Any], Any] | None = None,
) -> tuple[float, bool, Any]:
    """Seconds; whether it went well; the value, or what was raised.

    Args:
        caught: the class of what is caught.
        sent: makes of an exception and its traceback what is sent; by default as pools do it.
    """
    begun = time.perf_counter()
    try:
        good, value = True, call()
    except caught as error:
        from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]

        good, value = False, (sent or ExceptionWithTraceback)(error, error.__traceback__)
    return time.perf_counter() - begun, good, own(value)


class Pool:
    """A pool of actors that computes calls, with the methods of ``multiprocessing.Pool``.

    Args:
        processes: how many; by default one for each CPU of the session.
        initializer: is called once in each process before its first work.
        initargs: its arguments.
        maxtasksperchild: a process is replaced after so many chunks; by default never.
        context: ignored, with a warning: how processes start is the runtime's business.
        ray_address: the session to join if there is none here, as in ``init(address=)``.
        ray_remote_args: options of the actors, as of ``remote``; ``num_cpus`` is 0 by default, so
            that a pool can be used beside tasks.

    Raises:
        ValueError: ``processes`` is below 1 or more than the session has CPUs.
        TypeError: ``initializer`` cannot be called, or an option is unknown.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] | None = None,
        maxtasksperchild: int | None = None,
        context: Any = None,
        ray_address: str | None = None,
        ray_remote_args: dict[str, Any] | None = None,
    ) -> None:
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}.")
        if processes is not None and processes < 1:
            raise ValueError(f"Number of processes must be at least 1, not {processes!r}.")
        if maxtasksperchild is not None and (
            type(maxtasksperchild) is not int or maxtasksperchild <= 0
        ):
            raise ValueError(
                f"maxtasksperchild must be a positive int or None, not {maxtasksperchild!r}."
            )
        if context is not None:
            _logger.warning("Pool: context is ignored, processes are started by the runtime.")
        self._processes = join_session(processes, ray_address)
        self._cache: dict[int, Any] = {}
        """Results that are not there yet, by their number; the results keep it themselves."""
        self._running = True
        self._counts_tasks = maxtasksperchild is not None
        """Chunks then have the size that they have in the standard library."""
        remote_class: Any = paralab.remote(**{"num_cpus": 0, **(ray_remote_args or {})})(PoolActor)
        start = partial(remote_class.remote, initializer, own(tuple(initargs or ())))
        dispatcher = Dispatcher(start, [start() for _ in range(self._processes)], maxtasksperchild)
        self._events = dispatcher.events
        self._thread = threading.Thread(target=dispatcher.run, name="paralab-pool", daemon=True)
        self._thread.start()
        # A pool that nobody has any more ends its processes, whatever they do.
        self._end = weakref.finalize(self, self._events.put, (Dispatcher.terminate,))

    # -- one call ----------------------------------------------------------------------------

    def apply(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        kwds: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls ``func(*args, **kwargs)`` in a process and waits.  ``kwds`` is ``kwargs``."""
        return self.apply_async(func, args, kwargs, kwds=kwds).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
        *,
        kwds: Mapping[str, Any] | None = None,
    ) -> AsyncResult:
        """The same without waiting; callbacks run in the pool's own thread."""
        self._check_running()
        result = AsyncResult(self, callback, error_callback)
        function = Function("apply", func)
        arguments = (tuple(args or ()), dict(kwargs or kwds or {}))
        settle = lambda _at, _length, outcome: result.settle(outcome)  # noqa: E731
        self._events.put((Dispatcher.add, Job(function, settle, (None,), 1, arguments)))
        return result

    # -- many calls --------------------------------------------------------------------------

    def map(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[Any]:
        """``[func(item) for item in iterable]``.

        Args:
            chunksize: items that go to a process together; by default as many as take about
                20 ms, by measurement.
        """
        return self._map("map", func, iterable, chunksize).get()  # type: ignore[no-any-return]

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> MapResult:
        """:meth:`map` without waiting; ``callback`` gets the list."""
        return self._map("map", func, iterable, chunksize, callback, error_callback)

    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[Any]:
        """``[func(*item) for item in iterable]``."""
        return self._map("starmap", func, iterable, chunksize).get()  # type: ignore[no-any-return]

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: Any = None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> MapResult:
        """:meth:`starmap` without waiting."""
        if callable(chunksize):  # Ray's method has no chunksize, and the callback in its place
            chunksize, callback, error_callback = None, chunksize, callback or error_callback
        return self._map("starmap", func, iterable, chunksize, callback, error_callback)

    def _map(
        self,
        what: str,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int | None,
        callback: Callback = None,
        error_callback: Callback = None,
    ) -> MapResult:
        self._check_running()
        items = iterable if isinstance(iterable, (list, tuple, range)) else list(iterable)
        if chunksize is not None and chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
        result = MapResult(self, len(items), callback, error_callback)
        if chunksize is None and self._counts_tasks:
            chunksize = -(-len(items) // (4 * self._processes))
        if items:
            job = Job(Function(what, func), result.settle_piece, items, chunksize)
            self._events.put((Dispatcher.add, job))
        return result

    # -- one after another -------------------------------------------------------------------

    def imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> Iterator[Any]:
        """The results in order, as they come; the iterator has ``next(timeout)`` too.

        An iterable whose length is not known, which may be infinite, is read at most 16 chunks a
        process ahead of whoever takes the results.
        """
        return self._imap("imap", IMapIterator, func, iterable, chunksize)

    def imap_unordered(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> Iterator[Any]:
        """:meth:`imap` with the results in the order in which they are ready."""
        return self._imap("imap_unordered", IMapUnorderedIterator, func, iterable, chunksize)

    def _imap(
        self,
        what: str,
        kind: type[IMapIterator],
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None,
    ) -> Iterator[Any]:
        self._check_running()
        size = 1 if chunksize is None else chunksize
        if size < 1:
            raise ValueError(f"Chunksize must be 1+, not {size:n}")
        items = iter(iterable)
        ahead = ReadAhead(None if hasattr(iterable, "__len__") else AHEAD * self._processes)
        result = kind(self, ahead)
        self._events.put((Dispatcher.reading, ahead))
        puller = threading.Thread(
            target=_pull,
            args=(self._events, ahead, items, size, Function(what, func), result),
            name="paralab-pool-imap",
            daemon=True,
        )
        puller.start()
        if size == 1:
            return result
        return InPieces(result)

    # -- the end -----------------------------------------------------------------------------

    def close(self) -> None:
        """Takes no more work; the processes end when all is done."""
        if self._running:
            self._running = False
            self._events.put((Dispatcher.close,))

    def terminate(self) -> None:
        """Ends the processes at once."""
        self._running = False
        self._end()

    def join(self) -> None:
        """Waits until the pool has ended.

        Raises:
            ValueError: it was neither closed nor terminated.
        """
        if self._running:
            raise ValueError("Pool is still running")
        self._thread.join()

    def _check_running(self) -> None:
        if not self._running:
            raise ValueError("Pool not running")

    def __enter__(self) -> Self:
        self._check_running()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.terminate()

    def __reduce__(self) -> Any:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __repr__(self) -> str:
        state = "RUN" if self._running else "CLOSE" if self._thread.is_alive() else "TERMINATE"
        return f"<{type(self).__module__}.Pool state={state} pool_size={self._processes}>"


def join_session(processes: int | None, address: str | None) -> int:
    """Starts or joins a session if there is none; how many processes the pool has."""
    if not paralab.is_initialized():
        address = address or os.environ.get("RAY_ADDRESS") or os.environ.get("PARALAB_ADDRESS")
        if address:
            paralab.init(address=address)
        else:
            paralab.init(num_cpus=processes)
    cpus = max(1, int(paralab.cluster_resources().get("CPU", 1)))
    if processes is not None and processes > cpus:
        raise ValueError(
            f"A pool of {processes} processes was asked for, but the session has only {cpus} CPUs."
        )
    return processes or cpus


def _pull(
    events: Any,
    ahead: ReadAhead,
    items: Iterator[Any],
    size: int,
    function: Function,
    result: IMapIterator,
) -> None:
    """Reads an iterable, chunk by chunk, as far ahead as it may.  A thread of its own."""
    settle = result.settle_item if size == 1 else result.settle_chunk
    number = 0
    try:
        while True:
            ahead.wait()
            chunk = [] if ahead.stopped else list(itertools.islice(items, size))
            if not chunk:
                break
            job = Job(function, partial(settle, number), chunk, size, first=number * size)
            number += 1
            events.put((Dispatcher.add, job))
    except Exception as error:
        result.settle_chunk(number, 0, 0, (False, error))
        number += 1
    result.end(number)
    events.put((Dispatcher.read, ahead))
