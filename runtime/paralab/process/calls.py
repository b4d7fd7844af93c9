"""A client's calls: tasks and actor methods, from ``.remote()`` to the settled ref.

    any thread        submit ── pack, one append to the mailbox
    baton's holder    enter ── wait for inputs ── assign to a leased worker ── CALL
                      RESULT ── settle ── let dependants go, keep the record

See ``state.tasks`` and ``state.actors`` for the decisions.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from paralab.exceptions import ActorDiedError, TaskError, WorkerCrashedError
from paralab.ids import FIRST_RETURN, Address
from paralab.messages import ACTOR as ACTOR_CLASS
from paralab.messages import (
    ASSIGNED,
    CALL,
    DEFINE,
    DROP_ACTOR,
    FAILED,
    FIND_ACTOR,
    FORGET,
    FUNCTION,
    INLINE,
    METHOD,
    RETURN_LEASE,
    SEVERAL,
    TAKE_BACK,
    TERMINATE,
    WANT_LEASE,
)
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.process.objects import INLINE_LIMIT
from paralab.remote_errors import unpack_failure
from paralab.serialization import pack, pack_args
from paralab.state.actors import Actor, ActorState
from paralab.state.ownership import Entry, Ref
from paralab.state.tasks import (
    SLICE_NS,
    LeasedWorker,
    SchedulingClass,
    Task,
    TaskTable,
    Template,
    next_attempt,
)
from paralab.task_spec import ActorOptions, ActorSpec, FunctionSpec, TaskOptions

if TYPE_CHECKING:
    from paralab.process.client import CoreClient

IDLE_LEASE_NS = 100_000_000
"""A lease without work is returned after this time."""
PUMP_EVERY = 128
"""Submissions after which the submitting thread gives the engine a turn itself."""

_now = time.monotonic_ns


class _Creation(NamedTuple):
    """In place of a call's actor: there is none yet, and this is how to ask for it."""

    ref: Ref
    message: tuple[Any, ...]


class Calls:
    """The task and actor part of one client."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._mailbox = core.mailbox
        self._submissions = core.mailbox.submissions
        self._templates = 0
        self.table = TaskTable()
        self.ready: set[SchedulingClass] = set()
        self.actors: dict[Ref, Actor] = {}
        self.sendable: list[Actor] = []

    # -- any thread --------------------------------------------------------------------------

    def submit(
        self, template: Template, actor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[ObjectRef]:
        """Packs a call and leaves it in the mailbox."""
        submitted = _now()
        core = self._core
        data, buffers, nested, top = pack_args(args, kwargs, template.name)
        if top or nested:
            core.objects.check_refs((*(ref for _place, ref in top), *nested))
        key = core.next_key() + FIRST_RETURN
        argument = None
        if buffers or len(data) >= INLINE_LIMIT:
            argument, data = self._keep_arguments(data, buffers)
        owned = core.ownership.owned
        count = template.num_returns
        if count == 1:
            entry = Entry(key, core.address, self._mailbox)
            entry.pending = True
            owned[key] = entry
            entries = [entry]
            refs = [ObjectRef(entry)]
        else:
            entries = []
            for index in range(count):
                entry = Entry(key + index, core.address, self._mailbox)
                entry.pending = True
                owned[key + index] = entry
                entries.append(entry)
            refs = [ObjectRef(entry) for entry in entries]
        task = Task(key, template, entries, data, top, nested, core.parent_key, submitted, _now())
        if argument is not None:
            task.argument = argument
        if actor is not None:
            task.actor = actor
        submissions = self._submissions
        submissions.append(task)
        if self._mailbox.asleep:
            self._mailbox.wake()
        elif len(submissions) >= PUMP_EVERY:
            core.baton.pump()
        return refs

    def _keep_arguments(self, data: bytes, buffers: Any) -> tuple[ObjectRef | None, Any]:
        """Large arguments become an object of ours, which the worker looks at."""
        core = self._core
        key = core.next_key()
        entry = core.ownership.own(key)
        ref = ObjectRef(entry)
        entry.outcome, payload = core.objects.keep(core.address, key, data, buffers)
        entry.payload = payload
        if entry.outcome == INLINE:
            return None, payload
        return ref, payload

    def function_template(self, spec: FunctionSpec, options: TaskOptions) -> Template:
        """What calls of this function with these options share; made at the first call."""
        template = options.cache
        if type(template) is Template and template.spec is spec:
            if template.mailbox is self._mailbox:
                return template
        data, refs = self._pickled(spec, spec.function)
        name = options.name or spec.name
        template = self._template(FUNCTION, spec, options, name, data, refs)
        options.cache = template
        return template

    def method_template(self, method: str, options: TaskOptions, name: str) -> Template:
        """What calls of this method with these options share."""
        template = options.cache
        if type(template) is Template and template.method == method:
            if template.mailbox is self._mailbox:
                return template
        template = self._template(METHOD, None, options, name, b"", ())
        template.method = method
        options.cache = template
        return template

    def class_template(self, spec: ActorSpec, options: ActorOptions) -> Template:
        """What the actors of a class share."""
        data, refs = self._pickled(spec, spec.cls)
        calls = TaskOptions(name=spec.name, num_returns=0, max_retries=0)
        template = self._template(ACTOR_CLASS, spec, calls, spec.name, data, refs)
        template.method = "__init__"
        return template

    def _template(
        self, what: int, spec: Any, options: TaskOptions, name: str, data: bytes, refs: Any
    ) -> Template:
        self._templates += 1
        template = Template(self._templates, what, spec, options, name, self._mailbox)
        template.data = data
        template.refs = list(refs)
        if spec is not None:
            template.function_id = spec.id
        return template

    def _pickled(self, spec: Any, thing: Any) -> tuple[bytes, Sequence[ObjectRef]]:
        cached = spec.cache
        if cached is None or cached[2] is not self._mailbox:
            data, buffers, refs = pack(thing, f"the definition of {spec.name}", spec.name)
            if buffers:
                from paralab.serialization import join_blob

                data = join_blob(data, buffers)
            cached = spec.cache = (data, refs, self._mailbox)
        return cached[0], cached[1]

    # -- submission, under the baton ---------------------------------------------------------

    def enter(self, task: Task) -> None:
        """Takes a submitted call into the tables."""
        if task.key in self.table.pending:
            return
        missing: list[Entry] = []
        for _place, ref in task.top:
            entry = ref._entry
            if entry.payload is None:
                missing.append(entry)
                if not entry.pending:
                    self._core.objects.fetch(entry)
        self.table.enter(task, missing)
        if task.actor is not None:
            self._enter_actor_call(task)
        elif not missing:
            self._enqueue(task)

    def _enqueue(self, task: Task) -> None:
        if task.top and self._input_failed(task):
            return
        template = task.template
        depth = self._core.depth + 1
        cls = template.cls
        if cls is None or cls.depth != depth:
            cls = template.cls = self.table.scheduling_class(template.options, depth)
        cls.queue.append(task)
        self.ready.add(cls)

    def input_settled(self, task: Task) -> None:
        """One of the task's inputs is there."""
        if not self.table.input_settled(task):
            return
        task.ready = _now()
        if task.actor is not None:
            self.sendable.append(task.actor)
        else:
            self._enqueue(task)

    def _input_failed(self, task: Task) -> bool:
        """Whether an input stands for an error: then the task has failed with that error."""
        for _place, ref in task.top:
            entry = ref._entry
            if entry.outcome == FAILED:
                self._fail(task, entry.payload)
                return True
        return False

    def _fail(self, task: Task, failure: bytes) -> None:
        self.table.answered(task.key)
        task.cancelled = True
        for entry in task.entries:
            self._core.objects.settle(entry, FAILED, failure, None)
        if not task.entries and task.template.what != ACTOR_CLASS:
            self._core.failures += 1
        task.top = task.nested = ()
        task.argument = task.handle = None

    # -- dispatch ----------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Gives ready tasks to workers with room and asks for workers that are lacking."""
        now = _now()
        if self.ready:
            for cls in list(self.ready):
                for worker, tasks in cls.assign(now):
                    link = worker.peer
                    for task in tasks:
                        task.sent = now
                        task.leased = worker.leased
                        self._send(task, link)
                if cls.queue:
                    self._want(cls)
                else:
                    self.ready.discard(cls)
                    for worker in cls.unused():
                        self._return(worker)
                    if cls.requested:
                        cls.requested = 0
                        self._core.node.post((WANT_LEASE, cls.number, {}, 0, 0, ""))
        if self.sendable:
            actors, self.sendable = self.sendable, []
            for actor in actors:
                for task in actor.sendable():
                    if task.top and self._input_failed(task):
                        actor.inflight.pop(task.key, None)
                        continue
                    task.sent = task.leased = now
                    self._send(task, actor.peer)

    def _send(self, task: Task, link: Link) -> None:
        template = task.template
        if link.address not in template.sent_to:
            self._define(template, link)
        if not task.top and not task.nested and task.argument is None:
            link.post((CALL, task.key, template.number, task.data))
            return
        top = []
        inside = list(task.nested)
        for place, ref in task.top:
            entry = ref._entry
            top.append((place, entry.owner, entry.key, entry.outcome, entry.payload))
            if entry.inner:
                inside += entry.inner
        nested = [(ref._entry.owner, ref._entry.key) for ref in inside]
        argument = 0 if task.argument is None else task.argument._entry.key
        link.post((CALL, task.key, template.number, task.data, top, nested, argument))

    def _define(self, template: Template, link: Link) -> None:
        template.sent_to.add(link.address)
        refs = self._core.objects.hand_over(template.refs, link.address) if template.refs else []
        what = template.what
        name, count = template.name, template.num_returns
        options = template.options
        retry = bool(options.retry_exceptions)
        link.post(
            (
                DEFINE,
                template.number,
                what,
                name,
                count,
                template.function_id,
                template.method if what == METHOD else template.data,
                refs,
                retry,
            )
        )

    def forget_templates(self) -> None:
        """Tells workers of templates that are gone here."""
        forgets = self._mailbox.forgets
        while forgets:
            number, addresses = forgets.popleft()
            for address in addresses:
                link = self._core.links.peer(address)
                if link is not None:
                    link.post((FORGET, number))

    def _want(self, cls: SchedulingClass) -> None:
        slots = self._core.slots(cls.resources) - len(cls.workers)
        wanted = max(1, min(len(cls.queue), slots)) - cls.requested
        if wanted > 0:
            name = cls.queue[0].template.name
            cls.requested += wanted
            message = (WANT_LEASE, cls.number, cls.resources, wanted, cls.depth, name)
            self._core.node.post(message)
            self.return_idle(0, cls)

    # -- leases ------------------------------------------------------------------------------

    def on_leased(
        self, _link: Link, _kind: int, number: int, address: Address, devices: list[int]
    ) -> None:
        """The node grants a lease."""
        peer = self._core.links.peer(address)
        if peer is None or address in self._core.dead:
            cls = self.table.by_number[number]
            cls.requested = max(0, cls.requested - 1)
            return
        worker = self.table.lease(number, address, peer, _now())
        if worker is None:
            self._core.node.post((RETURN_LEASE, address))
        else:
            cls = worker.cls
            peer.post((ASSIGNED, cls.resources, devices, cls.depth))

    def on_refused(self, _link: Link, _kind: int, number: int, failure: bytes) -> None:
        """The node cannot run this class: everything queued in it fails."""
        cls = self.table.by_number[number]
        cls.requested = 0
        while cls.queue:
            self._fail(cls.queue.popleft(), failure)

    def on_revoke(self, _link: Link, _kind: int, address: Address, depth: int) -> None:
        """The node wants a worker back: at once if it is idle, else after its time slice."""
        worker = self.table.leases.get(address)
        if worker is None:
            return
        worker.revoked = True
        if worker.cls.depth <= depth:
            worker.until = worker.leased + SLICE_NS
        if not worker.inflight and (not worker.cls.queue or worker.until <= _now()):
            self._return(worker)

    def _return(self, worker: LeasedWorker) -> None:
        self.table.end_lease(worker.address)
        self._core.node.post((RETURN_LEASE, worker.address))
        cls = worker.cls
        if worker.revoked and cls.requested:  # ours is not the oldest request any more
            cls.requested = 0
            self._core.node.post((WANT_LEASE, cls.number, {}, 0, 0, ""))
        if cls.queue:
            self.ready.add(cls)

    def return_idle(self, after_ns: int, but: SchedulingClass | None = None) -> None:
        """Returns leases that have had no work for ``after_ns``."""
        now = _now()
        for cls in self.table.by_number.values():
            if cls.workers and cls is not but:
                for worker in cls.idle(now, after_ns):
                    self._return(worker)

    def check(self) -> None:
        """Looks for idle leases and for queues behind a task that takes long."""
        now = _now()
        for cls in self.table.by_number.values():
            if cls.workers:
                for worker in cls.stalled(now):
                    self._take_back(worker)
                for worker in cls.idle(now, IDLE_LEASE_NS):
                    self._return(worker)

    def next_check(self) -> float | None:
        """Seconds until :meth:`check` may find something; None when nothing is on lease."""
        wait = None
        for worker in self.table.leases.values():
            inflight = len(worker.inflight)
            if inflight > 1:
                return 0.01
            if not inflight:
                wait = 0.1
        return wait

    def _take_back(self, worker: LeasedWorker) -> None:
        worker.taking = True
        worker.peer.post((TAKE_BACK, list(worker.inflight)))

    def on_returned(self, link: Link, _kind: int, keys: list[int]) -> None:
        """A worker gives back calls that it has not started."""
        worker = self.table.leases.get(link.address)
        if worker is None:
            return
        worker.taking = False
        worker.answered = _now()
        if keys:
            cls = worker.cls
            for key in keys:
                task = worker.inflight.get(key)
                if task is not None:
                    task.template.mean_ns = max(task.template.mean_ns, 2_000_000)
            cls.take_back(keys, worker)
            self.ready.add(cls)
        if worker.revoked and not worker.inflight and worker.until <= worker.answered:
            self._return(worker)

    # -- results -----------------------------------------------------------------------------

    def on_result(
        self,
        link: Link,
        _kind: int,
        key: int,
        outcome: int,
        payload: Any,
        stamps: tuple[int, int, int, int, int],
        inner: Any = None,
        kept: Sequence[Ref] = (),
    ) -> None:
        """A worker answers a call."""
        core = self._core
        objects = core.objects
        for owner, held in kept:
            objects.register(owner, held, link.address)
        task = self.table.pending.pop(key, None)
        if task is None:
            for ref in inner or ():
                objects.drop_received(tuple(ref))
            return
        now = core.links.now
        template = task.template
        worker = task.worker
        if worker is not None:
            worker.inflight.pop(key, None)
            worker.answered = now
            if worker.revoked and not worker.inflight and not worker.taking:
                if worker.until <= now or not worker.cls.queue:
                    self._return(worker)
            received, taken, loaded, ended, stored = stamps
            duration = ended - loaded
            mean = template.mean_ns
            if mean < 0 or duration > 8 * mean:
                template.mean_ns = duration
            else:
                template.mean_ns = mean + ((duration - mean) >> 3)
            actor = 0
        else:
            received, taken, loaded, ended, stored = stamps
            actor = 0
            if task.actor is not None:
                actor = task.actor.ref[1]
                task.actor.inflight.pop(key, None)
                if task.actor.queue:
                    self.sendable.append(task.actor)
        failed = outcome == FAILED
        if failed and worker is not None and self._retries(task, payload):
            return
        top = task.top
        core.record(
            (
                key,
                template.name,
                task.parent,
                task.attempt,
                link.address,
                len(task.data),
                len(payload) if type(payload) is bytes else 0,
                task.submitted,
                task.packed,
                task.ready,
                task.leased,
                task.sent,
                received,
                taken,
                loaded,
                ended,
                stored,
                now,
                failed,
                actor,
                tuple([ref._entry.key for _place, ref in top]) if top else (),
            )
        )
        entries = task.entries
        if len(entries) == 1:
            entry = entries[0]
            if outcome != SEVERAL and inner is None and not failed and entry.waiting is None:
                # The common case of ``Objects.settle``, without its calls.
                entry.pending = False
                if entry.payload is None:
                    entry.outcome = outcome
                    entry.payload = payload
                if entry.refs <= 0:
                    objects.free(entries)
            else:
                objects.settle(entry, outcome, payload, inner)
        elif failed:
            for entry in entries:
                objects.settle(entry, FAILED, payload, None)
        elif entries:
            for entry, (each, value, refs) in zip(entries, payload, strict=True):
                objects.settle(entry, each, value, refs)

    def _retries(self, task: Task, payload: bytes) -> bool:
        """Whether a task that raised runs again, as its options ask."""
        options = task.template.options
        wanted = options.retry_exceptions
        if not wanted or (0 <= options.max_retries <= task.attempt):
            return False
        if isinstance(wanted, tuple):
            error = unpack_failure(payload)
            cause = error.cause if isinstance(error, TaskError) else error
            if not isinstance(cause, wanted):
                return False
        task.attempt += 1
        self._requeue(task)
        return True

    def _requeue(self, task: Task) -> None:
        task.worker = None
        self.table.pending[task.key] = task
        self._enqueue(task)

    # -- actors ------------------------------------------------------------------------------

    def create_actor(self, task: Task, ref: ObjectRef, message: tuple[Any, ...]) -> None:
        """Leaves an actor's creation in the mailbox, in order with the calls that follow."""
        task.actor = _Creation((ref._entry.owner, ref._entry.key), message)
        self._submissions.append(task)
        if self._mailbox.asleep:
            self._mailbox.wake()

    def _enter_actor_call(self, task: Task) -> None:
        actor = task.actor
        if type(actor) is _Creation:  # the constructor is the first call in the queue
            self._core.node.post(actor.message)
            actor = self.actors[actor.ref] = task.actor = Actor(actor.ref)
        elif type(actor) is ObjectRef:
            entry = actor._entry
            task.handle = actor  # it lives until the reply
            ref = (entry.owner, entry.key)
            actor = self.actors.get(ref)
            if actor is None:
                actor = self.actors[ref] = Actor(ref)
                self._core.node.post((FIND_ACTOR, ref))
            task.actor = actor
        if actor.state is ActorState.DEAD:
            self._fail(task, actor.cause)
            return
        actor.queue.append(task)
        if not task.missing:
            self.sendable.append(actor)

    def on_actor_at(
        self, _link: Link, _kind: int, ref: Any, address: Address, held: Any, devices: list[int]
    ) -> None:
        """The node says which process an actor is in."""
        actor = self.actors.get(tuple(ref))
        peer = self._core.links.peer(address)
        if actor is None or peer is None:
            return
        if actor.ref[0] == self._core.address:
            peer.post((ASSIGNED, held, devices, self._core.depth + 1))
        actor.placed(address, peer)
        self.sendable.append(actor)

    def on_actor_dead(
        self, _link: Link, _kind: int, ref: Any, cause: bytes | None, text: str
    ) -> None:
        """The node says that an actor has ended, and why."""
        actor = self.actors.get(tuple(ref))
        if actor is None:
            return
        if actor.peer is not None:
            self._core.drain(actor.peer)
        if cause is None:
            cause = self._core.objects.failure(ActorDiedError(text))
        for task in actor.died(cause):
            self._fail(task, cause)

    def end_actor(self, entry: Entry) -> None:
        """The last handle of an actor of ours is gone."""
        ref = (entry.owner, entry.key)
        actor = self.actors.get(ref)
        if actor is None or actor.state is ActorState.DEAD:
            self.actors.pop(ref, None)
            return
        if actor.peer is not None:
            actor.peer.post((TERMINATE,))
        else:
            self._core.node.post((DROP_ACTOR, ref))
        del self.actors[ref]

    # -- deaths ------------------------------------------------------------------------------

    def process_died(self, address: Address, how: str) -> None:
        """A worker is gone: what it had begun is retried or fails, the rest moves elsewhere."""
        worker = self.table.end_lease(address)
        if worker is None:
            return
        cls = worker.cls
        begun = self._core.begun_by(address)
        for task in reversed(list(worker.inflight.values())):
            task.worker = None
            if next_attempt(task, begun is None or begun == task.key):
                cls.queue.appendleft(task)
                self.ready.add(cls)
            else:
                limit = task.template.options.max_retries
                error = WorkerCrashedError(
                    f"Task {task.template.name} failed: {how} "
                    f"This was attempt {task.attempt + 1}; max_retries={limit} allows no more."
                )
                self._fail(task, self._core.objects.failure(error))
        worker.inflight.clear()
        if cls.queue:
            self.ready.add(cls)
