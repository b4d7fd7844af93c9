"""What a client does when objects in the store are lost: it has them made again.

    node ──OBJECT_LOST──▶ owner      runs the task again, before it those that made its inputs
                     └──▶ borrower   forgets the place; who asks next asks the owner, who answers
                                     when the object is there again

Whoever waits for the object just waits longer.  Who looks at it goes on looking: the memory of a
lost value stays until the object's last ref goes.  See ``state.lineage`` for what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from paralab.exceptions import ActorDiedError, ObjectReconstructionFailedError
from paralab.ids import actor_id, object_id
from paralab.messages import FAILED, OBJECT_LOST, STORED
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.state.actors import Actor
from paralab.state.lineage import Lineage, is_lost
from paralab.state.ownership import Entry, Ref
from paralab.state.tasks import Task

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class Rebuilding:
    """The part of one client that makes lost objects again.  All under the baton."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self.lineage = Lineage(core.ownership, core.welcome["settings"]["max_lineage_bytes"])
        self.keep, self.forget = self.lineage.keep, self.lineage.forget
        self.handlers: dict[int, Callable[..., None]] = {OBJECT_LOST: self._on_lost}

    def _on_lost(self, _link: Link, _kind: int, lost: Sequence[Ref], is_over: bool) -> None:
        core = self._core
        for ref in lost:
            core.ownership.lose(*ref)
        if is_over:  # and not before: nothing is to be sent to those who are about to end
            owned = core.ownership.owned
            entries = [owned.get(key) for owner, key in lost if owner == core.address]
            self.make_again([entry for entry in entries if entry is not None and is_lost(entry)])

    def make_again(self, entries: Sequence[Entry]) -> None:
        """Sees to it that lost objects of ours are settled again."""
        core = self._core
        tasks, hopeless = self.lineage.again(entries, core.calls.table.pending, core.links.now)
        for entry, obstacle in hopeless:
            name = object_id(entry.owner, entry.key).hex()
            error = ObjectReconstructionFailedError(name, obstacle.value)
            core.objects.settle(entry, FAILED, core.objects.failure(error), None)
        for task in tasks:
            self._start(task)

    def _start(self, task: Task) -> None:
        core = self._core
        actor: Actor | None = task.actor
        if actor is not None:
            handle = core.ownership.find(*actor.ref)
            if handle is None or core.actor_calls.known.get(actor.ref) is not actor:
                name = actor_id(object_id(*actor.ref)).hex()
                text = "The actor that could make the object again is gone: its handles are."
                error = ActorDiedError(text, actor_id=name)
                core.calls.fail(task, core.objects.failure(error))
                return
            task.handle = ObjectRef(core.ownership.receive(actor.ref, 0))
        core.calls.enter(task)

    def settle(self, task: Task, results: Sequence[Any]) -> None:
        """A task with several results has run again; what was lost meanwhile takes another run."""
        wanted = task.wanted
        assert wanted is not None
        for at in wanted:
            self._core.objects.settle(task.entries[at], *results[at])
        self.keep(task, [task.entries[at] for at in wanted if results[at][0] == STORED])
        self.make_again([each for each in task.entries if is_lost(each)])
