"""An actor that runs several calls at once: which lane a call takes, and how it all ends.

::

    Incoming ──take──▶ gate ──▶ lane ""    the group of calls that name none
                        │  ├──▶ lane "io"  one lane a concurrency group, each with a limit
                        │  └──▶ ...
                        └── shut until the constructor has run

The lanes of an ``async`` actor are event loops (``loop_lane``), those of others are pools of
threads (``thread_lane``).  The first loop lives in the main thread and leads the engine itself
while it has nothing to do; beside threads the main thread does nothing but lead.  So a call of an
async actor costs no switch of threads, and one of a threaded actor costs two.

An actor that ends drops what it has not begun and finishes what it has.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections import deque
from contextvars import ContextVar
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol

from paralab import worker_stamps
from paralab.exceptions import ActorExit, AsyncioActorExit
from paralab.ids import Address
from paralab.messages import ACTOR, BLOCKED, FAILED, RESULT, SEVERAL, UNBLOCKED
from paralab.process.interrupts import cancelled, packed_cancellation
from paralab.process.received import Call, Reply, arguments, packed_result

if TYPE_CHECKING:
    from paralab.process.executor import Executor

RUNNING: ContextVar[Call | None] = ContextVar("paralab_running", default=None)
"""The call that runs in this thread or coroutine of an actor with lanes."""

NO_ANSWER = -1
"""The process ends, and that is the answer."""

_now = time.monotonic_ns


class Lane(Protocol):
    """Runs the calls of one concurrency group."""

    limit: int
    unfinished: int
    """Calls that are queued or run.  Belongs to the baton's holder."""

    def put(self, call: Call) -> None:
        """Queues a call.  Under the baton."""

    def ended(self, call: Call) -> None:
        """A call is over; in the thread that ran it."""

    def clear(self) -> list[Call]:
        """Drops what has not begun and returns it.  Any thread."""

    def interrupt(self, call: Call) -> None:
        """Ends a call that has begun, where that can be.  Under the baton."""

    def close(self) -> None:
        """Nothing runs any more, and nothing will."""


class Lanes:
    """All lanes of one actor.

    Args:
        executor: of the process.
        is_async: whether some method is a coroutine function.
        limits: for each concurrency group, "" among them, how many calls may run at once.
    """

    def __init__(self, executor: Executor, is_async: bool, limits: dict[str, int]) -> None:
        self.executor = executor
        self.core = core = executor.core
        self.is_async = is_async
        self._limits = limits
        self._lanes: dict[str, Lane] = {}
        self._calls: dict[tuple[Address, int], Call] = {}
        """Calls that are not over.  Belongs to the baton's holder."""
        self._gate: deque[Call] | None = deque()
        self._closed = False
        self._waiting = 0
        """Calls that wait in ``get``."""
        self._said_blocked = False
        self._warned = False
        core.waits.before = self._before_wait
        core.waits.after = self._after_wait
        # Which task is the parent of one that is submitted depends on who submits.
        core.__class__ = type("CoreOfLanes", (_ParentOfEach, type(core)), {})

    # -- under the baton ---------------------------------------------------------------------

    def take(self, call: Call) -> None:
        """Queues a call.  The first one is the constructor's."""
        self._calls[call.link.address, call.key] = call
        if self._gate is not None:
            self._gate.append(call)
        elif self._closed:
            self._lanes[call.template.group].unfinished += 1
            self._refuse(call, self._lanes[call.template.group])
        else:
            self._lanes[call.template.group].put(call)
            if self._said_blocked:
                self._count_waiting(0)

    def cancel(self, caller: Address, key: int, recursive: bool) -> None:
        """Cancels a call of ``caller``.  What runs in a thread runs on, and can ask."""
        call = self._calls.get((caller, key))
        if call is None or call.cancelled:
            return
        call.cancelled = True  # before we look whether it has begun; see run_call
        if not call.begun:
            self.executor.interrupts.answer(call)
            return
        if recursive:
            self.core.cancelling.cancel_children(call.key, False)
        self._lanes[call.template.group].interrupt(call)

    def _open(self) -> None:
        gate, self._gate = self._gate, None
        for call in gate or ():
            self.take(call)

    def _refuse(self, call: Call, lane: Lane) -> None:
        """The actor has left: a call that has not begun need not wait for what still runs."""
        self._over(call, lane)
        if self.executor.exit_cause is not None:
            self.executor.interrupts.answer(call, self.executor.exit_cause)

    def _over(self, call: Call, lane: Lane) -> None:
        lane.unfinished -= 1
        self._calls.pop((call.link.address, call.key), None)

    def _count_waiting(self, change: int) -> None:
        self._waiting += change
        running = 1 if self.is_async else sum(min(a.unfinished, a.limit) for a in self._each())
        is_blocked = 0 < self._waiting >= running
        if is_blocked != self._said_blocked:
            self._said_blocked = is_blocked
            self.core.node.post((BLOCKED if is_blocked else UNBLOCKED,))

    # -- any thread --------------------------------------------------------------------------

    def _each(self) -> list[Lane]:
        return list(self._lanes.values())

    def clear(self) -> None:
        """Drops all calls that have not begun."""
        self._closed = True
        if self._gate is not None:
            self._gate.clear()
        for lane in self._each():
            for call in lane.clear():
                self.core.mailbox.requests.append(partial(self._refuse, call, lane))

    def is_over(self) -> bool:
        """Whether the process may end."""
        executor = self.executor
        if not executor.ending:
            return self.core.broken is not None
        return not self._gate and not any(lane.unfinished for lane in self._each())

    def _before_wait(self) -> None:
        if self.is_async and not self._warned:
            from asyncio import _get_running_loop

            if _get_running_loop() is not None:
                self._warned = True
                logging.getLogger("paralab").warning(
                    "Using blocking paralab.get inside async actor. This blocks the event loop. "
                    "Please use `await` on object ref with asyncio.gather if you want to yield "
                    "execution to the event loop instead."
                )
        self.core.mailbox.requests.append(partial(self._count_waiting, 1))

    def _after_wait(self) -> None:
        self.core.mailbox.requests.append(partial(self._count_waiting, -1))
        self.core.mailbox.wake()

    def leaving(self) -> AsyncioActorExit:
        """What ``exit_actor`` raises in a loop; the actor ends whatever becomes of it."""
        call = RUNNING.get()
        if call is not None:
            call.leaves = True
        self.executor.leave_actor()
        self.core.mailbox.wake()
        return AsyncioActorExit("exit_actor() was called.")

    async def run_call(self, call: Call, lane: Lane) -> None:
        """Runs one call to its end.  Without an event loop it never suspends."""
        executor = self.executor
        core = self.core
        call.begun = get_ident()
        RUNNING.set(call)
        taken = loaded = _now()
        try:
            if call.cancelled:  # its answer may be on its way; another one does no harm
                raise cancelled(call)
            core.pulse.begin(core.address, call.link.address, call.key)
            function: Any = executor.load_function(call.template)
            if self.is_async and call.template.what == ACTOR:
                function = function.run_in_loop
            args, kwargs = arguments(core, call)
            call.data = b""
            loaded = _now()
            result = function(*args, **kwargs)
            if self.is_async and inspect.iscoroutine(result):
                result = await result
                if call.cancelled:  # it has caught what was to end it, and its result is dropped
                    raise cancelled(call)
            if call.leaves:  # it has caught what was to end it
                raise ActorExit
            ended = _now()
            outcome, payload = packed_result(core, call, result)
        except BaseException as error:
            ended = _now()
            outcome, payload = self._failed(call, error)
        function = args = kwargs = result = None  # type: ignore[assignment]
        executor.flush_prints()
        stamps = worker_stamps.pack(call.received, taken, loaded, ended, _now())
        requests = core.mailbox.requests
        if outcome == NO_ANSWER:
            pass
        elif call.nested or call.inner or outcome == SEVERAL:
            requests.append(Reply(core, call, outcome, payload, stamps))
        else:
            requests.append(partial(call.link.post, (RESULT, call.key, outcome, payload, stamps)))
        requests.append(partial(self._over, call, lane))
        lane.ended(call)

    def _failed(self, call: Call, error: BaseException) -> tuple[int, bytes]:
        executor = self.executor
        kind = type(error)  # isinstance may ask a user's __getattribute__
        if call.leaves or issubclass(kind, (ActorExit, SystemExit)):
            if isinstance(error, SystemExit) and error.code != 0:
                executor.leave_process(error)
                return NO_ANSWER, b""
            return executor.leave_actor()
        if self.is_async:
            from asyncio import CancelledError

            if call.cancelled or issubclass(kind, CancelledError):
                return FAILED, packed_cancellation(call, error, self.core.node_hex, met=True)
        return FAILED, executor.failed(call, error)

    # -- the main thread ---------------------------------------------------------------------

    def run(self) -> None:
        """Runs the constructor and then the calls, until this process is to end."""
        assert self._gate is not None
        try:
            constructor = self._gate.popleft()
        except IndexError:
            return  # the actor has ended before it began
        if self.is_async:
            self._run_loops(constructor)
        else:
            self._run_threads(constructor)

    def _run_threads(self, constructor: Call) -> None:
        from paralab.process.thread_lane import ThreadLane, run_here

        lanes = {name: ThreadLane(self, name, limit) for name, limit in self._limits.items()}
        lanes[""].unfinished += 1
        run_here(self.run_call(constructor, lanes[""]))
        self._lanes.update(lanes)
        self.core.mailbox.requests.append(self._open)
        self.core.baton.wait(self.is_over, None)

    def _run_loops(self, constructor: Call) -> None:
        from paralab.process.loop_lane import LeadingLane, LoopLane

        leading = LeadingLane(self, self._limits[""])
        self._lanes[""] = leading
        for name, limit in self._limits.items():
            if name:
                self._lanes[name] = LoopLane(self, name, limit)
        leading.run(constructor)
        for lane in self._each():
            lane.close()

    def opened(self) -> None:
        """The constructor has run."""
        self.core.mailbox.requests.append(self._open)


class _ParentOfEach:
    """What an engine's ``parent_key`` is where several calls run at once."""

    @property
    def parent_key(self) -> int:
        call = RUNNING.get()
        return call.key if call is not None else 0
