"""How processes reach the arena: mapped once as a whole, looked at through pinned views.

A view must keep its object in the store for as long as *anything* can reach the bytes: the
memoryview, a NumPy array on it, a slice of a slice of that array.  Neither the memoryview nor
a PickleBuffer can carry the pin, since arrays and slices hold on to what *exports* the memory
and let the view itself go.  So each view has an exporter of its own::

    slice ─► array ─► memoryview ─► exporter ─► [ holder, home ]
                                    ctypes array     │       └─► the mapping
                                    over the arena   └─► the pin: the ObjectRef

The list is hidden from the garbage collector (see ``_pinned``).  When the exporter goes, in
that moment, so do holder and mapping.

Writing: a page costs its first writer far more than the copy itself, and each process again
to enter it into its page table (200 MB, GB/s, on a virtual machine with two cores)::

    copy into mapped pages                                        12 to 16
    copy into fresh pages                                         0.7 to 1.2
    pwrite into fresh pages                                       2.0 to 2.3
    pwrite into pages allocated ahead (posix_fallocate)           4.5 to 5.4
    mapping known pages (MADV_POPULATE_READ, 8 GB/s), then copy   4.1 to 5.4

``pwrite`` wins on the first visit as it neither clears a page that it fills nor maps it.  On
a second visit the space is being reused, so it is mapped and copied into; from the third on
it is a bare copy.  A byte for each 64 KB of the arena counts the visits.  Tried and not
better: two threads (pwrite holds the file's lock; fallocate leaves clearing to the copy).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from itertools import groupby
from typing import Any

from paralab import platform
from paralab.blob_format import PAGED_SIZE
from paralab.state.blocks import CELL
from paralab.store.copying import address_of

_CHUNK = 64 << 10
"""What Linux maps around one read fault; visits are counted in these."""
_STEP = 16 << 20
"""Longest single pwrite, so that an interrupt is seen soon and the file's lock let go."""

_UNVISITED, _WRITTEN, _MAPPED = 0, 1, 2

_untrack = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("PyObject_GC_UnTrack", ctypes.pythonapi))


def _pinned(*held: Any) -> list[Any]:
    """A list of what a view needs that the garbage collector does not see.

    If it saw the holder in a cycle of garbage together with a view, it would run the
    holder's finaliser, which frees the space, before or beside finalisers that still look at
    the view.  Unseen, the holder counts as used from outside until the list really goes.
    """
    pin = [*held]
    _untrack(pin)
    return pin


class _Home:
    """Keeps the mapped memory; counted by its references."""

    __slots__ = ("__weakref__", "memory")

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory


class _PrivateMap(mmap.mmap):
    """A mapping of some bytes for their looker's own changes, exporter and pin in one."""

    __slots__ = ("pin",)
    pin: list[Any]


class Mapping:
    """One process's window on an arena.

    Args:
        fd: the arena's descriptor; it belongs to the mapping from now on.
        capacity: bytes of the arena.
        numbers: the descriptor of its placements' numbers; belongs to the mapping, too.
    """

    def __init__(self, fd: int, capacity: int, numbers: int | None = None) -> None:
        self.capacity = capacity
        self._numbers = memoryview(b"")
        if numbers is not None:
            shared = mmap.mmap(numbers, 0, access=mmap.ACCESS_READ)
            self._numbers = memoryview(shared).cast("Q")
            os.close(numbers)
        self._fd = fd
        memory = mmap.mmap(fd, capacity)
        self._home: _Home | None = _Home(memory)
        self._weak_home = weakref.ref(self._home)
        self._whole = memoryview(memory)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        # One type as long as the arena serves all views: making one for each size takes
        # longer than all the rest.  Views are cut out of it.
        self._exporter: type[ctypes.Array[Any]] = type(
            "_Exporter", (ctypes.c_ubyte * capacity,), {"__slots__": ("pin",)}
        )
        self._visits = bytearray(-(-capacity // _CHUNK))

    def holds(self, offset: int, number: int) -> bool:
        """Whether what was placed at ``offset`` under ``number`` may still be looked at there.

        Raises:
            ValueError: the mapping is closed.
        """
        self._check(offset, 0)
        return bool(self._numbers[offset // CELL] == number)

    def view(self, offset: int, size: int, holder: Any) -> memoryview:
        """Read-only bytes of the arena.

        Args:
            offset, size: in bytes.
            holder: kept alive for as long as anything looks at the bytes, and let go right
                then, by whichever thread ends the last view.

        Raises:
            ValueError: the range is not in the arena, or the mapping is closed.
        """
        home = self._check(offset, size)
        if not size:
            return memoryview(b"")
        exporter = self._exporter.from_address(self._base)
        exporter.pin = _pinned(holder, home)  # type: ignore[attr-defined]
        return memoryview(exporter)[offset : offset + size].cast("B").toreadonly()

    def private(self, view: memoryview) -> memoryview:
        """Writable bytes that begin as ``view`` has them; nobody else sees their changes.

        Bytes of the arena that can be mapped by themselves are copied page by page when they are
        written, all others at once.  ``view`` lives for as long as anything looks at the result.
        """
        size = view.nbytes
        with address_of(view) as address:
            offset = address - self._base
        is_ours = 0 <= offset <= self.capacity - size and not offset % mmap.ALLOCATIONGRANULARITY
        if size >= PAGED_SIZE and is_ours and self._home is not None:
            try:  # a file's mapping would keep a descriptor, and those are few: so nameless first
                memory = _PrivateMap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
                place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
                platform.map_over(place, size, self._fd, offset)
            except OSError:  # too many mappings
                return memoryview(bytearray(view))
            # Pages that are not written are still the arena's, so these bytes need its pin too.
            memory.pin = _pinned(view)
            return memoryview(memory)
        return memoryview(bytearray(view))

    def writer(self, offset: int, size: int) -> memoryview:
        """Writable bytes, for the creator of an object until it is sealed.

        :meth:`write` is faster for large data.

        Raises:
            ValueError: as for :meth:`view`.
        """
        self._check(offset, size)
        return self._whole[offset : offset + size]

    def write(self, offset: int, data: Any) -> None:
        """Copies ``data`` into the arena the fastest way; large data without the GIL.

        Args:
            offset: in bytes.
            data: anything contiguous with the buffer protocol.

        Raises:
            ValueError: as for :meth:`view`.
            OSError: the system has no memory for the pages (ENOSPC, ENOMEM).
        """
        source = memoryview(data)
        size = source.nbytes
        self._check(offset, size)
        if not size:
            return
        first, last = offset // _CHUNK, -(-(offset + size) // _CHUNK)
        visits = self._visits[first:last]
        with address_of(source) as origin:
            if visits.count(_MAPPED) == len(visits):
                ctypes.memmove(self._base + offset, origin, size)
                return
            position, end = offset, offset + size
            for visited, run in groupby(visits):
                length = len(list(run))
                stop = min((first + length) * _CHUNK, end)
                if visited == _UNVISITED:
                    self._write_file(position, source.cast("B")[position - offset : stop - offset])
                else:
                    if visited == _WRITTEN:
                        start = first * _CHUNK
                        stretch = min(length * _CHUNK, self.capacity - start)
                        platform.map_pages(self._base + start, stretch)
                    ctypes.memmove(
                        self._base + position, origin + position - offset, stop - position
                    )
                # Only now: an interrupt before leaves a chunk unvisited, which is just slower.
                now = _WRITTEN if visited == _UNVISITED else _MAPPED
                self._visits[first : first + length] = bytes((now,)) * length
                first += length
                position = stop

    def _write_file(self, position: int, source: memoryview) -> None:
        done, size = 0, len(source)
        while done < size:
            done += os.pwrite(self._fd, source[done : done + _STEP], position + done)

    @property
    def live_views(self) -> int:
        """How many views, private ones included, are being looked at; for tests."""
        home = self._weak_home()
        if home is None:
            return 0
        # Besides the pins: ``home``, getrefcount's argument, and ours while we are open.
        return sys.getrefcount(home) - 2 - (self._home is not None)

    @property
    def mapped(self) -> bool:
        """Whether the memory is still mapped for views."""
        return self._weak_home() is not None

    def close(self) -> None:
        """Ends this window; may be called twice.

        Views that exist stay valid: the memory is unmapped when the last one goes.
        """
        if self._home is None:
            return
        self._home = None
        self._whole = self._numbers = memoryview(b"")
        fd, self._fd = self._fd, -1
        os.close(fd)

    def _check(self, offset: int, size: int) -> _Home:
        home = self._home
        if home is None:
            raise ValueError("the mapping of the object store is closed")
        if offset < 0 or size < 0 or offset + size > self.capacity:
            raise ValueError(
                f"{size:,} bytes at {offset:,} are not in an arena of {self.capacity:,} bytes"
            )
        return home
