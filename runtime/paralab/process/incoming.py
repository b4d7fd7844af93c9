"""What callers tell a worker: functions, calls, and what they want back.  Under the baton.

A call goes to whoever runs calls here: the main thread's queue, or the lanes of an actor that
runs several at once (``executor.accept``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paralab.exceptions import ActorDiedError
from paralab.ids import Address
from paralab.messages import (
    ACTOR,
    ASSIGNED,
    CALL,
    DEFINE,
    FORGET,
    METHOD,
    RETIRE,
    RETIRING,
    RETURNED,
    STORED,
    SURROUND,
    TAKE_BACK,
    TERMINATE,
)
from paralab.object_ref import ObjectRef
from paralab.process.lanes import Lanes
from paralab.process.links import Link
from paralab.process.producing import Flows
from paralab.process.received import Call, WorkerTemplate
from paralab.task_spec import RESOURCE_UNIT

if TYPE_CHECKING:
    from paralab.process.executor import Executor


class Incoming:
    """The message handlers of one worker."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._templates: dict[tuple[Address, int], WorkerTemplate] = {}
        self._has_constructor = False
        self.early: list[Call] = []
        """Calls of others that came before the creator's constructor call."""
        self.handlers: dict[int, Callable[..., None]] = {
            CALL: self._on_call,
            DEFINE: self._on_define,
            FORGET: self._on_forget,
            TAKE_BACK: self._on_take_back,
            ASSIGNED: self._on_assigned,
            TERMINATE: self._on_terminate,
            RETIRE: self._on_retire,
            SURROUND: self._on_surround,
        }
        self._flows = Flows(self.handlers)
        self._assigned = 0
        """The order of the lease that this worker was told of last."""

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
        opening: Any = None,
    ) -> None:
        executor = self._executor
        core = executor.core
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
        if opening is not None:
            if template.num_returns < 0:
                self._flows.open(call, opening)
            else:
                call.wanted = opening
        if template.what == METHOD and not self._has_constructor:
            self.early.append(call)
            return
        if template.what == ACTOR:
            self._has_constructor = True
            if template.concurrency is not None:
                executor.lanes = Lanes(executor, *template.concurrency)
                executor.accept = executor.lanes.take
            executor.accept(call)
            while self.early:
                executor.accept(self.early.pop(0))
            return
        executor.accept(call)

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
        retries: bool,
    ) -> None:
        held = [ObjectRef(self._executor.core.ownership.receive(tuple(ref), 1)) for ref in refs]
        template = WorkerTemplate(what, name, num_returns, function_id, rest, held, retries)
        self._templates[link.address, number] = template

    def _on_forget(self, link: Link, _kind: int, number: int) -> None:
        self._templates.pop((link.address, number), None)

    def _on_take_back(self, link: Link, _kind: int, _keys: list[int]) -> None:
        self.give_back(link)

    def give_back(self, link: Link | None) -> None:
        """Returns the calls that have not begun to those who sent them (to ``link`` only)."""
        queue = self._executor.queue
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
        order: int = 0,
    ) -> None:
        if order < self._assigned:  # of an earlier lease, by another holder, and late
            return
        self._assigned = order
        executor = self._executor
        executor.assigned.take(executor.core, resources, devices, where)
        executor.threads_wanted = max(1, resources.get("CPU", 0) // RESOURCE_UNIT)
        executor.core.depth = depth

    def _on_surround(self, _link: Link, _kind: int, path: list[str], folder: str, at: int) -> None:
        executor = self._executor
        if at > executor.core.welcome.get("moves", 0):
            executor.core.welcome |= {"sys_path": path, "cwd": folder, "moves": at}
            if executor.current is None and not executor.queue:
                executor.settle()
            else:  # not under the feet of a task
                executor.is_settled = False
                executor.look_again()

    def _on_terminate(self, _link: Link, _kind: int) -> None:
        executor = self._executor
        error = ActorDiedError("The actor ended because its last handle is gone.")
        executor.exit_cause = executor.exit_cause or executor.core.objects.failure(error)
        executor.ending = True

    def _on_retire(self, _link: Link, _kind: int) -> None:
        executor = self._executor
        core = executor.core
        busy = bool(executor.queue or executor.current or core.calls.table.pending)
        owns = any(entry.refs > 0 or entry.holders for entry in core.ownership.owned.values())
        goes = not (busy or owns)
        core.node.post((RETIRING, goes))
        executor.ending |= goes
