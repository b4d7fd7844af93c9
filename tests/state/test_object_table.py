"""The object table: who may write, when space returns, what deaths do."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from paralab.ids import make_address
from paralab.state.object_table import ObjectTable
from paralab.state.stored import (
    AlreadyStored,
    ProcessGone,
    StoreFull,
)

MB = 1 << 20
A, B, C, D = (make_address(b"n" * 28, number, 0) for number in range(4))


@pytest.fixture
def table() -> ObjectTable:
    return ObjectTable(64 * MB)


def stored(table: ObjectTable, owner: bytes, key: int, size: int = MB) -> int:
    place = table.create(owner, key, owner, size)
    assert table.seal(owner, key, owner)
    return place.offset


def test_put_is_found_after_seal_and_gone_after_free(table: ObjectTable) -> None:
    place = table.create(A, 1, A, 1000)
    assert table.locate(A, 1) is None
    assert table.seal(A, 1, A)
    assert table.locate(A, 1) == place == (place.offset, 1000, place.number)
    assert table.free(A, 1)
    assert not table.free(A, 1)
    assert table.locate(A, 1) is None
    assert table.stats().used == 0
    table.check()


def test_messages_that_arrive_twice_change_nothing(table: ObjectTable) -> None:
    place = table.create(A, 1, B, 1000)
    assert table.create(A, 1, B, 1000) == place
    assert table.seal(A, 1, B)
    assert table.seal(A, 1, B)
    with pytest.raises(AlreadyStored) as caught:
        table.create(A, 1, B, 1000)
    assert caught.value.placement == place
    assert table.stats().objects == 1
    table.check()


def test_same_creator_may_change_the_size(table: ObjectTable) -> None:
    table.create(A, 1, B, 1000)
    assert table.create(A, 1, B, 2 * MB).size == 2 * MB
    assert table.stats().used == 2 * MB
    table.check()


def test_owners_free_waits_for_a_living_creator(table: ObjectTable) -> None:
    place = table.create(A, 1, B, MB)
    assert not table.free(A, 1)
    assert table.stats().used == MB, "B may still write there"
    assert table.create(A, 2, A, MB).offset != place.offset
    assert not table.seal(A, 1, B)
    assert table.stats().used == MB
    table.check()


def test_creator_gives_up(table: ObjectTable) -> None:
    table.create(A, 1, B, MB)
    assert not table.free(A, 1, by=C)
    assert table.free(A, 1, by=B)
    assert table.stats().used == 0
    table.create(A, 2, A, MB)
    assert table.free(A, 2), "the owner is the creator"
    assert table.stats().used == 0
    stored(table, A, 3)
    assert not table.free(A, 3, by=B), "nobody but the owner frees what is sealed"
    table.check()


def test_next_attempt_gets_a_place_of_its_own(table: ObjectTable) -> None:
    first = table.create(A, 1, B, MB)
    second = table.create(A, 1, C, MB)
    assert first.offset != second.offset
    assert not table.seal(A, 1, B), "the first attempt does not count any more"
    assert table.locate(A, 1) is None
    assert table.seal(A, 1, C)
    assert table.locate(A, 1) == second
    assert table.stats().used == MB
    table.check()


def test_death_of_the_first_attempt_leaves_the_second(table: ObjectTable) -> None:
    table.create(A, 1, B, MB)
    table.create(A, 1, C, MB)
    assert table.creator_died(B) == []
    assert table.stats().used == MB
    assert table.seal(A, 1, C)
    table.check()


def test_creator_takes_up_again_what_its_owner_freed(table: ObjectTable) -> None:
    place = table.create(A, 1, B, MB)
    table.free(A, 1)
    assert table.create(A, 1, B, MB) == place
    assert table.seal(A, 1, B)
    assert table.locate(A, 1) == place
    table.check()


def test_creators_death_frees_what_it_had_not_sealed(table: ObjectTable) -> None:
    table.create(A, 1, B, MB)
    table.create(A, 2, B, MB)
    table.seal(A, 2, B)
    assert table.creator_died(B) == [(A, 1)]
    assert table.creator_died(B) == []
    assert table.stats().used == MB
    with pytest.raises(ProcessGone):
        table.create(A, 3, B, 10)
    assert not table.seal(A, 1, B)
    table.check()


def test_owners_death_waits_for_all_lookers(table: ObjectTable) -> None:
    stored(table, A, 1)
    stored(table, A, 2)
    stored(table, B, 1)
    assert table.owner_died(A, {B, C}) == []
    assert table.owner_died(A, set()) == [], "told twice"
    assert table.awaited_lookers() == {A: {B, C}}
    assert table.looker_done(A, B) == []
    assert table.looker_done(A, B) == []
    assert table.locate(A, 1) is not None
    assert sorted(table.looker_done(A, C)) == [1, 2]
    assert table.looker_done(A, C) == []
    assert table.stats().by_owner == {B: MB}
    with pytest.raises(ProcessGone, match=A.hex()):
        table.create(A, 5, B, 10)
    table.check()


def test_owners_death_without_lookers_frees_at_once(table: ObjectTable) -> None:
    stored(table, A, 1)
    assert table.owner_died(A, set()) == [1]
    assert table.stats().used == 0
    assert table.owner_died(B, {C}) == []
    assert table.awaited_lookers() == {}
    table.check()


def test_object_of_a_dead_owner_is_dropped_when_written(table: ObjectTable) -> None:
    table.create(A, 1, B, MB)
    table.owner_died(A, {C})
    assert table.awaited_lookers() == {}, "nobody can look at what is not sealed"
    assert table.stats().used == MB
    assert not table.seal(A, 1, B)
    assert table.stats().used == 0
    table.check()


def test_death_of_a_process_counts_in_every_role(table: ObjectTable) -> None:
    stored(table, A, 1)
    stored(table, B, 2)
    table.create(C, 3, B, MB)
    table.owner_died(A, {B})
    gone = table.process_died(B, {C})
    assert sorted(gone) == sorted([(C, 3), (A, 1)])
    assert table.awaited_lookers() == {B: {C}}
    assert table.process_died(C, set()) == [(B, 2)]
    assert table.stats().used == 0
    table.check()


def test_full_store_says_what_it_holds(table: ObjectTable) -> None:
    stored(table, A, 1, 40 * MB)
    stored(table, B, 1, 4 * MB)
    with pytest.raises(StoreFull) as caught:
        table.create(C, 1, C, 30 * MB)
    full = caught.value
    assert (full.asked, full.free, full.capacity) == (30 * MB, 20 * MB, 64 * MB)
    assert full.largest == 20 * MB
    assert full.holders == [(A, 40 * MB), (B, 4 * MB)]
    assert "31,457,280 bytes do not fit" in str(full)
    copy = pickle.loads(pickle.dumps(full))
    assert str(copy) == str(full)
    assert copy.holders == full.holders
    table.check()


def test_full_store_names_fragmentation(table: ObjectTable) -> None:
    for key in range(64):
        stored(table, A, key)
    for key in range(0, 64, 2):
        table.free(A, key)
    with pytest.raises(StoreFull, match="in one piece"):
        table.create(A, 100, A, 2 * MB)


def test_figures(table: ObjectTable) -> None:
    stored(table, A, 1, 100)
    table.create(B, 1, A, MB)
    table.free(A, 1)
    stats = table.stats()
    assert stats.used == MB
    assert stats.peak == MB + 128
    assert (stats.objects, stats.unsealed) == (1, 1)
    assert stats.by_owner == {B: MB}
    assert stats.touched >= stats.used
    assert stats.capacity == 64 * MB


PROCESSES = (A, B, C, D)
process = st.sampled_from(PROCESSES)
number = st.integers(1, 3)


class ObjectTableMachine(RuleBasedStateMachine):
    """Random events; after all processes have died, nothing may be left."""

    def __init__(self) -> None:
        super().__init__()
        self.table = ObjectTable(4 * MB)
        # Who may write where: none of these ranges may be given to anyone else.
        self.writing: dict[tuple[bytes, bytes, int], tuple[int, int]] = {}

    @rule(owner=process, key=number, creator=process, size=st.integers(0, 2 * MB))
    def create(self, owner: bytes, key: int, creator: bytes, size: int) -> None:
        try:
            place = self.table.create(owner, key, creator, size)
        except StoreFull:
            # Asking for another size gave up the place that it had.
            self.writing.pop((creator, owner, key), None)
            return
        except (AlreadyStored, ProcessGone):
            return
        self.writing.pop((creator, owner, key), None)
        for offset, length in self.writing.values():
            assert place.offset + size <= offset or offset + length <= place.offset
        self.writing[creator, owner, key] = place[:2]

    @rule(owner=process, key=number, creator=process)
    def seal(self, owner: bytes, key: int, creator: bytes) -> None:
        if self.table.seal(owner, key, creator):
            assert self.table.locate(owner, key) is not None
        self.writing.pop((creator, owner, key), None)

    @rule(owner=process, key=number)
    def free(self, owner: bytes, key: int) -> None:
        self.table.free(owner, key)
        self.writing.pop((owner, owner, key), None)
        assert self.table.locate(owner, key) is None

    @rule(owner=process, key=number, creator=process)
    def give_up(self, owner: bytes, key: int, creator: bytes) -> None:
        if creator != owner:
            self.table.free(owner, key, by=creator)
            self.writing.pop((creator, owner, key), None)

    @rule(dead=process, lookers=st.sets(process))
    def die(self, dead: bytes, lookers: set[bytes]) -> None:
        self.table.process_died(dead, lookers - {dead})
        for who in [who for who in self.writing if who[0] == dead]:
            del self.writing[who]

    @rule(owner=process, looker=process)
    def done(self, owner: bytes, looker: bytes) -> None:
        self.table.looker_done(owner, looker)

    @invariant()
    def consistent(self) -> None:
        self.table.check()

    def teardown(self) -> None:
        for address in PROCESSES:
            self.table.process_died(address, set())
        self.table.check()
        assert self.table.stats().used == 0
        assert self.table.stats().objects == 0


TestObjectTable = ObjectTableMachine.TestCase
TestObjectTable.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
