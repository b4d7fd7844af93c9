"""What a call of a generator returns: refs to the items that it yields, one by one.

::

    producer ──items──▶ its caller's ItemStream ──take──▶ ObjectRefGenerator ──next──▶ ObjectRef

How items get here is the engine's business; the generator only takes them, in order.  It is
the one consumer: when it goes, nobody can ever ask for the rest, so its end is the stream's.
``wait`` looks at a stream as it looks at the entry of an object: it has a ``payload`` as soon
as ``next`` would not have to wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

from paralab.engine import _Slot
from paralab.object_ref import Mailbox, ObjectRef

if TYPE_CHECKING:
    import asyncio


class ItemStream(Protocol):
    """The items of one generator task, on its caller's side."""

    mailbox: Mailbox

    @property
    def payload(self) -> Any:
        """None while the next item, or the end, has not come."""

    def take(self, timeout: float | None) -> ObjectRef | None:
        """The next item, None if it did not come within ``timeout`` seconds.

        Raises:
            StopIteration: there is none.
        """

    def finished(self) -> bool:
        """Whether every item has been taken and no further one will come."""

    def abandon(self) -> None:
        """Nobody will take an item any more.  May be called by a finaliser, and twice."""

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """Calls back once ``payload`` is there, in any thread, perhaps at once."""


class ObjectRefGenerator:
    """The items of a generator task or method as refs, in the order in which it yields them.

    Made by ``.remote()`` of a generator.  ``for`` and ``async for`` wait for each item.  If the
    task fails, the last ref stands for the error.  When the generator object goes, or is closed,
    the task is told and stops at its next ``yield``.  Not for use by several threads at once.
    """

    __slots__ = ("__weakref__", "_entry", "_generator_ref")

    def __init__(self, generator_ref: ObjectRef, stream: Any) -> None:
        self._generator_ref = generator_ref
        self._entry: ItemStream = stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ObjectRef:
        return self._next_sync()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ObjectRef:
        return await self._next_async()

    def _next_sync(self, timeout_s: float | None = None) -> ObjectRef:
        """The ref of the next item.

        Args:
            timeout_s: seconds to wait at most; None or a negative number waits for ever.

        Returns:
            The ref, or the nil ref if the item did not come in time.

        Raises:
            StopIteration: there are no more.
        """
        self._check()
        timeout = None if timeout_s is None or timeout_s < 0 else timeout_s
        return self._entry.take(timeout) or ObjectRef.nil()

    async def _next_async(self, timeout_s: float | None = None) -> ObjectRef:
        """As :meth:`_next_sync`, for coroutines; the end raises StopAsyncIteration."""
        import asyncio  # which takes longer to load than all of paralab

        self._check()
        stream = self._entry
        loop = asyncio.get_running_loop()
        timeout = None if timeout_s is None or timeout_s < 0 else timeout_s
        while stream.payload is None:
            there = loop.create_future()
            stream.call_when_ready(partial(_tell, loop, there))
            try:
                await asyncio.wait_for(there, timeout)
            except TimeoutError:
                return ObjectRef.nil()
        try:
            return stream.take(0.0) or ObjectRef.nil()
        except StopIteration:
            raise StopAsyncIteration from None

    def completed(self) -> ObjectRef:
        """A ref that is ready when the task is over: None, or the error of a task that was lost.

        An exception that the generator itself raised is its last item and does not stand here.
        """
        return self._generator_ref

    def next_ready(self) -> bool:
        """Whether ``next`` would return a ref at once."""
        self._check()
        return self._entry.payload is not None and not self._entry.finished()

    def is_finished(self) -> bool:
        """Whether all items have been taken, so that ``next`` would raise StopIteration."""
        self._check()
        return self._entry.finished()

    def close(self) -> None:
        """Lets go of what has not been taken; the task stops at its next ``yield``."""
        self._entry.abandon()

    async def aclose(self) -> None:
        """As :meth:`close`."""
        self._entry.abandon()

    def send(self, value: Any) -> NoReturn:
        """Not supported, as in Ray: the task runs ahead and hears nothing between two items."""
        raise NotImplementedError("`gen.send` is not supported.")

    def throw(self, value: Any) -> NoReturn:
        """Not supported, as in Ray."""
        raise NotImplementedError("`gen.throw` is not supported.")

    async def asend(self, value: Any) -> NoReturn:
        """Not supported, as in Ray."""
        raise NotImplementedError("`gen.asend` is not supported.")

    async def athrow(self, value: Any) -> NoReturn:
        """Not supported, as in Ray."""
        raise NotImplementedError("`gen.athrow` is not supported.")

    def _check(self) -> None:
        engine: Any = _Slot.engine
        if engine is None or engine.mailbox is not self._entry.mailbox:
            raise ValueError(
                f"{self!r} is from a session that was shut down, or of another process: its items "
                "are gone. Run the task that made it again."
            )

    def __del__(self) -> None:
        try:
            stream = self._entry
        except AttributeError:
            return  # KeyboardInterrupt came before __init__ had set it
        stream.abandon()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "You cannot return or pass a generator to other task. Serializing a "
            "ObjectRefGenerator is not allowed. Its items can be passed on, as refs."
        )


ObjectRefGenerator.__module__ = "paralab"


class DynamicObjectRefGenerator:
    """The value of a call with ``num_returns="dynamic"``: refs to all items, once they are there.

    Each ``get`` of the call's ref gives a new one.  Iterating takes refs out.
    """

    def __init__(self, refs: Iterable[ObjectRef]) -> None:
        self._refs = deque(refs)

    def __iter__(self) -> Iterator[ObjectRef]:
        while self._refs:
            yield self._refs.popleft()

    def __len__(self) -> int:
        return len(self._refs)


def _tell(loop: asyncio.AbstractEventLoop, there: asyncio.Future[None]) -> None:
    """Ends the wait of a coroutine in another thread."""
    try:
        loop.call_soon_threadsafe(_end, there)
    except RuntimeError:
        pass  # its loop is closed: nobody waits any more


def _end(there: asyncio.Future[None]) -> None:
    if not there.done():
        there.set_result(None)
