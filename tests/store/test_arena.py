"""The node's arena: nameless, sealed, pages ahead and back again."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

from paralab import platform
from paralab.state.allocator import Allocator
from paralab.store.arena import Arena, default_capacity
from paralab.store.mapping import Mapping

MB = 1 << 20
GB = 1 << 30
CAPACITY = 256 * MB


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena(CAPACITY, memory_available=lambda: 64 * 16 * MB)  # 16 MB may be ahead
    yield arena
    arena.close()


def test_takes_no_memory_until_used(arena: Arena) -> None:
    assert os.fstat(arena.fd).st_size == CAPACITY
    assert arena.allocated() == 0
    assert not os.get_inheritable(arena.fd)


def test_cannot_be_resized(arena: Arena) -> None:
    for size in (MB, 2 * CAPACITY):
        with pytest.raises(PermissionError):
            os.ftruncate(arena.fd, size)


def test_allocates_ahead_of_use_within_bounds(arena: Arena) -> None:
    arena.allocate_ahead(0)
    assert arena.wait_allocated(30)
    assert arena.allocated() == arena.allocated_ahead_to == 16 * MB
    arena.allocate_ahead(4 * MB)
    assert arena.wait_allocated(30)
    assert arena.allocated() == 16 * MB, "enough is ahead"
    arena.allocate_ahead(12 * MB)
    assert arena.wait_allocated(30)
    assert arena.allocated() == 28 * MB
    arena.allocate_ahead(CAPACITY - MB)
    assert arena.wait_allocated(30)
    assert arena.allocated_ahead_to == CAPACITY


def test_allocates_nothing_where_memory_is_short() -> None:
    arena = Arena(CAPACITY, memory_available=lambda: 100 * MB)
    arena.allocate_ahead(0)
    arena.allocate_ahead(MB)
    assert arena.wait_allocated(30)
    assert arena.allocated() == 0
    arena.close()


def test_stops_when_the_system_refuses(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(platform, "allocate_pages", refuse)
    arena.allocate_ahead(0)
    assert arena.wait_allocated(30)
    assert arena.allocated_ahead_to == 0
    monkeypatch.undo()
    arena.allocate_ahead(10 * MB)
    assert arena.wait_allocated(30)
    assert arena.allocated_ahead_to == 26 * MB


def test_idle_store_gives_all_memory_back(arena: Arena) -> None:
    allocator = Allocator(CAPACITY)
    mapping = Mapping(os.dup(arena.fd), CAPACITY)
    hole, kept, last = (allocator.allocate(size) for size in (32 * MB, 100, 32 * MB))
    assert hole is not None
    assert kept is not None
    assert last is not None
    mapping.write(hole, bytes(32 * MB))
    mapping.write(kept, b"k" * 100)
    mapping.write(last, bytes(32 * MB))
    arena.allocate_ahead(allocator.usage().touched)
    assert arena.wait_allocated(30)
    assert arena.allocated() > 64 * MB
    allocator.free(hole)
    allocator.free(last)
    while ranges := allocator.trim(8 * MB):
        arena.drop(ranges)
    arena.drop_ahead(allocator.touched_end)
    assert arena.allocated() == allocator.usage().touched == 4096
    assert bytes(mapping.view(kept, 100, None)) == b"k" * 100
    arena.allocate_ahead(allocator.touched_end)
    assert arena.wait_allocated(30)
    assert arena.allocated() > 8 * MB, "it starts anew"
    mapping.close()


def test_close_during_work_and_twice() -> None:
    arena = Arena(CAPACITY)
    arena.allocate_ahead(0)
    arena.close()
    arena.close()
    arena.allocate_ahead(0)


@pytest.mark.parametrize(
    ("limit", "capacity"),
    [
        (2 * GB, 614 * MB),
        (100 * MB, 75 * MB),
        (24 * GB, 7372 * MB),
        (4096 * GB, 200 * GB),
    ],
)
def test_default_capacity(limit: int, capacity: int) -> None:
    assert default_capacity(limit) == capacity
