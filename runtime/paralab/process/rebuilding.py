"""What a client does when objects in the store are lost: it has them made again.

    node ──OBJECT_LOST──▶ owner      runs the task again, before it those that made its inputs
                     └──▶ borrower   forgets the place; who asks next asks the owner, who answers
                                     when the object is there again

Whoever waits for the object just waits longer.  Who looks at it goes on looking: the memory of a
lost value stays until the object's last ref goes.  See ``state.lineage`` for what is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from paralab.exceptions import ActorDiedError, ObjectReconstructionFailedError
from paralab.ids import FIRST_RETURN, INDEX_MASK, Address, actor_id, object_id
from paralab.messages import FAILED, OBJECT_LOST, STORED
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.state.actors import Actor
from paralab.state.lineage import DEFAULT_LIMIT, Lineage, Obstacle, Recipe, is_lost
from paralab.state.ownership import Entry
from paralab.state.tasks import Task

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class Rebuilding:
    """The part of one client that makes lost objects again.  All under the baton."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        limit = core.welcome.get("max_lineage_bytes", DEFAULT_LIMIT)
        self.lineage = Lineage(core.address, limit)
        self.forget = self.lineage.forget
        self.handlers: dict[int, Callable[..., None]] = {OBJECT_LOST: self._on_lost}

    def keep(self, task: Task, stored: Sequence[Entry]) -> None:
        """A call has been answered, some of it large: it is kept, so that it can run again."""
        owned = self._core.ownership.owned
        stored = [entry for entry in stored if entry.key in owned]
        if stored and not task.cancelled:
            self.lineage.keep(task, stored)

    def _on_lost(
        self, _link: Link, _kind: int, lost: Sequence[tuple[Address, int, int]], is_over: bool
    ) -> None:
        core = self._core
        for place in lost:
            core.ownership.lose(*place)
        if is_over:  # and not before: nothing is to be sent to those who are about to end
            owned = core.ownership.owned
            entries = [owned.get(key) for owner, key, _offset in lost if owner == core.address]
            self.make_again([entry for entry in entries if entry is not None and is_lost(entry)])

    def make_again(self, entries: Sequence[Entry]) -> None:
        """Sees to it that lost objects of ours, which are pending now, are settled again."""
        lineage = self.lineage
        wanted = deque(entries)
        started: dict[Recipe, Task] = {}
        while wanted:
            entry = wanted.popleft()
            recipe: Recipe = entry.recipe
            task = started.get(recipe)
            if task is None:
                if entry.key & ~INDEX_MASK | FIRST_RETURN in self._core.calls.table.pending:
                    continue  # it runs again already; ``settle`` will see what it lacks
                obstacle = lineage.obstacle(entry)
                if obstacle is not None:
                    self._fail(entry, obstacle)
                    continue
                task = started[recipe] = self._prepare(recipe, wanted)
            at = entry.key - task.key
            task.entries[at] = entry
            task.wanted = (*(task.wanted or ()), at)
        for task in started.values():
            self._start(task)

    def _prepare(self, recipe: Recipe, wanted: deque[Entry]) -> Task:
        """A task that is to run again, with its inputs; those of ours that are gone are wanted."""
        task = self.lineage.next_attempt(recipe)
        core = self._core
        task.submitted = task.packed = task.ready = task.pickled = core.links.now
        owned = core.ownership.owned
        keys = range(task.key, task.key + recipe.count)
        task.entries = [owned.get(key) or Entry(key, core.address, core.mailbox) for key in keys]
        task.top = [(place, self._input(each, wanted)) for place, each in recipe.top]
        task.nested = [self._input(each, wanted) for each in recipe.nested]
        task.argument = recipe.argument
        task.plain = False  # it says which results are wanted
        return task

    def _input(self, of: Any, wanted: deque[Entry]) -> ObjectRef:
        if type(of) is ObjectRef:
            return of
        made_by, key = of
        ownership = self._core.ownership
        if type(made_by) is not Recipe:
            return ObjectRef(ownership.receive((made_by, key), 0))
        entry = ownership.receive((self._core.address, key), 0)
        if entry.payload is None and not entry.pending:  # there was no ref to it any more
            entry.pending = entry.lost = True
            self.lineage.add_result(made_by, entry)
            wanted.append(entry)
        return ObjectRef(entry)

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

    def _fail(self, entry: Entry, obstacle: Obstacle) -> None:
        objects = self._core.objects
        name = object_id(entry.owner, entry.key).hex()
        error = ObjectReconstructionFailedError(name, obstacle.value)
        objects.settle(entry, FAILED, objects.failure(error), None)
