"""A client's actors: making them, finding them, and what their calls wait for.

See ``state.actors`` for the states, and for the order of calls.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from paralab.exceptions import ActorDiedError
from paralab.ids import FIRST_RETURN, Address
from paralab.messages import ASSIGNED, CREATE_ACTOR, DROP_ACTOR, FIND_ACTOR, TERMINATE
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.process.objects import ACTOR, INLINE_LIMIT
from paralab.serialization import pack_args
from paralab.state.actors import Actor, ActorState
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


class ActorCalls:
    """The actor part of one client."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._mailbox = core.mailbox
        self.known: dict[Ref, Actor] = {}
        """An actor appears with its creation or its first call; leaves with its last ref here."""

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
        core.objects.check_refs((*(ref for _place, ref in top), *nested))
        argument, payload = None, data
        if buffers or len(data) >= INLINE_LIMIT:
            argument, payload = core.calls.keep_arguments(data, buffers)
        key = core.next_key()
        entry = core.ownership.own(key)
        entry.outcome = ACTOR
        entry.payload = b""
        task = Task(
            *(key + FIRST_RETURN, template, [], payload, top, nested),
            *(core.parent_key, submitted, _now()),
        )
        task.argument = argument
        placing, held = dict(options.creation_resources), dict(options.resources)
        message = (CREATE_ACTOR, key, spec.name, placing, held, core.depth + 1)
        task.actor = _Creation((core.address, key), message)
        self._mailbox.submissions.append(task)
        if self._mailbox.asleep:
            self._mailbox.wake()
        return ObjectRef(entry)

    def enter(self, task: Task) -> None:
        """Takes a submitted call into the actor's queue."""
        actor = task.actor
        if type(actor) is _Creation:  # the constructor is the first call in the queue
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
        actor.queue.append(task)
        if not task.missing:
            self._core.calls.sendable.append(actor)

    def on_actor_at(
        self, _link: Link, _kind: int, ref: Any, address: Address, held: Any, devices: list[int]
    ) -> None:
        """The node says which process an actor is in."""
        actor = self.known.get(tuple(ref))
        peer = self._core.links.peer(address)
        if actor is None or peer is None:
            return
        if actor.ref[0] == self._core.address:
            peer.post((ASSIGNED, held, devices, self._core.depth + 1))
        actor.placed(address, peer)
        self._core.calls.sendable.append(actor)

    def on_actor_dead(
        self, _link: Link, _kind: int, ref: Any, cause: bytes | None, text: str
    ) -> None:
        """The node says that an actor has ended, and why."""
        actor = self.known.get(tuple(ref))
        if actor is None:
            return
        if actor.peer is not None:
            self._core.drain(actor.peer)
        if cause is None:
            cause = self._core.objects.failure(ActorDiedError(text))
        for task in actor.died(cause):
            self._core.calls.fail(task, cause)

    def end(self, entry: Entry) -> None:
        """The last handle of an actor of ours is gone."""
        ref = (entry.owner, entry.key)
        actor = self.known.get(ref)
        if actor is None or actor.state is ActorState.DEAD:
            self.known.pop(ref, None)
            return
        if actor.peer is not None:
            actor.peer.post((TERMINATE,))
        else:
            self._core.node.post((DROP_ACTOR, ref))
        del self.known[ref]
