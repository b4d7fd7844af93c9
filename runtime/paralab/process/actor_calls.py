"""A client's actors: making them, finding them, and what their calls wait for.

See ``state.actors`` for the states, and for the order of calls.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from paralab.exceptions import ActorDiedError, ActorUnavailableError
from paralab.ids import FIRST_RETURN, Address, actor_id, object_id
from paralab.library_name import said
from paralab.messages import ACTOR as ACTOR_CLASS
from paralab.messages import ASSIGNED, CREATE_ACTOR, DROP_ACTOR, FIND_ACTOR, TERMINATE
from paralab.object_ref import ObjectRef
from paralab.process.kept_actors import KeptActors
from paralab.process.links import Link
from paralab.process.objects import ACTOR, INLINE_LIMIT
from paralab.remote_errors import unpack_failure
from paralab.serialization import join_blob, pack_args
from paralab.state.actors import Actor, ActorState
from paralab.state.obituaries import last_attempt, told, under_way, without_words
from paralab.state.ownership import Entry, Ref
from paralab.state.tasks import Task
from paralab.task_spec import ActorOptions, ActorSpec

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


_now = time.monotonic_ns


class _Creation(NamedTuple):
    """In place of a call's actor: there is none yet, and this is how to ask for it."""

    ref: Ref
    message: tuple[Any, ...]
    facts: dict[str, Any] | None
    """For an actor that the node keeps."""


class ActorCalls:
    """The actor part of one client."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._mailbox = core.mailbox
        self.known: dict[Ref, Actor] = {}
        """An actor appears with its creation or its first call; leaves with its last ref here, or
        with its end if that comes later."""
        self._kept = KeptActors(core)

    def create(
        self,
        spec: ActorSpec,
        options: ActorOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> ObjectRef:
        """Leaves an actor's creation in the mailbox, in order with the calls that follow."""
        core = self._core
        template = core.templates.of_class(spec, options)
        submitted = _now()
        data, buffers, nested, top = pack_args(args, kwargs, f"{spec.name}.__init__")
        pickled = _now()
        core.objects.check_refs((*(ref for _place, ref in top), *nested))
        argument, payload = None, data
        facts = self._kept.facts(spec, options)
        if facts is not None:  # whatever their size, they stay with the node
            payload = join_blob(data, buffers)
        elif buffers or len(data) >= INLINE_LIMIT:
            argument, payload = core.objects.keep_arguments(data, buffers, 0)
        key = core.next_key()
        entry = core.ownership.own(key)
        entry.outcome = ACTOR
        entry.payload = b""
        task = Task(
            *(key + FIRST_RETURN, template, [], payload, top, nested),
            *(core.parent_key, submitted, pickled, _now()),
        )
        task.argument = argument
        task.plain = False
        placing, held = dict(options.creation_resources), dict(options.resources)
        where = tuple(options.where) if options.where else None
        wanted = (key, spec.name, placing, held, core.depth + 1, where, template.environment)
        task.actor = _Creation((core.address, key), (CREATE_ACTOR, *wanted), facts)
        if facts is not None and facts["given_name"] is not None:
            self._kept.take_name(task, facts)
        else:
            self._mailbox.submissions.append(task)
        if self._mailbox.asleep:
            self._mailbox.wake()
        return ObjectRef(entry)

    def find(self, name: str, namespace: str | None) -> tuple[ObjectRef, Any] | None:
        """See :class:`paralab.engine.Engine`."""
        return self._kept.find(name, namespace)

    def enter(self, task: Task) -> None:
        """Takes a submitted call into the actor's queue."""
        actor = task.actor
        if type(actor) is _Creation:  # the constructor is the first call in the queue
            facts = actor.facts
            if facts is not None:
                self.known[actor.ref] = self._kept.enter(task, actor.ref, facts, actor.message)
                return
            self._core.node.post(actor.message)
            actor = self.known[actor.ref] = task.actor = Actor(actor.ref)
        elif type(actor) is ObjectRef:
            entry = actor._entry
            task.handle = actor  # it lives until the reply
            ref = (entry.owner, entry.key)
            actor = self.known.get(ref)
            if actor is None:
                actor = self.known[ref] = Actor(ref)
                self._core.node.post((FIND_ACTOR, ref))
            task.actor = actor
        if actor.state is ActorState.DEAD:
            self._core.calls.fail(task, actor.cause)
            return
        actor.enter(task)
        if not task.missing:
            self._core.calls.sendable.append(actor)

    def input_failed(self, task: Task, payload: bytes) -> None:
        """A constructor cannot run, because one of its arguments stands for an error."""
        error = ActorDiedError(
            "The actor died because an argument of its creation task, "
            f"{task.template.name}.__init__(), could not be had: {unpack_failure(payload)}",
            actor_init_failed=True,
        )
        failure = self._core.objects.failure(error)
        self._core.node.post((DROP_ACTOR, task.actor.ref, failure, None))

    def on_actor_at(
        self,
        _link: Link,
        _kind: int,
        ref: Any,
        address: Address,
        held: Any,
        devices: list[int],
        max_task_retries: int,
    ) -> None:
        """The node says which process an actor is in."""
        actor = self.known.get(tuple(ref))
        peer = self._core.links.peer(address)
        if actor is None or peer is None:
            return
        if actor.ref[0] == self._core.address and not actor.kept:
            where = actor.queue[0].template.options.where if actor.queue else None
            self._core.tell_where(peer)
            peer.post((ASSIGNED, held, devices, self._core.depth + 1, where and tuple(where)))
        actor.max_task_retries = max_task_retries
        actor.placed(address, peer)
        self._core.calls.sendable.append(actor)

    def on_actor_restarts(
        self, _link: Link, _kind: int, ref: Any, how: str, has_begun: bool
    ) -> None:
        """The node says that an actor's process is gone, and that there will be another one."""
        actor = self.known.get(tuple(ref))
        if actor is None:
            return
        if actor.peer is not None:
            self._core.links.drain(actor.peer)
        name = actor_id(object_id(*actor.ref)).hex()
        why, words = without_words(how)
        failures: dict[str, bytes] = {}
        for task in actor.lost(has_begun):
            if task.cancelled:
                self._core.cancelling.end(task)
                continue
            fact = last_attempt(task.attempt, actor.retries(task), "max_task_retries")
            if fact not in failures:
                error = ActorUnavailableError(f"it is being restarted. {why}", name)
                error.args = (f"{error.args[0]} {fact}\n{words}".rstrip(),)
                failures[fact] = self._core.objects.failure(error)
            self._core.calls.fail(task, failures[fact])

    def on_actor_dead(
        self, _link: Link, _kind: int, ref: Any, cause: bytes | None, text: str
    ) -> None:
        """The node says that an actor has ended, and why."""
        actor = self.known.get(tuple(ref))
        if actor is None:
            return
        if actor.peer is not None:
            self._core.links.drain(actor.peer)
        name = actor_id(object_id(*actor.ref)).hex()
        causes: dict[str, bytes] = {}
        if cause is None:
            causes[""] = cause = self._core.objects.failure(
                ActorDiedError(said(text), actor_id=name)
            )
        sent = set(actor.inflight) if causes else ()
        for task in actor.died(cause):
            fact = ""
            if task.key in sent and task.template.what != ACTOR_CLASS:
                fact = under_way(task.template.name, task.attempt, actor.retries(task))
            if causes and fact not in causes:
                error = ActorDiedError(told(said(text), fact), actor_id=name)
                causes[fact] = self._core.objects.failure(error)
            self._core.calls.fail(task, causes.get(fact, cause))
        creation, actor.creation = actor.creation, None
        if creation is not None and creation.key in self._core.calls.table.pending:
            self._core.calls.fail(creation, cause)
        if self._core.ownership.find(*actor.ref) is None:
            del self.known[actor.ref]

    def pending(self, ref: ObjectRef) -> int:
        """How many calls an actor has not answered.  Any thread."""
        core = self._core
        of = ref._entry.owner, ref._entry.key
        found: list[int] = []

        def look() -> None:
            actor = self.known.get(of)
            found.append(0 if actor is None else actor.pending())

        core.mailbox.requests.append(look)
        core.mailbox.wake()
        core.baton.wait(lambda: found or core.broken, None)
        return found[0] if found else 0

    def end(self, entry: Entry) -> None:
        """The last handle of an actor of ours is gone."""
        ref = (entry.owner, entry.key)
        actor = self.known.get(ref)
        if actor is None or actor.state is ActorState.DEAD:
            self.known.pop(ref, None)
            return
        if not actor.detached:
            if actor.peer is not None:
                actor.peer.post((TERMINATE,))
            if actor.peer is None or actor.kept:
                told = None if actor.peer is None else actor.address
                self._core.node.post((DROP_ACTOR, ref, None, told))
        if not (
            actor.inflight or actor.queue or actor.waiting or actor.creation
            # Calls may have been made by refs that do not count.
        ):
            del self.known[ref]
