"""How to make a lost object again: the finished tasks that stored something, and their inputs.

An owner keeps the *recipe* of each object of its own that lies in the store and that a task has
made.  Small results stay with the owner, so they are not lost while it lives, and tasks that have
only such results leave nothing here.  ::

    finished, result stored ──▶ kept ──last ref to a result gone, no recipe needs it──▶ gone
                                 │ ▲
            a result of it lost, │ │ made again, which counts as an attempt
     or needed for one that is   ▼ │
                              running

* A recipe needs its inputs.  One that has a recipe of its own is not held: its value goes with
  its last ref, as ever, and only the recipe stays, as long as something *needs* it.  So a long
  chain of large objects takes no more room in the store than without lineage.  What cannot be made
  again, as it was ``put`` or is small, is held.  An object of another owner is not: large ones
  would lie in the store for the sake of a case that may never come.  It is asked for again.
* The recipes' bytes are limited.  The oldest go first, and then their results cannot be made again.
* Only what is lost is made again.  Other results of the same task stay as they are.

======== ============================================ =======================================
field    an entry appears                             and leaves
======== ============================================ =======================================
recipes  a task that may be retried stored a result   no results and nobody needs it; evicted
results  a result is stored, or wanted as an input    its entry goes
needed   a recipe is kept that takes a result of it   that recipe goes
======== ============================================ =======================================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence
from copy import copy
from enum import Enum
from typing import Any

from paralab.ids import FIRST_RETURN, INDEX_MASK
from paralab.messages import FAILED, INLINE
from paralab.object_ref import ObjectRef
from paralab.state.ownership import Entry, Ownership
from paralab.state.streams import Replay
from paralab.state.tasks import Task
from paralab.task_spec import AS_ACTOR

OVERHEAD = 1_000
"""Bytes that a recipe is reckoned to take besides its arguments."""


class Obstacle(Enum):
    """Why an object cannot be made again.  The numbers are those of Ray's ``ErrorType``."""

    MAX_ATTEMPTS_EXCEEDED = 12
    LINEAGE_EVICTED = 13
    PUT = 27
    RETRIES_DISABLED = 28


def is_lost(entry: Entry) -> bool:
    """Whether an object of ours waits for being made again, or for the verdict that it cannot."""
    return entry.lost and entry.pending and entry.payload is None


class Recipe:
    """A finished task, so that it can run again.

    An input is an ``ObjectRef``, where that is held; a recipe with the key of its result; or an
    owner with a key.
    """

    __slots__ = ("argument", "count", "needed", "nested", "results", "size", "task", "top")

    def __init__(self, task: Task) -> None:
        self.task: Task | None = task
        """As it was submitted, without its inputs; None once this is evicted."""
        self.top: list[tuple[Any, Any]] = []
        self.nested: list[Any] = []
        self.argument: ObjectRef | None = task.argument
        self.count = len(task.entries)
        self.results = 0
        self.needed = 0
        self.size = 0

    def inputs(self) -> list[Any]:
        """All that it takes."""
        return [*(each for _place, each in self.top), *self.nested]


class Lineage:
    """The recipes of one owner.

    Args:
        ownership: the owner's entries.
        limit: bytes that all recipes may take.
    """

    def __init__(self, ownership: Ownership, limit: int) -> None:
        self._ownership = ownership
        self._limit = limit
        self.recipes: dict[int, Recipe] = {}
        """By the task's key, the oldest first."""
        self.bytes = 0

    def keep(self, task: Task, stored: Sequence[Entry]) -> None:
        """A task has ended, and put ``stored`` into the store: it may have to run again."""
        owned = self._ownership.owned
        stored = [entry for entry in stored if entry.key in owned]
        if not stored or task.cancelled:
            return
        recipe = self.recipes.get(task.key)
        if recipe is None:
            if not _limit_of(task):
                return
            recipe = self.recipes[task.key] = self._recipe(task)
            self.bytes += recipe.size
        elif recipe.task is not None:
            recipe.task.attempt = task.attempt
        for entry in stored:
            self._add_result(recipe, entry)
        while self.bytes > self._limit:
            self._evict()

    def _recipe(self, task: Task) -> Recipe:
        kept = copy(task)
        recipe = Recipe(kept)
        recipe.size = OVERHEAD + (len(task.data) if type(task.data) is bytes else 0)
        recipe.top = [(place, self._input(recipe, ref)) for place, ref in task.top]
        recipe.nested = [self._input(recipe, ref) for ref in task.nested]
        kept.top = kept.nested = ()
        kept.argument = kept.handle = kept.worker = kept.stream = None
        kept.entries = []
        return recipe

    def _input(self, recipe: Recipe, ref: ObjectRef) -> Any:
        entry: Entry = ref._entry
        made_by = entry.recipe
        if made_by is not None and made_by.task is not None:
            made_by.needed += 1
            return made_by, entry.key
        is_small = entry.outcome == INLINE and entry.payload is not None
        if is_small:
            recipe.size += len(entry.payload)
        # An actor is not kept alive by what was made with its help.
        if is_small or (entry.owner == self._ownership.address and entry.outcome <= FAILED):
            return ref
        return entry.owner, entry.key

    def _add_result(self, recipe: Recipe, entry: Entry) -> None:
        """``entry`` stands for a result of ``recipe``, and may be made again."""
        if entry.recipe is not recipe:
            entry.recipe = recipe
            recipe.results += 1

    def forget(self, entry: Entry) -> None:
        """The entry is gone: nobody asks for that result any more."""
        recipe, entry.recipe = entry.recipe, None
        recipe.results -= 1
        self._end(recipe)

    def _end(self, recipe: Recipe) -> None:
        """Lets a recipe go if nothing needs it, and then what only that one needed."""
        unsure = [recipe]
        while unsure:
            recipe = unsure.pop()
            if recipe.task is not None and not recipe.results and not recipe.needed:
                unsure += self._take_out(recipe)

    def _take_out(self, recipe: Recipe) -> list[Recipe]:
        """Ends a recipe; returns those that it needed."""
        assert recipe.task is not None
        del self.recipes[recipe.task.key]
        self.bytes -= recipe.size
        before = [each[0] for each in recipe.inputs() if type(each) is tuple]
        before = [each for each in before if type(each) is Recipe]
        for each in before:
            each.needed -= 1
        recipe.task = recipe.argument = None
        recipe.top, recipe.nested = [], []
        return before

    def _evict(self) -> None:
        oldest = next(iter(self.recipes.values()))
        for recipe in self._take_out(oldest):
            self._end(recipe)

    # -- making again ------------------------------------------------------------------------

    def again(
        self, lost: Sequence[Entry], running: Container[int], now: int
    ) -> tuple[list[Task], list[tuple[Entry, Obstacle]]]:
        """What is to run so that lost objects, and inputs that have gone, are there again.

        Args:
            lost: entries of ours for which ``is_lost`` is true.
            running: keys of the tasks that have not ended.  What is lost of one of those is
                looked at again when it ends.

        Returns:
            tasks to be submitted, and what cannot be made again.
        """
        wanted = deque(lost)
        tasks: dict[Recipe, Task] = {}
        hopeless: list[tuple[Entry, Obstacle]] = []
        while wanted:
            entry = wanted.popleft()
            if entry.key & ~INDEX_MASK | FIRST_RETURN in running:
                continue
            task = tasks.get(entry.recipe)
            if task is None:
                obstacle = self._obstacle(entry)
                if obstacle is not None:
                    hopeless.append((entry, obstacle))
                    continue
                task = tasks[entry.recipe] = self._next_attempt(entry.recipe, wanted, now)
            if task.stream is not None:
                task.stream.wanted[entry.key] = entry
            else:
                task.wanted = (*(task.wanted or ()), entry.key - task.key)
        return list(tasks.values()), hopeless

    @staticmethod
    def _obstacle(entry: Entry) -> Obstacle | None:
        recipe = entry.recipe
        if not entry.key & INDEX_MASK:
            return Obstacle.PUT
        if recipe is None:
            return Obstacle.RETRIES_DISABLED
        task = recipe.task
        if task is None:
            return Obstacle.LINEAGE_EVICTED
        limit = _limit_of(task)
        return Obstacle.MAX_ATTEMPTS_EXCEEDED if 0 <= limit <= task.attempt else None

    def _next_attempt(self, recipe: Recipe, wanted: deque[Entry], now: int) -> Task:
        """The task of a recipe once more; what it needs of ours and is gone is wanted then."""
        assert recipe.task is not None
        recipe.task.attempt += 1
        task = copy(recipe.task)
        task.submitted = task.pickled = task.packed = task.ready = now
        task.plain = False  # it says which results are wanted
        task.top = [(place, self._take(each, wanted)) for place, each in recipe.top]
        task.nested = [self._take(each, wanted) for each in recipe.nested]
        task.argument = recipe.argument
        if task.template.num_returns < 0:
            task.stream = Replay(task.key)
        else:
            address, mailbox = self._ownership.address, self._ownership.mailbox
            keys = range(task.key, task.key + recipe.count)
            owned = self._ownership.owned
            task.entries = [owned.get(key) or Entry(key, address, mailbox) for key in keys]
        return task

    def _take(self, of: Any, wanted: deque[Entry]) -> ObjectRef:
        """A ref to an input."""
        if type(of) is ObjectRef:
            return of
        made_by, key = of
        if type(made_by) is not Recipe:
            return ObjectRef(self._ownership.receive((made_by, key), 0))
        entry = self._ownership.receive((self._ownership.address, key), 0)
        if entry.payload is None and not entry.pending:  # there was no ref to it any more
            entry.pending = entry.lost = True
            self._add_result(made_by, entry)
            wanted.append(entry)
        return ObjectRef(entry)


def _limit_of(task: Task) -> int:
    """How often it may run again, below 0 for any number."""
    limit = task.template.options.max_retries
    return int(task.actor.max_task_retries) if limit == AS_ACTOR else limit
