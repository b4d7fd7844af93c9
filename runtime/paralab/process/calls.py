"""A client's calls: tasks and actor methods, from ``.remote()`` to the settled ref.

    any thread        submit ── pack, one append to the mailbox
    baton's holder    enter ── wait for inputs ── assign to a leased worker ── CALL
                      RESULT ── settle ── let dependants go, keep the record

See ``state.tasks`` and ``state.actors`` for the decisions.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paralab import worker_stamps
from paralab.exceptions import (
    NodeDiedError,
    TaskError,
    TaskPlacementGroupRemoved,
    WorkerCrashedError,
)
from paralab.ids import FIRST_RETURN, Address
from paralab.messages import ACTOR as ACTOR_CLASS
from paralab.messages import CALL, FAILED, FREE, GROUP_REMOVED, NODE_DIED, SEVERAL, STORED
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.process.objects import INLINE_LIMIT
from paralab.remote_errors import unpack_failure, with_note
from paralab.serialization import pack_args
from paralab.state.actors import Actor, ActorState
from paralab.state.obituaries import last_attempt, not_again, told
from paralab.state.ownership import Entry, Ref
from paralab.state.tasks import (
    LeasedWorker,
    SchedulingClass,
    Task,
    TaskTable,
    Template,
    next_attempt,
)

if TYPE_CHECKING:
    from paralab.process.client import CoreClient

IDLE_LEASE_NS = 100_000_000
"""A lease without work is returned after this time."""
PUMP_EVERY = 128
"""Submissions after which the submitting thread gives the engine a turn itself."""
_DEATHS = {NODE_DIED: NodeDiedError, GROUP_REMOVED: TaskPlacementGroupRemoved}
"""The error of a task whose worker did not die by itself, by how the text of its death begins."""

_now = time.monotonic_ns


class Calls:
    """The task and actor part of one client."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._mailbox = core.mailbox
        self._submissions = core.mailbox.submissions
        self.table = TaskTable()
        self.ready: dict[SchedulingClass, None] = {}
        self.sendable: list[Actor] = []
        """Actors whose queue may have a call to send."""

    # -- any thread --------------------------------------------------------------------------

    def submit(
        self, template: Template, actor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[ObjectRef]:
        """Packs a call and leaves it in the mailbox."""
        submitted = _now()
        core = self._core
        data, buffers, nested, top = pack_args(args, kwargs, template.name)
        pickled = _now()
        if top or nested:
            core.objects.check_refs((*(ref for _place, ref in top), *nested))
        key = core.next_key() + FIRST_RETURN
        argument = None
        if buffers or len(data) >= INLINE_LIMIT:
            argument, data = core.objects.keep_arguments(data, buffers, key)
        owned = core.ownership.owned
        count = template.num_returns
        if count == 1:
            entry = Entry(key, core.address, self._mailbox)
            entry.pending = True
            owned[key] = entry
            entries = [entry]
            refs = [ObjectRef(entry)]
        elif count < 0:
            call = (data, top, nested, core.parent_key, submitted, pickled)
            return core.streams.submit(template, actor, key, call, argument)
        else:
            entries = []
            for index in range(count):
                entry = Entry(key + index, core.address, self._mailbox)
                entry.pending = True
                owned[key + index] = entry
                entries.append(entry)
            refs = [ObjectRef(entry) for entry in entries]
        parent = core.parent_key
        task = Task(key, template, entries, data, top, nested, parent, submitted, pickled, _now())
        if argument is not None:
            task.argument = argument
            task.plain = False
        if actor is not None:
            task.actor = actor
        submissions = self._submissions
        submissions.append(task)
        if self._mailbox.asleep:
            self._mailbox.wake()
        elif len(submissions) >= PUMP_EVERY:
            core.baton.pump()
        return refs

    # -- submission, under the baton ---------------------------------------------------------

    def enter(self, task: Task) -> None:
        """Takes a submitted call into the tables."""
        if task.key in self.table.pending:
            return
        missing = self._await_inputs(task)
        if task.actor is not None:
            self._core.actor_calls.enter(task)
        elif not missing:
            self.enqueue(task)

    def _await_inputs(self, task: Task) -> list[Entry]:
        missing: list[Entry] = []
        for _place, ref in task.top:
            entry = ref._entry
            if entry.payload is None and not entry.pending:
                self._core.objects.fetch(entry)
            if entry.payload is None:  # a dead owner's object has failed at once
                missing.append(entry)
        self.table.enter(task, missing)
        return missing

    def enqueue(self, task: Task) -> None:
        """Has a task whose inputs are there wait for a worker, or fail with one of them."""
        if task.top and self._input_failed(task):
            return
        template = task.template
        depth = self._core.depth + 1
        cls = template.cls
        if cls is None or cls.depth != depth:
            cls = template.cls = self.table.scheduling_class(
                template.options, depth, template.environment
            )
        cls.queue.append(task)
        self.ready[cls] = None

    def input_settled(self, task: Task) -> None:
        """One of the task's inputs is there."""
        if not self.table.input_settled(task):
            return
        actor = task.actor
        if actor is not None:
            actor.input_settled(task)
        if task.cancelled:
            return
        task.ready = _now()
        if actor is not None:
            self.sendable.append(actor)
        else:
            self.enqueue(task)

    def _input_failed(self, task: Task) -> bool:
        """Whether an input stands for an error: then the task has failed because of it."""
        for _place, ref in task.top:
            if ref._entry.outcome == FAILED:
                failure = self._core.objects.failed_input(task.template.name, ref._entry)
                if task.template.what == ACTOR_CLASS:
                    self._core.actor_calls.input_failed(task, failure)
                self.fail(task, failure)
                return True
        return False

    def fail(self, task: Task, failure: bytes) -> None:
        """A call ends without an answer: its refs stand for ``failure`` from now on."""
        events = self._core.events
        if task.template.recorded:
            events.failures.append((task.key, failure))
            events.append((b"", task.record(), worker_stamps.NONE, _now(), FAILED, len(failure)))
        self.table.answered(task.key)
        task.cancelled = True
        for entry in task.entries:
            self._core.objects.settle(entry, FAILED, failure, None)
        if task.stream is not None:
            self._core.streams.failed(task.stream, failure)
        elif not task.entries and task.template.what != ACTOR_CLASS:
            self._core.failures += 1
        task.top = task.nested = ()
        task.argument = task.handle = None

    # -- dispatch ----------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Gives ready tasks to workers with room and asks for workers that are lacking."""
        now = _now()
        leasing = self._core.leasing
        if self.ready:
            for cls in list(self.ready):
                for worker, tasks in cls.assign(now):
                    link = worker.peer
                    for task in tasks:
                        task.sent = now
                        task.leased = worker.leased
                        self._send(task, link)
                if cls.queue:
                    leasing.want(cls)
                else:
                    self.ready.pop(cls, None)
                    for worker in cls.unused():
                        leasing.give_back(worker)
                    leasing.withdraw(cls)
        if self.sendable:
            actors, self.sendable = self.sendable, []
            for actor in actors:
                calls = actor.sendable()
                for task in calls:
                    if task.top:
                        if self._input_failed(task):
                            actor.inflight.pop(task.key, None)
                            continue
                        if self._await_inputs(task):  # one was lost meanwhile
                            actor.take_back(calls[calls.index(task) :])
                            break
                    task.sent = task.leased = now
                    self._send(task, actor.peer)

    def _send(self, task: Task, link: Link) -> None:
        template = task.template
        if link.address not in template.sent_to:
            self._core.templates.define(template, link)
        if task.plain:
            link.post((CALL, task.key, template.number, task.data))
            return
        top = []
        inside = list(task.nested)
        for place, ref in task.top:
            entry = ref._entry
            if entry.payload is None or entry.outcome == FAILED:
                self._take_back(task)
                return
            top.append((place, entry.owner, entry.key, entry.outcome, entry.payload))
            if entry.inner:
                inside += entry.inner
        nested = [(ref._entry.owner, ref._entry.key) for ref in inside]
        argument = 0 if task.argument is None else task.argument._entry.key
        opening = task.wanted if task.stream is None else task.stream.opening()
        link.post((CALL, task.key, template.number, task.data, top, nested, argument, opening))

    def _take_back(self, task: Task) -> None:
        """A task that was to be sent waits again, or fails: an input was lost meanwhile."""
        if task.worker is not None:
            task.worker.inflight.pop(task.key, None)
            task.worker = None
        if not self._await_inputs(task):
            self.enqueue(task)

    # -- results -----------------------------------------------------------------------------

    def on_result(
        self,
        link: Link,
        _kind: int,
        key: int,
        outcome: int,
        payload: Any,
        stamps: bytes,
        inner: Any = None,
        kept: Sequence[Ref] = (),
    ) -> None:
        """A worker answers a call."""
        core = self._core
        for owner, held in kept:
            core.objects.register(owner, held, link.address)
        task = self.table.pending.pop(key, None)
        if task is None:
            self.drop_results(key, outcome, payload, inner)
            return
        now = core.links.now
        worker = task.worker
        if worker is not None:
            self._worker_answered(worker, task, stamps, now)
        else:
            actor = task.actor
            actor.inflight.pop(key, None)
            if actor.queue:
                self.sendable.append(actor)
            if task.cancelled and outcome != FAILED and task.stream is None:
                core.cancelling.came_too_late(task, outcome, payload, inner)
                return
        if outcome == FAILED and task.template.options.retry_exceptions:
            if self._retries(task, payload):
                return
            if not task.cancelled:
                payload = with_note(payload, self._counted(task))
        self._settle(task, outcome, payload, inner)
        if task.template.recorded:
            core.events.append((link.address, task.record(), stamps, now, outcome, _size(payload)))

    def drop_results(self, key: int, outcome: int, payload: Any, inner: Any) -> None:
        """Nobody needs what has come for a call: lets go of its refs and its memory."""
        core = self._core
        results = payload if outcome == SEVERAL else [(outcome, payload, inner)]
        for at, (each, _value, refs) in enumerate(results):
            for ref in refs or ():
                core.objects.drop_received(tuple(ref))
            if each == STORED:
                core.node.post((FREE, core.address, key + at))

    def _settle(self, task: Task, outcome: int, payload: Any, inner: Any) -> None:
        """Gives a call's refs what came for them."""
        objects = self._core.objects
        entries = task.entries
        if len(entries) == 1:
            entry = entries[0]
            if inner is None and entry.waiting is None and not outcome:
                # The common case of ``Objects.settle``, without its calls.
                entry.pending = False
                if entry.payload is None:
                    entry.outcome = outcome
                    entry.payload = payload
                if entry.refs <= 0:
                    objects.free(entries)
            else:
                if outcome == FAILED:
                    self._core.events.failures.append((entry.key, payload))
                objects.settle(entry, outcome, payload, inner)
                if outcome == STORED:
                    self._core.rebuilding.keep(task, entries)
        elif task.stream is not None:
            self._core.streams.answered(task, outcome, payload)
        elif outcome == FAILED:
            for entry in entries:
                objects.settle(entry, FAILED, payload, None)
        elif task.wanted is not None:
            self._core.rebuilding.settle(task, payload)
        elif entries:
            stored = []
            for entry, (each, value, refs) in zip(entries, payload, strict=True):
                objects.settle(entry, each, value, refs)
                if each == STORED:
                    stored.append(entry)
            if stored:
                self._core.rebuilding.keep(task, stored)

    def _worker_answered(self, worker: LeasedWorker, task: Task, stamps: bytes, now: int) -> None:
        inflight = worker.inflight
        inflight.pop(task.key, None)
        worker.answered = now
        if worker.revoked and not inflight and not worker.taking:
            if worker.until <= now or not worker.cls.queue:
                self._core.leasing.give_back(worker)
        if not task.cancelled:
            task.template.measured(*worker_stamps.run_of(stamps))

    def _retries(self, task: Task, payload: bytes) -> bool:
        """Whether a task that raised runs again, as its options ask."""
        options = task.template.options
        wanted = options.retry_exceptions
        if not wanted or task.cancelled or (0 <= options.max_retries <= task.attempt):
            return False
        if isinstance(wanted, tuple) or task.actor is not None:
            error = unpack_failure(payload)
            cause = error.cause if isinstance(error, TaskError) else error
            if isinstance(wanted, tuple) and not isinstance(cause, wanted):
                return False
            if task.actor is not None:
                return isinstance(error, TaskError) and self._actor_retries(task)
        task.attempt += 1
        self._requeue(task)
        return True

    def _counted(self, task: Task) -> str:
        """Which attempt it was of a call that raised and does not run again."""
        if task.actor is not None:
            return not_again(task.attempt, task.actor.retries(task), "max_task_retries")
        return not_again(task.attempt, task.template.options.max_retries, "max_retries")

    def _actor_retries(self, task: Task) -> bool:
        actor = task.actor
        if actor.state is ActorState.DEAD or not actor.may_retry(task):
            return False
        self.table.pending[task.key] = task
        actor.queue.appendleft(task)
        self.sendable.append(actor)
        return True

    def _requeue(self, task: Task) -> None:
        task.worker = None
        self.table.pending[task.key] = task
        self.enqueue(task)

    # -- deaths ------------------------------------------------------------------------------

    def process_died(self, address: Address, how: str) -> None:
        """A worker is gone: what it had begun is retried or fails, the rest moves elsewhere."""
        worker = self.table.end_lease(address)
        if worker is None:
            return
        cls = worker.cls
        begun = self._core.begun_by(address)
        short = self._core.low_memory.killed.pop(address, None)
        for task in reversed(list(worker.inflight.values())):
            task.worker = None
            has_begun = begun is None or begun == task.key
            if has_begun and short is not None:
                self._core.low_memory.end_attempt(task, *short)
            elif next_attempt(task, has_begun):
                cls.queue.appendleft(task)
                self.ready[cls] = None
            elif task.cancelled:
                self._core.cancelling.end(task)
            else:
                limit = task.template.options.max_retries
                kinds = [kind for mark, kind in _DEATHS.items() if how.startswith(mark)]
                error = (*kinds, WorkerCrashedError)[0](
                    told(
                        f"Task {task.template.name} failed: {how}",
                        last_attempt(task.attempt, limit, "max_retries"),
                    )
                )
                self.fail(task, self._core.objects.failure(error))
        worker.inflight.clear()
        if cls.queue:
            self.ready[cls] = None


def _size(payload: Any) -> int:
    """Bytes of a result: of the blob itself, or of its place in the arena."""
    if type(payload) is list:
        return sum(_size(value) for _outcome, value, _refs in payload)
    return len(payload) if type(payload) is bytes else int(payload[1])
