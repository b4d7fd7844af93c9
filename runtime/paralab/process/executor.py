"""The worker's side of calls: one thread, one queue, one call after the other.

The main thread of a worker runs the calls, unless it is an actor that runs several at once: then
its ``Lanes`` do (``process.lanes``).  Between calls it leads the engine, that is, it waits
for the next one at the sockets itself; while a long call runs, the I/O thread leads, answers
TAKE_BACK and sends what is ready.  Replies of short calls are collected and leave together.

What a call leaves behind is decided once it is over and its own refs are gone: refs that
somebody here still holds are listed in the reply, so that the caller can tell their owners.
"""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from paralab import worker_stamps
from paralab.exceptions import ActorDiedError, ActorExit, LocalNodeDied, TaskCancelledError
from paralab.ids import Address
from paralab.messages import (
    ACTOR,
    ACTOR_EXIT,
    ASK,
    BLOCKED,
    FAILED,
    INLINE,
    METHOD,
    RESULT,
    SEVERAL,
    UNBLOCKED,
)
from paralab.platform import NumericThreads
from paralab.process.assignment import Assignment
from paralab.process.client import CoreClient
from paralab.process.imports import Imports
from paralab.process.incoming import Incoming
from paralab.process.interrupts import Interrupts, packed_cancellation, runs_users_code
from paralab.process.lanes import RUNNING, Lanes
from paralab.process.max_calls import counted
from paralab.process.objects import INLINE_LIMIT
from paralab.process.producing import wrapped
from paralab.process.received import (
    Call,
    Reply,
    WorkerTemplate,
    fill,
    keep_several,
    stored_arguments,
)
from paralab.remote_errors import pack_failure, unpack_failure
from paralab.serialization import load, load_args, pack
from paralab.shown_text import shown_name
from paralab.task_spec import bound_method, constructed, shut_down

GOODBYE_SECONDS = 3.0
"""How long a process that ends waits until others have what it has sent."""
FLUSH_NS = 1_000_000
"""Replies are held back at most so long while more calls wait."""

_now = time.monotonic_ns


class Executor:
    """Runs calls in the main thread of a worker process."""

    def __init__(self) -> None:
        self.core: CoreClient
        self.queue: deque[Call] = deque()
        self.current: Call | None = None
        self.instance: Any = None
        self.actor_class: Any = None
        self.actor_ref: tuple[Address, int] | None = None
        self.label = ""
        """What stands before an actor's prints: its class, or the ``repr`` that it defines."""
        self.assigned = Assignment()
        self.flush_prints: Callable[[], None] = _nothing
        self.imports = Imports(self._say_changed)
        self.interrupts = Interrupts(self)
        self.incoming = Incoming(self)
        self.accept: Callable[[Call], None] = self.queue.append
        """Whom a call goes to."""
        self.calls_of: dict[bytes, int] = {}
        """How often functions with ``max_calls`` have run here, by their ids."""
        self.lanes: Lanes | None = None
        """Of an actor that runs several calls at once; set by its constructor's call."""
        self._threads = self.threads_wanted = 1
        """How many threads the numeric libraries use here, and should use."""
        self._numeric: NumericThreads | None = None
        self.is_settled = True
        """It has the driver's import path and folder as they are now."""
        self.ending = False
        self._waiting = 0
        """Waits of the task that are under way: of its threads, and of a finaliser within one."""
        self.exit_code = 0
        self.is_child = False
        """It is no worker, but was forked from one by a task."""
        self.exit_cause: bytes | None = None
        """Why this actor ends, packed, where it does so by itself."""
        self._last_flush = 0

    def attach(self, core: CoreClient) -> None:
        """Makes this the executor of ``core``'s process."""
        self.core = core
        core.waits.before, core.waits.after = self._before_wait, self._after_wait
        self.interrupts.install()

    # -- the main thread ---------------------------------------------------------------------

    def run(self) -> None:
        """Runs calls until this worker is to end."""
        queue = self.queue
        core = self.core
        wait = core.baton.wait
        dirty = core.links.dirty
        while True:
            if not queue:
                if self.ending or core.broken is not None or self.lanes is not None:
                    if self.lanes is not None:
                        self.lanes.run()
                    self._say_goodbye()
                    return
                wait(self._has_work, None)
                self._last_flush = now = _now()
                if queue and now > self.imports.due:
                    self._look_at_imports(now)
                continue
            try:
                call = queue.popleft()
            except IndexError:
                continue  # the I/O thread has given it back
            self._run(call)
            del call  # or the last function, and what it holds, would live until the next one
            if queue and dirty and _now() - self._last_flush > FLUSH_NS:
                core.baton.pump()
                self._last_flush = _now()

    def call_here(self) -> Call | None:
        """The call that the calling thread or coroutine runs."""
        return self.current or RUNNING.get()

    def _say_goodbye(self) -> None:
        """Returns when the node has read everything that this process has said."""
        core = self.core
        if core.broken is None:
            shut_down(self.instance)
            if self.exit_cause is not None:
                core.post_node((ACTOR_EXIT, self.exit_cause))
            try:
                core.ask(ASK, "nothing")
                core.baton.wait(core.links.settled, time.monotonic() + GOODBYE_SECONDS)
            except LocalNodeDied:
                pass  # then there is nobody to tell

    def _look_at_imports(self, now: int) -> None:
        """What is said goes the way of what the next call prints, and before it."""
        try:
            self.current = self.queue[0]
        except IndexError:
            return  # it was taken back
        try:
            self.imports.look(now)
        finally:
            self.current = None

    def _say_changed(self, module: str, path: str, when: int) -> None:
        if self.actor_ref is None:
            advice = "it runs the old code. Call paralab.restart_workers() to have it imported anew"
        else:
            advice = "this actor keeps the old code. Make a new one after paralab.restart_workers()"
        clock = time.strftime("%H:%M:%S", time.localtime(when / 1e9))
        sys.stderr.write(
            f"paralab: the module {module} ({path}) has changed, at {clock}, since this process "
            f"imported it; {advice}.\n"
        )

    def _has_work(self) -> Any:
        return self.queue or self.ending or self.lanes or self.core.broken

    @runs_users_code
    def _run(self, call: Call) -> None:
        taken = loaded = _now()
        core = self.core
        template = call.template
        link = call.link
        key = call.key
        self.current = call
        core.parent_key = key
        core.pulse.begin(core.address, link.address, key)
        try:
            if self._threads != self.threads_wanted:
                self._set_threads()
                self.interrupts.check(call)
                if not self.is_settled:
                    self.settle()
            function = template.function
            if function is None:
                function = self.load_function(template)
            args, kwargs = load_args(
                call.data if type(call.data) is bytes else stored_arguments(core, call)
            )
            if call.top:
                args, kwargs = fill(core, call, args, kwargs)
            loaded = _now()
            result = function(*args, **kwargs)
            ended = _now()
            count = template.num_returns
            if count == 1:
                data, buffers, refs = pack(result, template.subject, "result")
                if refs:
                    call.inner = refs
                if buffers or len(data) >= INLINE_LIMIT:
                    outcome, payload = core.objects.keep(link.address, key, data, buffers)
                else:
                    outcome, payload = INLINE, data
            else:
                outcome, payload = keep_several(core, call, result, count)
            result = None
        except ActorExit:
            ended = _now()
            outcome, payload = self.leave_actor()
        except SystemExit as error:
            if self.actor_ref is None or error.code != 0:
                self.leave_process(error)
                return
            ended = _now()
            outcome, payload = self.leave_actor()
        except BaseException as error:
            ended = _now()
            outcome = FAILED
            payload = self.failed(call, error)
        args = kwargs = None  # type: ignore[assignment]
        core.parent_key = 0
        self.flush_prints()
        self.current = None
        stamps = worker_stamps.pack(call.received, taken, loaded, ended, _now())
        if call.nested or call.inner or outcome == SEVERAL:
            core.mailbox.requests.append(Reply(core, call, outcome, payload, stamps))
        else:
            link.post((RESULT, key, outcome, payload, stamps))

    def settle(self) -> None:
        """Takes over the driver's import path and folder, in this process's environment."""
        self.is_settled = True
        welcome = self.core.welcome
        around = importlib.import_module("paralab.runtime_env.surroundings")  # above this room
        around.settle(welcome["sys_path"], welcome["cwd"], welcome["environment"][1])

    def _set_threads(self) -> None:
        """Lets BLAS and OpenMP use as many threads as the task has CPUs."""
        if self._numeric is None:
            self._numeric = NumericThreads()
        else:
            self._numeric.find()
        self._numeric.set(self.threads_wanted)
        self._threads = self.threads_wanted

    def failed(self, call: Call, error: BaseException) -> bytes:
        if self.is_child:
            self.exit_code = 1
            traceback.print_exception(error)
        template = call.template
        node = self.core.node_hex
        # It may have waited for a child that was cancelled with it.
        if call.cancelled and isinstance(error, TaskCancelledError):
            return packed_cancellation(call, error, node)
        if template.what != ACTOR and issubclass(type(error), KeyboardInterrupt):
            return packed_cancellation(call, error, node)  # raised by the task, it means the same
        name = template.name + ".__init__" * (template.what == ACTOR)
        failure = pack_failure(error, function=name, pid=os.getpid(), node=node)
        if template.what == ACTOR:
            text = str(unpack_failure(failure))
            why = (
                f"The actor died because of an error raised in its creation task, {name}(): {text}"
            )
            died = ActorDiedError(why, actor_init_failed=True)
            sys.stderr.write(f"Exception raised in creation task: {died}\n")
            failure = self.core.objects.failure(died)
            self._end(failure)
        return failure

    def leave_process(self, error: SystemExit) -> None:
        """A task has called ``sys.exit``: its process ends, and that is the answer.

        The same holds for an actor that says that something is wrong: then it has not ended on
        purpose, and is started again where it has restarts left.
        """
        code = error.code
        self.exit_code = code if type(code) is int else 0 if code is None else 1
        if self.actor_ref is not None:
            self._end(None)
            return
        self.ending = True
        self.core.mailbox.requests.append(lambda: self.incoming.give_back(None))

    def leave_actor(self) -> tuple[int, bytes]:
        why = "The actor is dead because its method called exit_actor() or sys.exit(0)."
        failure = self.core.objects.failure(ActorDiedError(why))
        self._end(failure)
        return FAILED, failure

    def _end(self, cause: bytes | None) -> None:
        """Ends this process after what runs now; calls behind it fail with ``cause``."""
        self.exit_cause = cause
        self.ending = True
        self.queue.clear()
        if self.lanes is not None:
            self.lanes.clear()

    def load_function(self, template: WorkerTemplate) -> Callable[..., Any]:
        """What a call runs: a function, a method of the instance, or its constructor."""
        if template.fresh:
            template.fresh = False
            core = self.core
            if self.lanes is None and (core.links.dirty or core.mailbox.requests):
                core.baton.pump()  # should this one crash, what has ended before is not lost
        if template.what == METHOD:
            if self.instance is None:
                raise ActorDiedError("The actor has no instance: its constructor did not run.")
            return wrapped(self, template, bound_method(self.instance, template.method))
        loaded: Callable[..., Any] = load(template.data)
        if template.what == ACTOR:
            return Constructor(self, loaded)
        loaded = counted(self, template, wrapped(self, template, loaded))
        template.function = loaded
        return loaded

    # -- while a call waits in get -----------------------------------------------------------

    def _before_wait(self) -> None:
        self.core.mailbox.requests.append(self._say_blocked)

    def _after_wait(self) -> None:
        self.core.mailbox.requests.append(self._say_unblocked)
        self.interrupts.strike()

    def _say_blocked(self) -> None:
        self._waiting += 1
        self.core.node.post((BLOCKED,))  # each time: the lease may be another one than the last
        if self.actor_ref is None:
            self.incoming.give_back(None)

    def _say_unblocked(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self.core.node.post((UNBLOCKED,))

    def look_again(self) -> None:
        """Has the next call that begins ask ``interrupts.check``.  Under the baton."""
        self._threads = 0

    def disown(self) -> None:
        """In a child that a task has forked: once its function is over, so is the child.

        Nobody else would end it where the function runs in a thread or in an event loop.
        """
        self.queue.clear()
        self.is_child = self.ending = True
        finish = self.flush_prints

        def end() -> None:
            atexit._run_exitfuncs()
            finish()
            os._exit(self.exit_code)

        self.flush_prints = end


class Constructor:
    """Makes the actor's instance as the constructor call's "function"."""

    def __init__(self, executor: Executor, cls: Callable[..., Any]) -> None:
        self._executor = executor
        self._cls = cls

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self._begin()
        self._made(self._cls(*args, **kwargs))

    async def run_in_loop(self, *args: Any, **kwargs: Any) -> None:
        """The same in an event loop, where ``__init__`` may be a coroutine function."""
        self._begin()
        self._made(await constructed(self._cls, args, kwargs))

    def _begin(self) -> None:
        executor = self._executor
        call = executor.call_here()
        assert call is not None
        executor.actor_ref = (call.link.address, call.key - 1)
        executor.actor_class = self._cls
        executor.label = call.template.name

    def _made(self, instance: Any) -> None:
        self._executor.instance = instance
        if any("__repr__" in vars(cls) for cls in type(instance).__mro__[:-1]):
            try:
                self._executor.label = shown_name(repr(instance))
            except Exception:
                pass  # the user's own; the class has a name too


def _nothing() -> None:
    pass
