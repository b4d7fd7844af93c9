"""Refs as futures: ``await ref``, ``ref.future()`` and callbacks.  No thread waits for a ref.

An engine tells of a settled object by calling a function, in whichever thread leads it, and that
function may only leave a note.  So what is settled goes two ways::

    await, as_future   ──▶ a queue for each event loop ──▶ unpickled and set in the loop's thread
    future, callbacks  ──▶ one queue ──▶ one thread, in which callbacks of the user may take
                                         their time; it starts with the first of them

A loop is woken once for all that has arrived, not once for each ref.  A note holds its ref, so
the object stays although nobody else may hold it, and although its future may be cancelled.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from paralab.engine import current
from paralab.object_ref import ObjectRef

_logger = logging.getLogger("paralab")


def as_future(ref: ObjectRef) -> asyncio.Future[Any]:
    """A future of the running event loop with the value, or error, of ``ref``.

    Cancelling it ends neither the task nor the ref.
    """
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    take = _value_of(ref)
    arrivals = _arrivals.get(loop)
    if arrivals is None:
        arrivals = _arrivals[loop] = _Arrivals(loop)
    if not current().on_settled(ref, lambda: arrivals.add(future, take)):
        _settle(future, take)
    return future


def concurrent_future(ref: ObjectRef) -> concurrent.futures.Future[Any]:
    """A future for threads with the value, or error, of ``ref``; see :func:`as_future`."""
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.object_ref = ref  # type: ignore[attr-defined]
    take = _value_of(ref)
    _deliver(ref, lambda: _settle(future, take))
    return future


def call_when_settled(ref: ObjectRef, callback: Callable[[Any], object]) -> None:
    """Calls ``callback``, in a thread of its own, with the value of ``ref`` or its exception."""
    take = _value_of(ref)

    def call() -> None:
        try:
            result = take()
        except BaseException as error:
            result = error
        callback(result)

    _deliver(ref, call)


def _value_of(ref: ObjectRef) -> Callable[[], Any]:
    engine = current()
    if ref._entry.mailbox is not getattr(engine, "mailbox", None):
        raise ValueError(f"{ref!r} is from a session that was shut down; its value is gone.")
    return lambda: engine.get_one(ref, None)


def _settle(future: Any, take: Callable[[], Any]) -> None:
    if future.done():  # it has been cancelled
        return
    try:
        value = take()
    except StopIteration as error:  # which no future may hold
        failure: BaseException = RuntimeError(f"the task raised StopIteration: {error}")
        failure.__cause__ = error
    except BaseException as error:
        failure = error
    else:
        _set(future.set_result, value)
        return
    _set(future.set_exception, failure)


def _set(setter: Callable[[Any], None], result: Any) -> None:
    try:
        setter(result)
    except (concurrent.futures.InvalidStateError, asyncio.InvalidStateError):
        pass  # it was cancelled this moment


class _Arrivals:
    """What has settled for the futures of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._arrived: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self._called = False

    def add(self, future: asyncio.Future[Any], take: Callable[[], Any]) -> None:
        """Leaves a note for the loop.  Any thread."""
        self._arrived.append((future, take))
        loop = self._loop()
        if not self._called and loop is not None:
            self._called = True
            try:
                loop.call_soon_threadsafe(self._drain)
            except RuntimeError:
                self._arrived.clear()  # the loop is closed: nobody waits any more

    def _drain(self) -> None:
        self._called = False
        while self._arrived:
            _settle(*self._arrived.popleft())


_arrivals: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Arrivals] = (
    weakref.WeakKeyDictionary()
)
"""An entry appears with a loop's first future and leaves with the loop."""


class _Deliveries:
    """The thread in which futures for threads are set, and callbacks called."""

    queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
    thread: threading.Thread | None = None
    lock = threading.Lock()


def _deliver(ref: ObjectRef, call: Callable[[], None]) -> None:
    queue = _Deliveries.queue
    with _Deliveries.lock:
        if _Deliveries.thread is None or not _Deliveries.thread.is_alive():
            thread = threading.Thread(target=_call_all, name="paralab-callbacks", daemon=True)
            _Deliveries.thread = thread
            thread.start()
    if not current().on_settled(ref, lambda: queue.put(call)):
        queue.put(call)


def _call_all() -> None:
    while (call := _Deliveries.queue.get()) is not None:
        try:
            call()
        except Exception:
            _logger.exception("A callback of a ref raised.")
        del call  # with the ref that it holds


def end_deliveries() -> None:
    """Ends the thread, once it has called what has settled.  At the end of a session."""
    with _Deliveries.lock:
        thread, _Deliveries.thread = _Deliveries.thread, None
    if thread is not None and thread.is_alive():
        _Deliveries.queue.put(None)
        if thread is not threading.current_thread():
            thread.join(timeout=5)
