"""Cancelling, on the side of the worker: how a running task is stopped, and only the task.

    CANCEL ──▶ in the queue    taken out, answered
               it runs         KeyboardInterrupt in the main thread, in code of the user
               force           this process ends

A signal interrupts the main thread, as Ctrl-C does in a driver, so a task that sleeps or waits
for a lock goes on at once.  Its handler looks at the stack before it raises anything:

========================= =====================================================================
innermost is              then
========================= =====================================================================
the user's code           KeyboardInterrupt
a wait of the engine      the wait ends, and raises KeyboardInterrupt once the tables are whole
other code of the runtime nothing; the signal comes again
a finaliser, a callback   KeyboardInterrupt, if it does not look like one: Python drops that and
of a weak reference, ...  says so to ``sys.unraisablehook``, and the signal comes again
========================= =====================================================================

As long as the call runs and nothing was raised, a thread sends the signal again, at growing
distances: most code of the runtime is over within microseconds.

Rejected: ``PyThreadState_SetAsyncExc``, which interrupts no system call and strikes anywhere;
marking each entry into the runtime, which would cost every call for the sake of a few.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from functools import partial
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from paralab.exceptions import TaskCancelledError
from paralab.ids import task_id
from paralab.messages import CANCEL, FAILED
from paralab.process.baton import Baton
from paralab.process.links import Link
from paralab.process.received import Call, Reply
from paralab.remote_errors import pack_failure

if TYPE_CHECKING:
    from paralab.process.executor import Executor

SIGNAL = int(signal.SIGRTMIN) + 5
"""Not SIGINT: terminals and Jupyter send that one, and a task may set a handler for it."""
FIRST_PAUSE, LAST_PAUSE = 0.002, 1.0
"""Seconds between two signals."""

_HOME = os.path.dirname(os.path.dirname(__file__))
_OURS = {_HOME, *(os.path.join(_HOME, room) for room in ("process", "state", "store", "transport"))}
"""Folders of the runtime's own code; ``util`` and the like are as good as the user's."""
_WAIT = Baton.wait.__code__
_passing: set[CodeType] = set()

_F = TypeVar("_F", bound=Callable[..., Any])


def runs_users_code(function: _F) -> _F:
    """Marks a function of the runtime that calls the user's, and copes if that is interrupted."""
    _passing.add(function.__code__)
    return function


class Interrupts:
    """Stops calls of one worker."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._target: Call | None = None
        """The running call that is to be interrupted, until it has been."""
        self._dropped = threading.Event()
        """It was interrupted where Python drops exceptions."""
        self._missed: tuple[Link, int] | None = None
        """The last call that was to be cancelled and was not found waiting."""

    def install(self) -> None:
        """Sets the signal's handler; in the main thread."""
        executor = self._executor
        executor.core.handlers[CANCEL] = self._on_cancel
        executor.core.baton.interrupted = self._raise
        self._main = threading.get_ident()
        self._report, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        signal.signal(SIGNAL, self._on_signal)

    # -- messages, under the baton -----------------------------------------------------------

    def _on_cancel(self, link: Link, _kind: int, key: int, force: bool, recursive: bool) -> None:
        executor = self._executor
        for queue in (executor.queue, executor.incoming.early):
            for call in list(queue):
                if call.key == key and call.link is link and _withdraw(call, queue):
                    self.answer(call)
                    return
        if executor.lanes is not None:
            executor.lanes.cancel(link.address, key, recursive)
            return
        # A call that the main thread has taken this moment is neither here nor there.
        self._missed = (link, key)
        executor.look_again()
        running = executor.current
        if running is not None and running.key == key and running.link is link:
            self._cancel_running(running, force, recursive)

    def answer(self, call: Call, failure: bytes = b"") -> None:
        """Answers a call that will not begin: it was cancelled, if nothing else is said."""
        core = self._executor.core
        failure = failure or core.objects.failure(cancelled(call))
        now = core.links.now
        Reply(core, call, FAILED, failure, (call.received, now, now, now, now))()

    def _cancel_running(self, call: Call, force: bool, recursive: bool) -> None:
        executor = self._executor
        call.cancelled = True
        call.with_children = recursive
        if recursive:
            executor.core.cancelling.cancel_children(call.key, force)
        if force:
            executor.core.turn()  # what was said until now is sent
            os.kill(os.getpid(), signal.SIGKILL)
        if call is executor.current and executor.actor_ref is None:
            self._target = call
            threading.Thread(target=self._insist, args=(call,), daemon=True).start()

    def check(self, call: Call) -> None:
        """Raises KeyboardInterrupt if a call that begins has been cancelled.  Main thread."""
        missed, self._missed = self._missed, None
        if missed == (call.link, call.key) and not call.cancelled:
            call.cancelled = True
            raise KeyboardInterrupt

    # -- the signal --------------------------------------------------------------------------

    def _insist(self, call: Call) -> None:
        """Sends the signal as long as it has not struck, until the call ends.  A thread's body."""
        pause = FIRST_PAUSE
        while self._executor.current is call:
            if self._target is call:
                signal.pthread_kill(self._main, SIGNAL)
            if self._dropped.wait(pause):
                self._dropped.clear()
                pause = FIRST_PAUSE
            else:
                pause = min(2 * pause, LAST_PAUSE)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._target is not None and self._executor.current is self._target:
            where = _where(frame)
            if where is Where.WAITING:
                self._executor.core.baton.note(number, None)
            elif where is Where.USERS_CODE:
                self._raise()

    def strike(self) -> None:
        """At the end of a wait: raises what is due, so that nothing is made of what it brought.

        A wait for tasks that were cancelled as well may be over before the signal has come.
        """
        if self._target is not None and threading.get_ident() == self._main:
            self._raise()

    def _raise(self, *_signal: Any) -> None:
        """Raises in the call that is to be interrupted, if that is still the one that runs."""
        call, self._target = self._target, None
        executor = self._executor
        if call is not None and executor.current is call:
            if call.with_children:  # those that it has submitted meanwhile
                cancel = executor.core.cancelling.cancel_children
                executor.core.mailbox.requests.append(partial(cancel, call.key, False))
            raise KeyboardInterrupt

    def _on_unraisable(self, what: Any) -> None:
        call = self._executor.current
        if call is not None and call.cancelled and type(what.exc_value) is KeyboardInterrupt:
            self._target = call
            self._dropped.set()
        else:
            self._report(what)


def _withdraw(call: Call, queue: deque[Call] | list[Call]) -> bool:
    """Takes a call out of its queue; False if it has begun meanwhile."""
    try:
        queue.remove(call)
    except ValueError:
        return False
    return True


class Where(Enum):
    """Where the main thread is while a call runs."""

    USERS_CODE = "code of the user"
    WAITING = "a wait of the engine"
    RUNTIME = "other code of the runtime, or a finaliser, in which nothing can be raised"


def _where(frame: FrameType | None) -> Where:
    """Looks at a stack, from its innermost frame down to what has called the user's code."""
    is_ours = frame is not None and frame.f_code in _passing
    while frame is not None:
        code = frame.f_code
        if code is _WAIT:
            return Where.WAITING
        if code in _passing:
            return Where.RUNTIME if is_ours else Where.USERS_CODE
        is_ours |= os.path.dirname(code.co_filename) in _OURS
        is_ours |= code.co_name == "__del__"
        frame = frame.f_back
    return Where.RUNTIME


def cancelled(call: Call) -> TaskCancelledError:
    """What the ref of a cancelled call stands for."""
    from paralab.id_types import TaskID  # rarely needed

    return TaskCancelledError(TaskID(task_id(call.link.address, call.key)))


def packed_cancellation(call: Call, error: BaseException, node: str, met: bool = False) -> bytes:
    """The same once ``error`` has ended the call: it says where that was.

    ``met`` is for a call that has begun, even if no frame of its own is left to say so.
    """
    reason = cancelled(call).with_traceback(error.__traceback__)
    pid = os.getpid()
    return pack_failure(reason, function=call.template.name, pid=pid, node=node, met=met)
