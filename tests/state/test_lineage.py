"""Which finished tasks an owner keeps: as many as may have to run again, and none for longer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from paralab.ids import FIRST_RETURN, INDEX_BITS
from paralab.messages import FAILED, INLINE, STORED
from paralab.object_ref import ObjectRef
from paralab.state.lineage import OVERHEAD, Lineage, Obstacle, Recipe, is_lost
from paralab.state.ownership import Entry, Ownership
from paralab.state.tasks import Task, Template
from paralab.task_spec import TaskOptions

from .test_ownership import ME, YOU, Changes

PLACE = (0, 1_000_000)
NUMBERS = st.lists(st.integers(0, 20), max_size=3)


class Owner:
    """One process's entries, tasks and lineage, without anything that runs."""

    def __init__(self, limit: int = 1 << 30) -> None:
        self.mailbox = Changes()
        self.ownership = Ownership(ME, self.mailbox)
        self.lineage = Lineage(self.ownership, limit)
        self.running: dict[int, Task] = {}
        self._next = 0

    def key(self) -> int:
        self._next += 1
        return self._next << INDEX_BITS

    def put(self, payload: Any = PLACE) -> ObjectRef:
        entry = self.ownership.own(self.key())
        entry.outcome, entry.payload = (INLINE if type(payload) is bytes else STORED), payload
        return ObjectRef(entry)

    def submit(
        self,
        top: Iterable[ObjectRef] = (),
        nested: Iterable[ObjectRef] = (),
        count: int = 1,
        **options: Any,
    ) -> list[ObjectRef]:
        mailbox = self.mailbox
        template = Template(1, 0, None, TaskOptions(num_returns=count, **options), "f", mailbox)
        key = self.key() + FIRST_RETURN
        entries = [self.ownership.own(key + at) for at in range(count)]
        for entry in entries:
            entry.pending = True
        given = list(enumerate(top))
        task = Task(key, template, entries, b"data", given, list(nested), 0, 0, 0, 0)
        self.running[key] = task
        return [ObjectRef(entry) for entry in entries]

    def end(self, task: Task, payload: Any = PLACE) -> None:
        """A task has been answered, all its results alike."""
        del self.running[task.key]
        outcome = FAILED if payload is None else INLINE if type(payload) is bytes else STORED
        entries = task.entries
        if task.wanted is not None:
            entries = [entries[at] for at in task.wanted]
        for entry in entries:
            self.ownership.settle(entry, outcome, payload or b"failed")
        self.free(entries)
        if outcome == STORED:
            self.lineage.keep(task, entries)
        self.again([entry for entry in task.entries if is_lost(entry)])

    def made(self, *top: ObjectRef, count: int = 1, **options: Any) -> list[ObjectRef]:
        """Results in the store of a task that has ended."""
        refs = self.submit(top, count=count, **options)
        self.end(self.running[refs[0]._entry.key])
        return refs

    def lose(self, refs: Iterable[ObjectRef]) -> list[Obstacle]:
        for ref in refs:
            self.ownership.lose(ME, ref._entry.key)
        return self.again([ref._entry for ref in refs if is_lost(ref._entry)])

    def again(self, lost: list[Entry]) -> list[Obstacle]:
        tasks, hopeless = self.lineage.again(lost, self.running, 0)
        for entry, _why in hopeless:
            self.ownership.settle(entry, FAILED, b"failed")
        for task in tasks:
            self.running[task.key] = task
        return [why for _entry, why in hopeless]

    def tidy(self) -> None:
        """Takes what finalisers have left into the counts."""
        while self.mailbox.changes:
            self.free(self.ownership.count(self.mailbox.changes))

    def free(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if self.ownership.forget(entry) and entry.recipe is not None:
                self.lineage.forget(entry)


@pytest.fixture
def owner() -> Owner:
    return Owner()


def test_small_results_leave_nothing(owner: Owner) -> None:
    (ref,) = owner.submit()
    owner.end(owner.running[ref._entry.key], b"small")
    assert not owner.lineage.recipes
    assert ref._entry.recipe is None


def test_a_recipe_goes_with_the_last_ref_to_its_results(owner: Owner) -> None:
    refs = owner.made(count=3)
    assert len(owner.lineage.recipes) == 1
    assert owner.lineage.bytes == OVERHEAD + 4
    del refs[0], refs[0]
    owner.tidy()
    assert owner.lineage.recipes
    refs.clear()
    owner.tidy()
    assert not owner.lineage.recipes
    assert not owner.lineage.bytes


def test_an_input_is_not_held_but_its_recipe_is(owner: Owner) -> None:
    (first,) = owner.made()
    key = first._entry.key
    (second,) = owner.made(first)
    del first
    owner.tidy()
    assert key not in owner.ownership.owned
    assert len(owner.lineage.recipes) == 2
    assert owner.lose([second]) == []
    assert set(owner.running) == {key, second._entry.key}, "the input's task runs before it"
    again = owner.running[second._entry.key]
    assert [ref._entry.key for _place, ref in again.top] == [key]
    assert again.attempt == 1
    owner.end(owner.running[key])
    owner.end(again)
    assert second._entry.payload == PLACE
    del again, second
    owner.tidy()
    assert not owner.lineage.recipes
    assert not owner.ownership.owned


def test_what_was_put_or_is_small_is_held(owner: Owner) -> None:
    large, small = owner.put(), owner.put(b"small")
    keys = [large._entry.key, small._entry.key]
    (result,) = owner.made(large, small)
    del large, small
    owner.tidy()
    assert set(keys) <= owner.ownership.owned.keys()
    assert owner.lineage.bytes == OVERHEAD + 4 + 5
    del result
    owner.tidy()
    assert not owner.ownership.owned


def test_an_object_of_somebody_else_is_not_held(owner: Owner) -> None:
    entry = owner.ownership.receive((YOU, 7), 1)
    entry.outcome, entry.payload = STORED, PLACE
    (result,) = owner.made(ObjectRef(entry))
    del entry
    owner.tidy()
    assert not owner.ownership.borrowed
    assert owner.lose([result]) == []
    ((_place, ref),) = owner.running[result._entry.key].top
    assert (ref._entry.owner, ref._entry.key, ref._entry.payload) == (YOU, 7, None)


def test_only_what_is_lost_is_wanted(owner: Owner) -> None:
    refs = owner.made(count=4)
    del refs[1]
    owner.tidy()
    assert owner.lose(refs[1:]) == []
    (task,) = owner.running.values()
    assert sorted(task.wanted or ()) == [2, 3]
    assert len(task.entries) == 4


def test_what_is_lost_while_its_task_runs_again_takes_another_run(owner: Owner) -> None:
    refs = owner.made(count=2)
    owner.lose(refs[:1])
    (task,) = owner.running.values()
    assert owner.lose(refs[1:]) == []
    assert list(owner.running.values()) == [task]
    owner.end(task)
    (task,) = owner.running.values()
    assert task.wanted == (1,)
    assert task.attempt == 2


def test_why_an_object_cannot_be_made_again(owner: Owner) -> None:
    assert owner.lose([owner.put()]) == [Obstacle.PUT]
    assert owner.lose(owner.made(max_retries=0)) == [Obstacle.RETRIES_DISABLED]
    (ref,) = owner.made(max_retries=1)
    assert owner.lose([ref]) == []
    owner.end(owner.running[ref._entry.key])
    assert owner.lose([ref]) == [Obstacle.MAX_ATTEMPTS_EXCEEDED]


def test_the_oldest_recipes_go_first() -> None:
    owner = Owner(limit=3 * OVERHEAD)
    first, second, third = (owner.made()[0] for _ in range(3))
    assert len(owner.lineage.recipes) == 2
    assert owner.lineage.bytes <= 3 * OVERHEAD
    assert owner.lose([first, second, third]) == [Obstacle.LINEAGE_EVICTED]


def test_a_long_chain_goes_at_once(owner: Owner) -> None:
    refs = owner.made()
    for _ in range(5_000):
        refs = owner.made(*refs)
    assert len(owner.lineage.recipes) == 5_001
    owner.tidy()
    assert len(owner.ownership.owned) == 1
    assert owner.lose(refs) == []
    assert len(owner.running) == 5_001
    for task in list(owner.running.values())[::-1]:
        owner.end(task)
    del task
    refs.clear()
    owner.tidy()
    assert not owner.lineage.recipes
    assert not owner.ownership.owned


class Story(RuleBasedStateMachine):
    """Tasks are submitted, end and are lost, and refs go, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.owner = Owner(limit=20 * OVERHEAD)
        self.refs: list[ObjectRef] = []

    def some(self, numbers: list[int]) -> list[ObjectRef]:
        """Refs by number: what hypothesis draws itself, it keeps alive."""
        return [self.refs[at % len(self.refs)] for at in numbers] if self.refs else []

    @rule(is_large=st.booleans())
    def put(self, is_large: bool) -> None:
        self.refs.append(self.owner.put() if is_large else self.owner.put(b"small"))

    @rule(top=NUMBERS, nested=NUMBERS, count=st.integers(1, 3), retries=st.integers(-1, 3))
    def submit(self, top: list[int], nested: list[int], count: int, retries: int) -> None:
        given, inside = self.some(top), self.some(nested)
        self.refs += self.owner.submit(given, inside, count, max_retries=retries)

    @precondition(lambda self: self.owner.running)
    @rule(at=st.integers(0, 20), payload=st.sampled_from([PLACE, PLACE, b"small", None]))
    def end(self, at: int, payload: Any) -> None:
        if ready := self.ready():
            self.owner.end(ready[at % len(ready)], payload)

    def ready(self) -> list[Task]:
        """Tasks whose inputs are there."""
        tasks = self.owner.running.values()
        return [task for task in tasks if all(ref._entry.payload for _at, ref in task.top)]

    @rule(numbers=NUMBERS)
    def drop(self, numbers: list[int]) -> None:
        for at in numbers:
            if self.refs:
                del self.refs[at % len(self.refs)]

    @rule(numbers=NUMBERS)
    def lose(self, numbers: list[int]) -> None:
        self.owner.lose(self.some(numbers))

    @invariant()
    def holds(self) -> None:
        owner = self.owner
        owner.tidy()
        lineage, owned = owner.lineage, owner.ownership.owned
        recipes = lineage.recipes.values()
        assert lineage.bytes == sum(recipe.size for recipe in recipes) <= 20 * OVERHEAD
        inputs = [each for recipe in recipes for each in recipe.inputs()]
        needed = [each[0] for each in inputs if type(each) is tuple]
        for key, recipe in lineage.recipes.items():
            assert recipe.task is not None
            assert recipe.task.key == key
            assert recipe.results == sum(entry.recipe is recipe for entry in owned.values())
            assert recipe.needed == needed.count(recipe)
            assert recipe.results or recipe.needed
            for each in recipe.inputs():
                if type(each) is ObjectRef:
                    assert owned[each._entry.key] is each._entry, "held, so it is not freed"
                else:
                    assert type(each[0]) is Recipe
        for entry in owned.values():
            task_key = entry.key & ~((1 << INDEX_BITS) - 1) | FIRST_RETURN
            assert not is_lost(entry) or task_key in owner.running, "nobody waits in vain"

    def teardown(self) -> None:
        owner = self.owner
        self.refs.clear()
        while owner.running:
            assert self.ready(), "no task waits for itself"
            owner.end(self.ready()[0])
        owner.tidy()
        assert not owner.lineage.recipes
        assert not owner.lineage.bytes
        assert not owner.ownership.owned


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
