"""Views that pin, writing in all states of the pages, private views, forks."""

from __future__ import annotations

import ctypes
import errno
import gc
import mmap
import os
import pickle
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paralab import platform
from paralab.store.arena import Arena
from paralab.store.mapping import Mapping

MB = 1 << 20
CAPACITY = 64 * MB


class Holder:
    """Stands for an ObjectRef."""


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena(CAPACITY)
    yield arena
    arena.close()


@pytest.fixture
def mapping(arena: Arena) -> Iterator[Mapping]:
    mapping = Mapping(os.dup(arena.fd), CAPACITY)
    yield mapping
    mapping.close()
    assert not mapping.mapped, "a test left a view behind"


def data_of(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def test_two_processes_worth_of_mappings_see_one_memory(arena: Arena, mapping: Mapping) -> None:
    other = Mapping(os.dup(arena.fd), CAPACITY)
    mapping.write(4096, b"hello")
    mapping.writer(4101, 3)[:] = b" 42"
    view = other.view(4096, 8, None)
    assert bytes(view) == b"hello 42"
    assert view[0] == ord("h")
    assert (view.format, view.itemsize, view.ndim, view.nbytes) == ("B", 1, 1, 8)
    del view
    other.close()


def test_view_is_read_only(mapping: Mapping) -> None:
    view = mapping.view(0, 80, None)
    assert view.readonly
    array = np.frombuffer(view, dtype=np.float64)
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True
    with pytest.raises(TypeError):
        view[0] = 1


def test_holder_lives_exactly_until_the_last_slice_goes(mapping: Mapping) -> None:
    mapping.write(0, np.arange(1000.0))
    holder = Holder()
    alive = weakref.ref(holder)
    view = mapping.view(0, 8000, holder)
    del holder
    buffer = pickle.PickleBuffer(view)
    array = np.frombuffer(buffer.raw())
    buffer.release()
    part = array[100:][::2][:5]
    del view, buffer, array
    gc.collect()
    assert alive() is not None
    assert mapping.live_views == 1
    assert part.tolist() == [100.0, 102.0, 104.0, 106.0, 108.0]
    del part  # and no collection: at once
    assert alive() is None
    assert mapping.live_views == 0


def test_each_view_has_its_own_pin(mapping: Mapping) -> None:
    holders = [Holder() for _ in range(3)]
    alive = [weakref.ref(holder) for holder in holders]
    views = [mapping.view(64 * i, 64, holder) for i, holder in enumerate(holders)]
    del holders
    assert mapping.live_views == 3
    views.pop(1)
    assert [ref() is not None for ref in alive] == [True, False, True]
    assert mapping.live_views == 2
    views.clear()


def test_finaliser_in_a_cycle_still_sees_its_bytes(mapping: Mapping) -> None:
    # The collector finalises all garbage of a cycle in any order; the pin must not be part
    # of that garbage while something in it can still look at the view.
    events: list[Any] = []

    class Ref:
        def __del__(self) -> None:
            events.append("freed")

    class Looker:
        def __init__(self, view: memoryview) -> None:
            self.view = view
            self.me = self

        def __del__(self) -> None:
            events.append(bytes(self.view))

    mapping.write(0, b"still there")
    Looker(mapping.view(0, 11, Ref()))
    assert not events
    gc.collect()
    assert events == [b"still there", "freed"]


def test_views_outlive_close(arena: Arena) -> None:
    mapping = Mapping(os.dup(arena.fd), CAPACITY)
    mapping.write(0, b"abc")
    view = mapping.view(0, 3, None)[1:]
    writer = mapping.writer(0, 3)
    mapping.close()
    mapping.close()
    assert bytes(view) == b"bc"
    assert bytes(writer) == b"abc"
    with pytest.raises(ValueError, match="closed"):
        mapping.view(0, 3, None)
    assert mapping.live_views == 1
    del view, writer
    assert not mapping.mapped


@pytest.mark.parametrize(("offset", "size"), [(-1, 1), (0, -1), (CAPACITY, 1), (0, CAPACITY + 1)])
def test_ranges_outside_are_refused(mapping: Mapping, offset: int, size: int) -> None:
    with pytest.raises(ValueError, match="not in an arena"):
        mapping.view(offset, size, None)
    with pytest.raises(ValueError, match="not in an arena"):
        mapping.writer(offset, size)
    with pytest.raises(ValueError, match="not in an arena"):
        mapping.write(CAPACITY - 1, b"two")


def test_nothing_can_be_looked_at(mapping: Mapping) -> None:
    assert bytes(mapping.view(CAPACITY, 0, None)) == b""
    assert bytes(mapping.private(mapping.view(0, 0, None))) == b""
    mapping.write(CAPACITY, b"")


@pytest.mark.parametrize("offset", [0, 64, 4096, 65536 - 64, 3 * 65536 + 128, CAPACITY - 3 * MB])
def test_write_is_right_on_each_visit(mapping: Mapping, offset: int) -> None:
    mapping.write(0, b"edge" * 16)
    for visit in range(4):
        data = data_of(3 * MB - visit * 1000, seed=visit)
        mapping.write(offset, data)
        assert bytes(mapping.view(offset, len(data), None)) == data
    if offset:
        assert bytes(mapping.view(0, 64, None)) == b"edge" * 16


def test_write_over_a_mixture_of_visits(mapping: Mapping) -> None:
    for start in (1, 5, 6, 7, 20):
        for _ in range(start % 4):
            mapping.write(start * 65536 + 17, b"x" * 70000)
    data = data_of(2 * MB, seed=5)
    mapping.write(100, data)
    assert bytes(mapping.view(100, 2 * MB, None)) == data


def test_write_takes_any_contiguous_buffer(mapping: Mapping) -> None:
    array = np.arange(60_000, dtype=np.int32).reshape(300, 200)
    for source in (array, array.copy(), array.tobytes(), bytearray(array), array.data):
        mapping.write(0, source)
        assert bytes(mapping.view(0, array.nbytes, None)) == array.tobytes()
        mapping.write(0, bytes(array.nbytes))
    array.flags.writeable = False
    mapping.write(0, array)
    assert bytes(mapping.view(0, array.nbytes, None)) == array.tobytes()
    with pytest.raises(BufferError):
        mapping.write(0, array[:, ::2])


def test_dropped_pages_can_be_written_again(arena: Arena, mapping: Mapping) -> None:
    for visit in range(4):
        data = data_of(2 * MB, seed=visit)
        mapping.write(0, data)
        assert bytes(mapping.view(0, 2 * MB, None)) == data
        arena.drop([(0, 2 * MB)])
        assert mapping.view(0, 1, None)[0] == 0


def test_write_works_where_pages_cannot_be_mapped_ahead(
    mapping: Mapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "map_pages", lambda address, length: False)
    for visit in range(3):
        data = data_of(MB, seed=visit)
        mapping.write(0, data)
        assert bytes(mapping.view(0, MB, None)) == data


@pytest.mark.parametrize(
    ("offset", "size", "mapped"),
    [(0, 2 * MB, True), (4096 * 300, MB, True), (64, 2 * MB, False), (0, MB - 8, False)],
)
def test_private_changes_are_private(
    mapping: Mapping, offset: int, size: int, mapped: bool
) -> None:
    mapping.write(offset, np.zeros(size // 8))
    holder = Holder()
    alive = weakref.ref(holder)
    array = np.frombuffer(mapping.private(mapping.view(offset, size, holder)))
    del holder
    array[3] = 7
    assert array[:5].tolist() == [0, 0, 0, 7, 0]
    assert not any(mapping.view(offset, size, None))
    # A copy needs no pin, a mapping does: what is not written is still the store's.
    assert (alive() is not None) == mapped
    assert mapping.live_views == mapped
    tail = array[10:][5:]
    del array
    gc.collect()
    assert (alive() is not None) == mapped
    del tail
    assert alive() is None
    assert mapping.live_views == 0


def test_private_bytes_of_others_are_copied(mapping: Mapping) -> None:
    theirs = bytes(2 * MB)
    private = mapping.private(memoryview(theirs))
    private[0] = 1
    assert not theirs[0]
    mapping.close()
    assert not any(mapping.private(memoryview(theirs)))


def test_private_copies_only_what_is_written(mapping: Mapping) -> None:
    """Anonymous memory of a mapping of the store is what it has that the store has not."""

    def copied() -> int:
        counts, inside = 0, False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            if "-" in line.split()[0]:
                inside = "paralab-store" in line
            elif inside and line.startswith("Anonymous:"):
                counts += int(line.split()[1])
        return counts

    mapping.write(0, np.ones(MB))
    array = np.frombuffer(mapping.private(mapping.view(0, 8 * MB, None)))
    assert array.sum() == MB
    assert copied() == 0
    array[0] = array[-1] = 2
    assert copied() == 2 * mmap.PAGESIZE // 1024


def test_private_takes_no_descriptor(mapping: Mapping) -> None:
    before = len(os.listdir("/proc/self/fd"))
    kept = [mapping.private(mapping.view(0, MB, None)) for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert len({ctypes.addressof(ctypes.c_char.from_buffer(each)) for each in kept}) == 20


def test_private_is_copied_where_it_cannot_be_mapped(
    mapping: Mapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(errno.ENOMEM, "too many mappings")

    monkeypatch.setattr(platform, "map_over", refuse)
    mapping.write(0, b"x" * MB)
    private = mapping.private(mapping.view(0, MB, None))
    private[:1] = b"y"
    assert bytes(private[:2]) == b"yx"
    assert mapping.live_views == 0


def test_forked_child_reads_drops_and_exits(arena: Arena) -> None:
    code = """
        import os
        from paralab.store.arena import Arena
        from paralab.store.mapping import Mapping

        arena = Arena(1 << 26)
        mapping = Mapping(os.dup(arena.fd), 1 << 26)
        mapping.write(0, bytes(range(256)) * 1000)
        view = mapping.view(0, 256_000, object())[5:]
        pid = os.fork()
        if not pid:
            assert bytes(view[:3]) == bytes((5, 6, 7))
            assert mapping.live_views == 1
            del view
            mapping.view(0, 10, object())
            mapping.close()
            arena.close()
            raise SystemExit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert bytes(view[:3]) == bytes((5, 6, 7))
        arena.close()
        # Left to the interpreter's end: view and mapping.
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
