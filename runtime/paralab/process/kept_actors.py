"""A client's part in the actors that its node keeps: named, detached, or to be restarted.

The node makes their instances, with a constructor call that it was given once::

    KEEP_ACTOR     what to know of it; its name is taken with that
    CREATE_ACTOR   as for every actor: it waits for a place
    CONSTRUCTOR    once its inputs are there: class and arguments

Arguments travel in the call whatever their size, because they must outlive this process if the
actor does.  What they only refer to stays with its owner: this process holds those refs for as
long as the constructor may run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paralab.actor_errors import name_taken
from paralab.messages import ACTOR, CONSTRUCTOR, DROP_ACTOR, FAILED, KEEP_ACTOR, NAMED_ACTOR
from paralab.object_ref import ObjectRef
from paralab.serialization import join_blob, load, pack
from paralab.state.actors import Actor
from paralab.state.ownership import Ref, WeakEntry
from paralab.state.tasks import Task
from paralab.task_spec import ActorOptions, ActorSpec

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class _Waiting:
    """In place of the actor while a constructor waits for its inputs."""

    def __init__(self, kept: KeptActors, task: Task, actor: Actor) -> None:
        self._kept = kept
        self._task = task
        self._actor = actor

    def input_settled(self, task: Task) -> None:
        """See ``sendable``."""

    def sendable(self) -> Sequence[Task]:
        """The inputs are there: the constructor goes to the node, and nothing to the actor."""
        if not self._task.cancelled:
            self._kept.send(self._task, self._actor)
        return ()


class KeptActors:
    """The part of one client."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core

    # -- any thread --------------------------------------------------------------------------

    def facts(self, spec: ActorSpec, options: ActorOptions) -> dict[str, Any] | None:
        """What the node is to know of an actor that it keeps; None if it need not keep it."""
        detached = options.lifetime == "detached"
        restarts, retries = options.max_restarts, options.max_task_retries
        if options.name is None and not (detached or restarts or retries):
            return None
        data, buffers, _refs = pack(options.handle_state)
        return {
            "given_name": options.name,
            "namespace": options.namespace or self._core.welcome["namespace"],
            "handle_state": join_blob(data, buffers),
            "detached": detached,
            "max_restarts": restarts,
            "max_task_retries": retries,
        }

    def take_name(self, task: Task, facts: dict[str, Any]) -> None:
        """Submits an actor's creation once the node has agreed to its name.

        Raises:
            ActorAlreadyExistsError: it is taken.
        """
        core = self._core
        ref = task.actor.ref
        try:
            free = core.ask(KEEP_ACTOR, ref[1], facts)
            if free:
                core.mailbox.submissions.append(task)
        except BaseException:
            core.mailbox.requests.append(lambda: core.node.post((DROP_ACTOR, ref, None, None)))
            core.mailbox.wake()
            raise
        if not free:
            raise name_taken(facts["given_name"], facts["namespace"])

    def find(self, name: str, namespace: str | None) -> tuple[ObjectRef, Any] | None:
        """The actor of that name, and what a handle is made from; None if there is none.

        The ref does not count: the actor ends with the handles that come from its creation.
        """
        core = self._core
        answer = core.ask(NAMED_ACTOR, namespace or core.welcome["namespace"], name)
        if answer is None:
            return None
        (owner, key), state = answer
        if owner == core.address:
            ref = ObjectRef(WeakEntry(key, owner, core.mailbox))
        else:
            ref = core.objects.restore(owner, key)
        return ref, load(state)

    # -- under the baton ---------------------------------------------------------------------

    def enter(
        self, task: Task, ref: Ref, facts: dict[str, Any], creation: tuple[Any, ...]
    ) -> Actor:
        """Tells the node of the actor; the constructor follows when its inputs are there."""
        node = self._core.node
        if facts["given_name"] is None:
            node.post((KEEP_ACTOR, 0, ref[1], facts))
        node.post(creation)
        actor = Actor(ref)
        actor.kept = True
        actor.detached = facts["detached"]
        if facts["max_restarts"]:
            actor.creation = task
        else:
            actor.inflight[task.key] = task
        if task.missing:
            task.actor = _Waiting(self, task, actor)
        else:
            self.send(task, actor)
        return actor

    def send(self, task: Task, actor: Actor) -> None:
        """Gives the node the constructor call."""
        core = self._core
        task.actor = actor
        top = []
        inside = list(task.nested)
        for place, ref in task.top:
            entry = ref._entry
            if entry.outcome == FAILED:
                core.actor_calls.input_failed(task, entry.payload)
                return
            top.append((place, entry.owner, entry.key, entry.outcome, entry.payload))
            inside += entry.inner or ()
        template = task.template
        definition = (
            *(template.number, ACTOR, template.name, 0, template.function_id, template.data),
            *(_pairs(template.refs), False),
        )
        call = (task.key, template.number, task.data, top, _pairs(inside))
        core.node.post((CONSTRUCTOR, actor.ref, definition, call))


def _pairs(refs: Sequence[ObjectRef]) -> list[Ref]:
    return [(ref._entry.owner, ref._entry.key) for ref in refs]
