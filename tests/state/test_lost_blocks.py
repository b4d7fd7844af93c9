"""Blocks of lost values: nobody else gets them while a ref may look at them."""

from __future__ import annotations

import pytest

from paralab.ids import make_address
from paralab.state.object_table import ObjectTable

MB = 1 << 20
A, B, C = (make_address(b"n" * 28, number, 0) for number in range(3))


@pytest.fixture
def table() -> ObjectTable:
    return ObjectTable(64 * MB)


def store(table: ObjectTable, owner: bytes, key: int, creator: bytes, home: int = 0) -> int:
    place = table.create(owner, key, creator, MB, home)
    assert table.seal(owner, key, creator)
    return place.offset


def test_a_lost_object_can_be_made_again_beside_the_old_block(table: ObjectTable) -> None:
    old = store(table, A, 1, B)
    assert table.lose(A, 1)
    assert not table.lose(A, 1)
    assert table.is_missing(A, 1)
    assert table.locate(A, 1) is None
    table.check()
    new = store(table, A, 1, C)
    assert new != old
    assert table.stats().used == 2 * MB
    assert table.stats().by_owner == {A: 2 * MB}
    table.check()
    assert table.free(A, 1)
    assert table.stats().used == 0
    table.check()


def test_a_lost_block_goes_with_the_last_ref(table: ObjectTable) -> None:
    store(table, A, 1, B)
    table.lose(A, 1)
    assert not table.free(A, 1, B), "only the owner knows of the last ref"
    assert table.stats().used == MB
    table.free(A, 1)
    assert table.stats().used == 0
    table.check()


def test_what_nobody_has_heard_of_is_let_go_without_the_lost_block(table: ObjectTable) -> None:
    store(table, A, 1, B)
    table.lose(A, 1)
    store(table, A, 1, C)
    assert table.discard(A, 1)
    assert not table.discard(A, 1)
    assert table.stats().used == MB
    table.check()
    table.free(A, 1)
    table.check()


def test_a_node_takes_what_its_processes_have_made(table: ObjectTable) -> None:
    store(table, A, 1, A)
    store(table, A, 2, B, home=1)
    store(table, A, 3, C, home=2)
    table.create(A, 4, B, MB, home=1)
    assert table.lose_made_at(1) == [(A, 2)], "what is not finished goes with its creator"
    assert table.lose_made_at(1) == []
    assert [table.is_missing(A, key) for key in range(1, 5)] == [False, True, False, False]
    table.check()


def test_a_dead_owners_lost_blocks_wait_for_the_lookers(table: ObjectTable) -> None:
    store(table, A, 1, B)
    table.lose(A, 1)
    assert table.owner_died(A, [B, C]) == []
    table.check()
    assert table.looker_done(A, B) == []
    assert table.looker_done(A, C) == [1]
    assert table.stats().used == 0
    table.check()
