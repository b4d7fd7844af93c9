"""The node's shared memory: one nameless, sparse segment, and how many pages it has.

The arena is as large as the store may ever become; it costs nothing until pages are written.
Fresh pages are slow (see ``store.mapping``), so after each allocation the node has a thread
allocate pages a little *ahead* of the space in use, in small steps, at the lowest priority,
and only a small share of the memory that is free.  Pages that are no more needed go back
when the node says so, which it does when it is idle::

    0                       top                    end                            capacity
    | in use, or was in use  | allocated ahead      | nothing                      |
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Iterable

from paralab import limits, platform
from paralab.state.blocks import cells

_STEP = 4 << 20
"""Bytes allocated at a time: about 1 ms in which writers wait for the file's lock."""
_MOST_AHEAD = 256 << 20
_SHARE_AHEAD = 64
"""At most this part of the available memory is allocated ahead: 32 MB where 2 GB are free."""

_GIGABYTE = 1 << 30
_LEAST_CAPACITY = 75 << 20
_MOST_CAPACITY = 200 * _GIGABYTE


def default_capacity(memory_limit: int) -> int:
    """The store's capacity if nobody asks for one: 30 % of memory, 75 MiB to 200 GiB.

    ``/dev/shm`` plays no part: nameless memory is not limited by its size.

    Args:
        memory_limit: what the machine or container has, in bytes (``limits.memory_limit()``).

    Returns:
        Bytes, a whole number of MiB.
    """
    wanted = min(max(memory_limit * 3 // 10, _LEAST_CAPACITY), _MOST_CAPACITY)
    return wanted >> 20 << 20


class Arena:
    """Shared memory of ``capacity`` bytes.

    Args:
        capacity: in bytes.
        memory_available: tells how much memory can be had now, in bytes.
    """

    def __init__(
        self, capacity: int, memory_available: Callable[[], int] = limits.memory_available
    ) -> None:
        self.capacity = capacity
        self.fd = platform.nameless_memory(capacity, "paralab-store")
        """To be passed to other processes, which map it (``store.mapping``)."""
        self.numbers_fd = platform.nameless_memory(8 * cells(capacity), "paralab-places")
        """The same, of the numbers of placements (``state.blocks``)."""
        self.numbers = memoryview(mmap.mmap(self.numbers_fd, 0)).cast("Q")
        self._memory_available = memory_available
        # Held while pages are allocated or dropped ahead, a step at a time; taken before
        # _changed.
        self._pages = threading.Lock()
        # Guards what follows, for moments only, so that the node's loop never waits for pages.
        self._changed = threading.Condition()
        self._end = 0  # pages below were allocated ahead, or are the objects' affair
        self._goal = 0
        self._asked: int | None = None  # a top that the thread has not looked at yet
        self._enough_until = -1  # while the space in use ends below, there is nothing to do
        self._closed = False
        self._thread: threading.Thread | None = None  # from the first goal until close

    def allocate_ahead(self, top: int) -> None:
        """Has pages allocated ahead of the space in use, in the background.

        Returns at once; to ask again while enough is ahead costs next to nothing.

        Args:
            top: where the space that was ever used ends, in bytes
                (``Allocator.touched_end``).
        """
        if top <= self._enough_until or self._closed:
            return
        with self._changed:
            self._asked = top
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="paralab-allocate-ahead", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    @property
    def allocated_ahead_to(self) -> int:
        """Where the pages allocated ahead end, in bytes."""
        return self._end

    def wait_allocated(self, timeout: float | None = None) -> bool:
        """Waits, at most ``timeout`` seconds, until nothing is left to allocate ahead.

        Returns:
            False if time was up first.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy(), timeout)

    def drop(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Gives the pages of unused ranges back to the system, at about 5 GB/s.

        Args:
            ranges: (offset, length) in bytes, whole pages (``Allocator.trim``).
        """
        for offset, length in ranges:
            platform.drop_pages(self.fd, offset, length)

    def drop_ahead(self, top: int) -> None:
        """Gives back what was allocated ahead of ``top``, and allocates no more.

        Args:
            top: as for :meth:`allocate_ahead`, which starts anew when it is called next.
        """
        with self._changed:
            self._asked = None
            self._goal = self._end  # so that the thread lets go of the pages after its step
        with self._pages, self._changed:
            if top < self._end:
                platform.drop_pages(self.fd, top, self._end - top)
            self._end = self._goal = top
            self._enough_until = -1
            self._changed.notify_all()

    def allocated(self) -> int:
        """Bytes of memory that the arena takes now, pages allocated ahead included."""
        return os.fstat(self.fd).st_blocks * 512

    def close(self) -> None:
        """Closes the descriptor; may be called twice.  Mappings elsewhere stay valid."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        os.close(self.fd)
        os.close(self.numbers_fd)
        self.numbers.release()
        self.fd = -1

    def _busy(self) -> bool:
        return self._asked is not None or self._end < self._goal

    def _aim(self, available: int) -> None:
        """Turns what was asked for into a goal."""
        top, self._asked = self._asked, None
        if top is None:
            return
        ahead = min(_MOST_AHEAD, available // _SHARE_AHEAD)
        self._enough_until = top + ahead // 2
        self._end = max(self._end, top)
        self._goal = max(self._end, min(top + ahead // _STEP * _STEP, self.capacity))

    def _run(self) -> None:
        platform.lower_thread_priority()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._busy())
                asked = self._asked is not None
            available = self._memory_available() if asked else 0  # reads files: no lock held
            with self._pages:
                with self._changed:
                    if self._closed:
                        return
                    if asked:
                        self._aim(available)
                    start, length = self._end, min(_STEP, self._goal - self._end)
                    self._changed.notify_all()
                if length <= 0:
                    continue
                try:
                    platform.allocate_pages(self.fd, start, length)
                except OSError:
                    length = 0  # no memory to spare: writers will see whether that is true
                with self._changed:
                    self._end = max(self._end, start + length)
                    if not length:
                        self._goal = self._end
                    self._changed.notify_all()
