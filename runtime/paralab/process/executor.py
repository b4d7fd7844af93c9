"""The worker's side of calls: one thread, one queue, one call after the other.

The main thread of a worker runs the calls.  Between calls it leads the engine, that is, it waits
for the next one at the sockets itself; while a long call runs, the I/O thread leads, answers
TAKE_BACK and sends what is ready.  Replies of short calls are collected and leave together.

What a call leaves behind is decided once it is over and its own refs are gone: refs that
somebody here still holds are listed in the reply, so that the caller can tell their owners.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from paralab.exceptions import ActorDiedError, ActorExit, LocalNodeDied
from paralab.ids import Address
from paralab.messages import (
    ACTOR,
    ACTOR_EXIT,
    ASK,
    ASSIGNED,
    BLOCKED,
    CALL,
    DEFINE,
    FAILED,
    FORGET,
    INLINE,
    METHOD,
    RESULT,
    RETIRE,
    RETIRING,
    RETURNED,
    SEVERAL,
    STORED,
    TAKE_BACK,
    TERMINATE,
    UNBLOCKED,
)
from paralab.object_ref import ObjectRef
from paralab.platform import NumericThreads
from paralab.process.assignment import Assignment
from paralab.process.client import CoreClient
from paralab.process.imports import Imports
from paralab.process.interrupts import Interrupts, packed_cancellation, runs_users_code
from paralab.process.links import Link
from paralab.process.objects import INLINE_LIMIT
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
from paralab.task_spec import RESOURCE_UNIT

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
        self.actor_ref: tuple[Address, int] | None = None
        self.assigned = Assignment()
        self.flush_prints: Callable[[], None] = _nothing
        self.imports = Imports(self._say_changed)
        self.interrupts = Interrupts(self)
        self._templates: dict[tuple[Address, int], WorkerTemplate] = {}
        self._has_constructor = False
        self.early: list[Call] = []
        """Calls of others that came before the creator's constructor call."""
        self._threads = self._threads_wanted = 1
        """How many threads the numeric libraries use here, and should use."""
        self._numeric: NumericThreads | None = None
        self._ending = False
        self.exit_code = 0
        self.exit_cause: bytes | None = None
        """Why this actor ends, packed, where it does so by itself."""
        self._last_flush = 0
        self.handlers: dict[int, Callable[..., None]] = {
            CALL: self._on_call,
            DEFINE: self._on_define,
            FORGET: self._on_forget,
            TAKE_BACK: self._on_take_back,
            ASSIGNED: self._on_assigned,
            TERMINATE: self._on_terminate,
            RETIRE: self._on_retire,
        }

    def attach(self, core: CoreClient) -> None:
        """Makes this the executor of ``core``'s process."""
        self.core = core
        core.waits.before = self._before_wait
        core.waits.after = self._after_wait
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
                if self._ending or core.broken is not None:
                    self._say_goodbye()
                    return
                wait(self._has_work, None)
                self._last_flush = now = _now()
                if now > self.imports.due:
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

    def _say_goodbye(self) -> None:
        """Returns when the node has read everything that this process has said."""
        core = self.core
        if core.broken is None:
            if self.exit_cause is not None:
                core.post_node((ACTOR_EXIT, self.exit_cause))
            try:
                core.ask(ASK, "nothing")
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
        return self.queue or self._ending or self.core.broken

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
            if self._threads != self._threads_wanted:
                self._set_threads()
                self.interrupts.check(call)
            function = template.function
            if function is None:
                function = self._load_function(template)
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
            outcome, payload = self._leave_actor()
        except SystemExit as error:
            if self.actor_ref is None:
                self._leave_process(error)
                return
            ended = _now()
            outcome, payload = self._leave_actor()
        except BaseException as error:
            ended = _now()
            outcome = FAILED
            payload = self._failed(call, error)
        args = kwargs = None  # type: ignore[assignment]
        core.parent_key = 0
        self.flush_prints()
        self.current = None
        stamps = (call.received, taken, loaded, ended, _now())
        if call.nested or call.inner or outcome == SEVERAL:
            core.mailbox.requests.append(Reply(core, call, outcome, payload, stamps))
        else:
            link.post((RESULT, key, outcome, payload, stamps))

    def _set_threads(self) -> None:
        """Lets BLAS and OpenMP use as many threads as the task has CPUs."""
        if self._numeric is None:
            self._numeric = NumericThreads()
        else:
            self._numeric.find()
        self._numeric.set(self._threads_wanted)
        self._threads = self._threads_wanted

    def _failed(self, call: Call, error: BaseException) -> bytes:
        template = call.template
        node = self.core.node_hex
        if call.cancelled and isinstance(error, KeyboardInterrupt):
            return packed_cancellation(call, error, node)
        failure = pack_failure(error, function=template.name, pid=os.getpid(), node=node)
        if template.what == ACTOR:
            text = str(unpack_failure(failure))
            died = ActorDiedError(
                f"The actor died because of an error raised in its creation task, "
                f"{template.name}.__init__(): {text}",
                actor_init_failed=True,
            )
            failure = self.core.objects.failure(died)
            self._end(failure)
        return failure

    def _leave_process(self, error: SystemExit) -> None:
        """A task has called ``sys.exit``: its process ends, and that is the answer."""
        code = error.code
        self.exit_code = code if type(code) is int else 0 if code is None else 1
        self._ending = True
        self.core.mailbox.requests.append(lambda: self._give_back(None))

    def _leave_actor(self) -> tuple[int, bytes]:
        error = ActorDiedError("The actor is dead because its method called exit_actor().")
        failure = self.core.objects.failure(error)
        self._end(failure)
        return FAILED, failure

    def _end(self, cause: bytes | None) -> None:
        """Ends this process after the current call; calls behind it fail with ``cause``."""
        self._ending = True
        self.exit_cause = cause
        self.queue.clear()

    def _load_function(self, template: WorkerTemplate) -> Callable[..., Any]:
        if template.what == METHOD:
            if self.instance is None:
                raise ActorDiedError("The actor has no instance: its constructor did not run.")
            return getattr(self.instance, template.method)  # type: ignore[no-any-return]
        loaded: Callable[..., Any] = load(template.data)
        if template.what == ACTOR:
            return _Constructor(self, loaded)
        template.function = loaded
        return loaded

    # -- while a call waits in get -----------------------------------------------------------

    def _before_wait(self) -> None:
        self.core.mailbox.requests.append(self._say_blocked)

    def _after_wait(self) -> None:
        self.core.mailbox.requests.append(self._say_unblocked)

    def _say_blocked(self) -> None:
        self.core.node.post((BLOCKED,))
        if self.actor_ref is None:
            self._give_back(None)

    def _say_unblocked(self) -> None:
        self.core.node.post((UNBLOCKED,))

    def look_again(self) -> None:
        """Has the next call that begins ask ``interrupts.check``.  Under the baton."""
        self._threads = 0

    def disown(self) -> None:
        """In a child that a task has forked: should its function return, the child just ends."""
        self.queue.clear()
        self._ending = True

    # -- messages, under the baton -----------------------------------------------------------

    def _on_call(
        self,
        link: Link,
        _kind: int,
        key: int,
        number: int,
        data: Any,
        top: Any = (),
        nested: Any = (),
        argument: int = 0,
    ) -> None:
        core = self.core
        template = self._templates[link.address, number]
        call = Call(link, key, template, data, core.links.now)
        if top or nested or argument:
            receive = core.ownership.receive
            call.top, call.nested = filled, held = [], []
            for place, owner, of, outcome, payload in top:
                ref = None
                if outcome == STORED:
                    entry = receive((owner, of), 0)
                    entry.outcome, entry.payload = outcome, tuple(payload)
                    ref = ObjectRef(entry)
                    held.append(ref)
                filled.append((place, outcome, payload, ref))
            held += [ObjectRef(receive(tuple(pair), 0)) for pair in nested]
            if argument:
                entry = receive((link.address, argument), 0)
                entry.outcome, entry.payload = STORED, tuple(data)
                call.argument = ObjectRef(entry)
                held.append(call.argument)
        if template.what == METHOD and not self._has_constructor:
            self.early.append(call)
            return
        self.queue.append(call)
        if template.what == ACTOR:
            self._has_constructor = True
            self.queue.extend(self.early)
            self.early.clear()

    def _on_define(
        self,
        link: Link,
        _kind: int,
        number: int,
        what: int,
        name: str,
        num_returns: int,
        function_id: bytes,
        rest: Any,
        refs: Any,
        _retry: bool,
    ) -> None:
        held = [ObjectRef(self.core.ownership.receive(tuple(ref), 1)) for ref in refs]
        template = WorkerTemplate(what, name, num_returns, function_id, rest, held)
        self._templates[link.address, number] = template

    def _on_forget(self, link: Link, _kind: int, number: int) -> None:
        self._templates.pop((link.address, number), None)

    def _on_take_back(self, link: Link, _kind: int, _keys: list[int]) -> None:
        self._give_back(link)

    def _give_back(self, link: Link | None) -> None:
        """Returns the calls that have not begun to those who sent them (to ``link`` only)."""
        queue = self.queue
        mine: dict[Address, tuple[Link, list[int]]] = {}
        if link is not None:
            mine[link.address] = (link, [])
        for _ in range(len(queue)):
            try:
                call = queue.popleft()
            except IndexError:
                break
            if link is None or call.link is link:
                mine.setdefault(call.link.address, (call.link, []))[1].append(call.key)
            else:
                queue.append(call)
        for to, keys in mine.values():
            to.post((RETURNED, keys))

    def _on_assigned(
        self,
        _link: Link,
        _kind: int,
        resources: dict[str, int],
        devices: list[int],
        depth: int,
        where: Any = None,
    ) -> None:
        self.assigned.take(self.core, resources, devices, where)
        self._threads_wanted = max(1, resources.get("CPU", 0) // RESOURCE_UNIT)
        self.core.depth = depth

    def _on_terminate(self, _link: Link, _kind: int) -> None:
        error = ActorDiedError("The actor ended because its last handle is gone.")
        self.exit_cause = self.core.objects.failure(error)
        self._ending = True

    def _on_retire(self, _link: Link, _kind: int) -> None:
        core = self.core
        busy = bool(self.queue or self.current or core.calls.table.pending)
        owns = any(entry.refs > 0 or entry.holders for entry in core.ownership.owned.values())
        goes = not (busy or owns)
        core.node.post((RETIRING, goes))
        if goes:
            self._ending = True


class _Constructor:
    """Makes the actor's instance as the constructor call's "function"."""

    def __init__(self, executor: Executor, cls: Callable[..., Any]) -> None:
        self._executor = executor
        self._cls = cls

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        executor = self._executor
        call = executor.current
        assert call is not None
        executor.actor_ref = (call.link.address, call.key - 1)
        executor.instance = self._cls(*args, **kwargs)


def _nothing() -> None:
    pass
