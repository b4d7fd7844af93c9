"""``Queue``: first in, first out, between any tasks, actors and drivers.

The items lie in an async actor, so that any number of ``get`` and ``put`` may wait in it at the
same time.  A ``Queue`` is a handle of that actor: it can be given to tasks and actors, and the
items are there until the last of these handles is gone, or ``shutdown``.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterable
from typing import Any

from paralab.util.annotations import PublicAPI

# ruff: noqa: ASYNC109 - the timeouts are Ray's arguments


@PublicAPI(stability="beta")
class Empty(queue.Empty):
    """There is nothing in the queue, or was nothing for as long as the call could wait.

    The standard library's ``queue.Empty`` too, for programs that were written with that one.
    """


@PublicAPI(stability="beta")
class Full(queue.Full):
    """There is no room in the queue, or was none for as long as the call could wait.

    The standard library's ``queue.Full`` too.
    """


@PublicAPI(stability="beta")
class Queue:
    """A queue in an actor of its own.

    Args:
        maxsize: how many items fit in; 0 is without limit.
        actor_options: options of the actor, such as ``{"num_cpus": 1}`` or ``{"name": "q"}``.
    """

    def __init__(self, maxsize: int = 0, actor_options: dict[str, Any] | None = None) -> None:
        from paralab.api import remote

        self.maxsize = maxsize
        self.actor: Any = remote(_QueueActor).options(**(actor_options or {})).remote(maxsize)

    def __len__(self) -> int:
        return self.size()

    def size(self) -> int:
        """How many items are in it now."""
        return int(_get(self.actor.qsize.remote()))

    def qsize(self) -> int:
        """How many items are in it now."""
        return self.size()

    def empty(self) -> bool:
        """Whether nothing is in it now."""
        return bool(_get(self.actor.empty.remote()))

    def full(self) -> bool:
        """Whether no further item fits in now."""
        return bool(_get(self.actor.full.remote()))

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Adds an item.

        Args:
            item: whatever can be pickled.
            block: whether to wait for room.
            timeout: seconds to wait at most.

        Raises:
            Full: there is no room, or was none in time.
            ValueError: ``timeout`` is negative.
        """
        if not block:
            try:
                _get(self.actor.put_nowait.remote(item))
            except asyncio.QueueFull:
                raise Full from None
        else:
            _check_timeout(timeout)
            _get(self.actor.put.remote(item, timeout))

    async def put_async(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """:meth:`put`, to be awaited."""
        if not block:
            try:
                await self.actor.put_nowait.remote(item)
            except asyncio.QueueFull:
                raise Full from None
        else:
            _check_timeout(timeout)
            await self.actor.put.remote(item, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Takes the oldest item out.

        Args:
            block: whether to wait for one.
            timeout: seconds to wait at most.

        Raises:
            Empty: there is no item, or was none in time.
            ValueError: ``timeout`` is negative.
        """
        if not block:
            try:
                return _get(self.actor.get_nowait.remote())
            except asyncio.QueueEmpty:
                raise Empty from None
        _check_timeout(timeout)
        return _get(self.actor.get.remote(timeout))

    async def get_async(self, block: bool = True, timeout: float | None = None) -> Any:
        """:meth:`get`, to be awaited."""
        if not block:
            try:
                return await self.actor.get_nowait.remote()
            except asyncio.QueueEmpty:
                raise Empty from None
        _check_timeout(timeout)
        return await self.actor.get.remote(timeout)

    def put_nowait(self, item: Any) -> None:
        """``put(item, block=False)``."""
        self.put(item, block=False)

    def put_nowait_batch(self, items: Iterable[Any]) -> None:
        """Adds several items, or none of them.

        Raises:
            Full: not all of them fit in.
            TypeError: ``items`` cannot be iterated over.
        """
        if not isinstance(items, Iterable):
            raise TypeError("Argument 'items' must be an Iterable")
        _get(self.actor.put_nowait_batch.remote(list(items)))

    def get_nowait(self) -> Any:
        """``get(block=False)``."""
        return self.get(block=False)

    def get_nowait_batch(self, num_items: int) -> list[Any]:
        """Takes several items out, or none.

        Raises:
            Empty: there are fewer.
            TypeError, ValueError: ``num_items`` is no int >= 0.
        """
        if not isinstance(num_items, int):
            raise TypeError("Argument 'num_items' must be an int")
        if num_items < 0:
            raise ValueError("'num_items' must be nonnegative")
        return list(_get(self.actor.get_nowait_batch.remote(num_items)))

    def shutdown(self, force: bool = False, grace_period_s: int = 5) -> None:
        """Ends the actor; the queue cannot be used any more.

        Args:
            force: whether calls that the actor has not answered fail at once.
            grace_period_s: seconds that it may take to answer them otherwise.
        """
        from paralab.api import kill, wait

        if self.actor is None:
            return
        if not force:
            ended = self.actor.__ray_terminate__.remote()
            force = not wait([ended], timeout=grace_period_s)[0]
        if force:
            kill(self.actor, no_restart=True)
        self.actor = None


def _get(ref: Any) -> Any:
    from paralab.api import get

    return get(ref)


def _check_timeout(timeout: float | None) -> None:
    if timeout is not None and timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")


class _QueueActor:
    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.queue: asyncio.Queue[Any] = asyncio.Queue(maxsize)

    def qsize(self) -> int:
        return self.queue.qsize()

    def empty(self) -> bool:
        return self.queue.empty()

    def full(self) -> bool:
        return self.queue.full()

    async def put(self, item: Any, timeout: float | None = None) -> None:
        try:
            await asyncio.wait_for(self.queue.put(item), timeout)
        except TimeoutError:
            raise Full from None

    async def get(self, timeout: float | None = None) -> Any:
        try:
            return await asyncio.wait_for(self.queue.get(), timeout)
        except TimeoutError:
            raise Empty from None

    def put_nowait(self, item: Any) -> None:
        self.queue.put_nowait(item)

    def put_nowait_batch(self, items: list[Any]) -> None:
        if self.maxsize > 0 and len(items) + self.qsize() > self.maxsize:
            raise Full(
                f"Cannot add {len(items)} items to queue of size {self.qsize()} and maxsize "
                f"{self.maxsize}."
            )
        for item in items:
            self.queue.put_nowait(item)

    def get_nowait(self) -> Any:
        return self.queue.get_nowait()

    def get_nowait_batch(self, num_items: int) -> list[Any]:
        if num_items > self.qsize():
            raise Empty(f"Cannot get {num_items} items from queue of size {self.qsize()}.")
        return [self.queue.get_nowait() for _ in range(num_items)]
