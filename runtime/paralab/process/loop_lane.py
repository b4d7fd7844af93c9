"""A concurrency group whose calls run in an event loop: those of an actor with coroutines.

Each call is an asyncio task.  Tasks begin in the order in which the calls came, as many at once
as the limit allows.  Every group has a loop of its own; that of the default group is in the main
thread, and there *the loop leads the engine*: where another loop would sleep in its selector,
``_EngineSelector`` waits in the engine, for calls and for the loop's own sockets alike (an epoll
object can be polled itself).  So no other thread hands calls over, replies of one round of the
loop leave in one frame, and what is left of a call is one task.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from paralab.exceptions import ActorExit
from paralab.process.received import Call

if TYPE_CHECKING:
    from paralab.process.lanes import Lanes

FLUSH_NS = 1_000_000
"""Replies wait at most so long while the loop has more to do."""
LEFT_OVER_SECONDS = 1.0
"""How long tasks that the actor leaves behind may take to notice that they are cancelled."""

_now = time.monotonic_ns


class LoopLane:
    """A lane in a thread of its own; see :class:`paralab.process.lanes.Lane`."""

    def __init__(
        self, lanes: Lanes, name: str, limit: int, selector: _EngineSelector | None = None
    ) -> None:
        self.limit = limit
        self.unfinished = 0
        self.loop = asyncio.SelectorEventLoop(selector)
        self._lanes = lanes
        self._calls: deque[Call] = deque()
        self._tasks: dict[Call, asyncio.Task[None]] = {}
        self._told = False
        self._thread: threading.Thread | None = None
        if selector is None:
            self._thread = threading.Thread(target=self._serve, name=f"paralab-{name}", daemon=True)
            self._thread.start()

    # -- under the baton ---------------------------------------------------------------------

    def put(self, call: Call) -> None:
        """Queues a call and tells the loop, once."""
        self.unfinished += 1
        self._calls.append(call)
        if not self._told:
            self._told = True
            self.loop.call_soon_threadsafe(self.start_some)

    def clear(self) -> list[Call]:
        """Drops what has not begun."""
        dropped: list[Call] = []
        try:
            while True:
                dropped.append(self._calls.popleft())
        except IndexError:
            return dropped

    def interrupt(self, call: Call) -> None:
        """Cancels the task of a call."""
        self.loop.call_soon_threadsafe(self._cancel, call)

    # -- the loop's thread -------------------------------------------------------------------

    def start_some(self) -> None:
        """Makes tasks of queued calls, as far as the limit allows."""
        self._told = False
        calls, tasks = self._calls, self._tasks
        run_call, create_task = self._lanes.run_call, self.loop.create_task
        while calls and len(tasks) < self.limit:
            try:
                call = calls.popleft()
            except IndexError:
                return  # cleared meanwhile
            tasks[call] = create_task(run_call(call, self))

    def ended(self, call: Call) -> None:
        """A call is over: the next one may begin."""
        self._tasks.pop(call, None)
        if self._calls:
            self.start_some()
        self._lanes.core.mailbox.wake()

    def _cancel(self, call: Call) -> None:
        task = self._tasks.get(call)
        if task is not None:
            task.cancel()

    def _serve(self) -> None:
        self._run_forever()
        self._end_tasks()

    def _run_forever(self) -> None:
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
                return
            except (ActorExit, SystemExit):  # of a task that the user's code has started
                self._lanes.executor.leave_actor()

    def _end_tasks(self) -> None:
        """Cancels what the actor has left behind; its ``finally`` clauses run."""
        loop = self.loop
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=LEFT_OVER_SECONDS))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def close(self) -> None:
        """Ends the loop, and with it the thread."""
        if self._thread is not None:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(2 * LEFT_OVER_SECONDS)


class LeadingLane(LoopLane):
    """The lane of the default group, in the main thread."""

    def __init__(self, lanes: Lanes, limit: int) -> None:
        self._selector = selector = _EngineSelector(self, lanes)
        super().__init__(lanes, "", limit, selector)

    def put(self, call: Call) -> None:
        """Queues a call; the selector finds it."""
        self.unfinished += 1
        self._calls.append(call)

    def ended(self, call: Call) -> None:
        """A call is over; its reply leaves with the next round, or after a while."""
        self._tasks.pop(call, None)
        self._selector.wake_sometimes()

    def has_room(self) -> bool:
        """Whether a call could begin."""
        return bool(self._calls) and len(self._tasks) < self.limit

    def run(self, constructor: Call) -> None:
        """Runs the constructor, then calls, until the actor is over."""
        self.unfinished += 1
        self.loop.create_task(self._construct(constructor))
        self._run_forever()
        self._end_tasks()

    async def _construct(self, call: Call) -> None:
        await self._lanes.run_call(call, self)
        self._lanes.opened()

    def _end_tasks(self) -> None:
        self._selector.ending = True
        super()._end_tasks()


class _EngineSelector(selectors.EpollSelector):
    """Waits for the loop's sockets and leads the engine meanwhile."""

    def __init__(self, lane: LeadingLane, lanes: Lanes) -> None:
        super().__init__()
        self._lane = lane
        self._lanes = lanes
        self._core = lanes.core
        self._ready = False
        """One of the loop's own sockets has something."""
        self._last = 0
        self.ending = False
        self._core.links.watch(self.fileno(), self._on_ready)

    def _on_ready(self) -> None:
        self._ready = True

    def _has_work(self) -> bool:
        return self._ready or self._lane.has_room() or (not self.ending and self._lanes.is_over())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What the loop's sockets have; queued calls become tasks on the way."""
        lane = self._lane
        self._ready = False
        events = super().select(0)
        if timeout is not None and timeout <= 0:
            if _now() - self._last > FLUSH_NS:
                self._core.baton.pump()
                self._last = _now()
        elif not events:
            deadline = None if timeout is None else time.monotonic() + timeout
            self._core.baton.wait(self._has_work, deadline)
            self._last = _now()
            events = super().select(0)
        if lane.has_room():
            lane.start_some()
        if not self.ending and self._lanes.is_over():
            lane.loop.stop()
        return events

    def wake_sometimes(self) -> None:
        """Wakes the I/O thread if it leads and sleeps while replies wait for the loop's turn."""
        now = _now()
        if now - self._last > FLUSH_NS:
            self._last = now
            self._core.mailbox.wake()

    def close(self) -> None:
        """Closes the epoll object."""
        self._core.links.unwatch(self.fileno())
        super().close()
