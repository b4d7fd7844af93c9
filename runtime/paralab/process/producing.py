"""The worker's side of generators: makes items and sends them while the function goes on.

::

    the thread that runs the call        whoever holds the baton
    next, pack, append to ``_items`` ──▶ send ── hand refs over, one ITEMS for all that wait
    pause, where the caller says so  ◀── CREDIT

An item costs no switch of threads.  The first leaves at once; while they come in quick turns, what
has gathered leaves every millisecond; and a moment after the last one the I/O thread sends the
rest.  The last items ride in the reply, so a short generator is answered by one message.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from inspect import isgeneratorfunction
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from paralab.ids import INDEX_MASK, Address
from paralab.messages import CREDIT, INLINE, ITEMS
from paralab.process.interrupts import runs_users_code
from paralab.process.links import Link
from paralab.process.received import Call, WorkerTemplate
from paralab.process.thread_lane import run_here
from paralab.serialization import pack
from paralab.state.streams import Opening

if TYPE_CHECKING:
    from paralab.process.client import CoreClient
    from paralab.process.executor import Executor

SEND_NS = 1_000_000
"""Items are held back at most so long while more are made."""
PATIENCE = 0.002
"""Seconds for which a generator that has to pause keeps its CPU."""

LOOK_AGAIN = 1.0
"""Seconds after which a paused async generator looks itself, should its caller have died."""

_now = time.monotonic_ns


class Flow:
    """What the caller of a generator allows it."""

    def __init__(
        self, allowed: int, skip: int, closed: bool, wanted: Sequence[int] | None = None
    ) -> None:
        self.allowed = allowed
        """How many items it may make in all; below 0 any number."""
        self.skip = skip
        """So many the caller has from an attempt before."""
        self.closed = closed
        self.wanted = wanted
        """The numbers of the items that are to be made, None for all."""
        self.heard: Callable[..., object] = _nothing
        """Wakes the coroutine that waits for a change."""

    async def changes(self, enough: Callable[[], bool]) -> None:
        """Returns when the caller has said something, or after a while."""
        import asyncio

        loop = asyncio.get_running_loop()
        there = loop.create_future()
        self.heard = partial(loop.call_soon_threadsafe, _settle, there)
        try:
            if not enough():
                await asyncio.wait([there], timeout=LOOK_AGAIN)
        finally:
            self.heard = _nothing


class Flows:
    """The flows of all generators that have been sent here and are not over."""

    def __init__(self, handlers: dict[int, Callable[..., None]]) -> None:
        self._flows: WeakValueDictionary[tuple[Address, int], Flow] = WeakValueDictionary()
        """A flow appears with its call, which holds it, and leaves with that."""
        handlers[CREDIT] = self._on_credit

    def open(self, call: Call, opening: Opening) -> None:
        """A generator's call has come."""
        call.flow = self._flows[call.link.address, call.key] = Flow(*opening)

    def _on_credit(self, link: Link, _kind: int, key: int, allowed: int, closed: bool) -> None:
        flow = self._flows.get((link.address, key))
        if flow is not None:
            flow.allowed, flow.closed = allowed, closed
            flow.heard()


class Producer:
    """Runs one generator.

    Its end returns the items that are still to be sent, each with the refs inside it.  What it
    raises is raised, once its items have been sent.
    """

    def __init__(self, core: CoreClient, call: Call) -> None:
        self._core = core
        self._call = call
        self._link = call.link
        self._flow: Flow = call.flow
        self._items: deque[tuple[int, Any, Any]] = deque()
        self._asked = False
        """Whether a send is in the mailbox already."""
        self._come = 0
        """Items that the generator has yielded; those after the first ``skip`` are made."""
        self._made = self._sent = self._flow.skip
        self._sent_ns = 0

    @runs_users_code
    async def run(self, generator: Any) -> list[tuple[int, Any, Any]]:
        """Runs it, in a loop if it is an async one; without that it never suspends."""
        is_async = hasattr(generator, "__anext__")
        core, flow = self._core, self._flow
        try:
            while True:
                try:
                    item = await anext(generator) if is_async else next(generator)
                except (StopIteration, StopAsyncIteration):
                    break
                self._take(item)
                while is_async and not self._may_go_on():
                    await flow.changes(self._may_go_on)
                if not self._may_go_on():
                    if not core.baton.wait(self._may_go_on, time.monotonic() + PATIENCE):
                        core.waits.until(self._may_go_on)
                if self._is_over():
                    # Here and not by the garbage collector: what its ``finally`` does, and what
                    # that raises, belongs to the task.
                    if is_async:
                        await generator.aclose()
                    else:
                        getattr(generator, "close", _nothing)()
                    break
        except BaseException:
            if self._made > self._sent:
                core.baton.wait(lambda: self._sent == self._made, None)
            raise
        return list(self._taken())

    def _take(self, item: Any) -> None:
        self._come += 1
        if self._come > self._made:
            self._add(self._made, item)
            self._hurry()
        if self._call.cancelled:
            raise KeyboardInterrupt  # as in code that waits: an actor can be reached here only

    def _may_go_on(self) -> bool:
        flow = self._flow
        return self._is_over() or not (self._link.writing or 0 <= flow.allowed <= self._come)

    def _is_over(self) -> bool:
        """Whether nobody takes any more items."""
        return self._flow.closed or self._link.connection is None

    def _add(self, number: int, item: Any) -> None:
        call = self._call
        wanted = self._flow.wanted
        if wanted is not None and number not in wanted:
            self._items.append((INLINE, b"", ()))
            self._made += 1
            return
        data, buffers, refs = pack(item, f"item {number} of {call.template.name}", "item")
        key = call.key + 1 + number
        if key & INDEX_MASK < number:
            raise OverflowError(f"{call.template.name} has yielded {number:,} items: no more ids.")
        outcome, payload = self._core.objects.keep(self._link.address, key, data, buffers)
        self._items.append((outcome, payload, refs))
        self._made += 1

    def _hurry(self) -> None:
        """Sees to it that what has been made is sent soon, at little cost."""
        core = self._core
        if not self._asked:
            self._asked = True
            core.mailbox.requests.append(self._send)
        if core.mailbox.asleep:
            core.mailbox.wake()
        elif _now() - self._sent_ns > SEND_NS:
            core.baton.pump()

    def _taken(self) -> Iterator[tuple[int, Any, Any]]:
        items = self._items
        while items:
            yield items.popleft()

    def _send(self) -> None:
        """Under the baton: one message for everything that has been made."""
        self._asked = False
        core, link = self._core, self._link
        items = [
            (outcome, payload, core.objects.hand_over(refs, link.address) if refs else None)
            for outcome, payload, refs in self._taken()
        ]
        if items:
            link.post((ITEMS, self._call.key, self._sent, items))
            self._sent += len(items)
        self._sent_ns = _now()


def wrapped(executor: Executor, template: WorkerTemplate, function: Any) -> Callable[..., Any]:
    """What a worker calls for a function that may be a generator."""
    if template.num_returns == 1 and isgeneratorfunction(function):
        return lambda *args, **kwargs: next(function(*args, **kwargs))
    if template.num_returns >= 0:
        return function  # type: ignore[no-any-return]

    def produce(*args: Any, **kwargs: Any) -> Any:
        call = executor.call_here()
        assert call is not None
        generator = function(*args, **kwargs)
        running = Producer(executor.core, call).run(generator)
        if not hasattr(generator, "__anext__"):
            return run_here(running)
        import asyncio

        # An actor's lane awaits it; a task has no loop but its own.
        return running if asyncio._get_running_loop() else asyncio.run(running)

    return produce


def _settle(future: Any) -> None:
    if not future.done():
        future.set_result(None)


def _nothing() -> None:
    pass
