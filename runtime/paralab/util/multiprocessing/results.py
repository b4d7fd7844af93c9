"""What a pool's methods return: the standard library's own result classes.

Their contract (``get``, ``wait``, ``ready``, ``successful``, ``next``, the errors and timeouts) is
then the standard one.  Two things are added: the pieces of a ``map`` may differ in size, and who
takes an item of ``imap`` makes room for another one.
"""

from __future__ import annotations

import logging
import multiprocessing.pool
import threading
from collections.abc import Callable, Iterator
from typing import Any

_logger = logging.getLogger("paralab")

Outcome = tuple[bool, Any]
"""Whether it went well; the value, or the exception."""
Callback = Callable[[Any], object] | None


def guarded(callback: Callback) -> Callback:
    """``callback``, whose own errors are logged: the results of others must not wait for them."""
    if callback is None:
        return None

    def call(value: Any) -> None:
        try:
            callback(value)
        except Exception:
            _logger.exception("A callback of a pool raised.")

    return call


class AsyncResult(multiprocessing.pool.ApplyResult):  # type: ignore[type-arg]
    """Of ``apply_async``."""

    def __init__(self, pool: Any, callback: Callback, error_callback: Callback) -> None:
        super().__init__(pool, guarded(callback), guarded(error_callback))

    def settle(self, outcome: Outcome) -> None:
        """Takes the one outcome there is."""
        self._set(0, outcome)  # type: ignore[attr-defined]


class MapResult(AsyncResult):
    """Of ``map_async`` and ``starmap_async``: pieces of any size, put together in order.

    As in the standard library it is ready when all pieces are, and its error is the first one.
    """

    def __init__(self, pool: Any, length: int, callback: Callback, error: Callback) -> None:
        super().__init__(pool, callback, error)
        self._items: list[Any] = [None] * length
        self._missing = length
        self._error: BaseException | None = None
        if not length:
            self._set(0, (True, []))  # type: ignore[attr-defined]

    def settle_piece(self, at: int, length: int, outcome: Outcome) -> None:
        """Takes the outcome of the items from ``at`` on."""
        good, value = outcome
        if good:
            self._items[at : at + length] = value
        elif self._error is None:
            self._error = value
        self._missing -= length
        if not self._missing:
            whole = (True, self._items) if self._error is None else (False, self._error)
            self._set(0, whole)  # type: ignore[attr-defined]


class ReadAhead:
    """How many items of an iterable of unknown length may be under way and not taken."""

    def __init__(self, items: int | None) -> None:
        self._free = threading.Semaphore(items or 0)
        self._bounded = items is not None
        self.stopped = False

    def wait(self) -> None:
        """Waits for room for one more."""
        if self._bounded:
            self._free.acquire()

    def taken(self) -> None:
        """There is room for one more."""
        self._free.release()

    def lift(self) -> None:
        """The pool is closed: what is left is computed, as nobody may come to take it."""
        self._bounded = False
        self._free.release()

    def stop(self) -> None:
        """The pool is terminated."""
        self.stopped = True
        self.lift()


class IMapIterator(multiprocessing.pool.IMapIterator):  # type: ignore[type-arg]
    """Of ``imap``: in the order of the items."""

    def __init__(self, pool: Any, ahead: ReadAhead) -> None:
        super().__init__(pool)
        self.ahead = ahead

    def next(self, timeout: float | None = None) -> Any:
        """The next result; ``multiprocessing.TimeoutError`` after ``timeout`` seconds."""
        try:
            return super().next(timeout)
        finally:
            self.ahead.taken()

    __next__ = next  # noqa: A003

    def settle_chunk(self, number: int, _at: int, _length: int, outcome: Outcome) -> None:
        """Takes the outcome of one chunk, whose results the caller takes together."""
        self._set(number, outcome)  # type: ignore[attr-defined]

    def settle_item(self, number: int, _at: int, _length: int, outcome: Outcome) -> None:
        """Takes the outcome of a chunk of one item."""
        good, value = outcome
        self._set(number, (good, value[0] if good else value))  # type: ignore[attr-defined]

    def end(self, length: int) -> None:
        """There are no more than ``length`` outcomes."""
        self._set_length(length)  # type: ignore[attr-defined]


class InPieces:
    """The items of an ``imap`` whose outcomes are chunks, one by one.

    An error stands for all of its chunk; the iteration can go on with the next one.
    """

    def __init__(self, chunks: IMapIterator) -> None:
        self._chunks = chunks
        self._items: Iterator[Any] = iter(())

    def __iter__(self) -> InPieces:
        return self

    def next(self, timeout: float | None = None) -> Any:
        """The next result; ``multiprocessing.TimeoutError`` after ``timeout`` seconds."""
        for item in self._items:
            return item
        self._items = iter(self._chunks.next(timeout))
        return next(self._items)

    __next__ = next  # noqa: A003


class IMapUnorderedIterator(multiprocessing.pool.IMapUnorderedIterator, IMapIterator):  # type: ignore[type-arg]
    """Of ``imap_unordered``: as they come."""
