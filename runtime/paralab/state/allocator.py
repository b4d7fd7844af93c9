"""Where in the arena an object goes: a best-fit allocator over plain numbers.

The arena is one sparse range of bytes, ``[0, capacity)``.  It consists of used blocks, free
blocks between them, and the *top*, the free rest behind the last used block::

    0                                                   top        touched      capacity
    | used | free | used | used | free | used |  used  | free, warm | free, fresh |

Rules:

* A page that was never written costs the kernel 10 to 20 times what a copy into a known
  page costs, so space is reused *warm*: free blocks between used ones first (they were
  all written once), the smallest that fits, at equal size the lowest; the top is cut only
  when none fits, from its low and warm end.
* Neighbouring free blocks are merged at once, so when all is freed the top is everything.
* Sizes are rounded to 64 bytes, from 1 MB up to a page; so are offsets.  What alignment
  skips is a free block like any other.

Free blocks lie in bins by size, eight to each power of two, and each bin is a sorted list:
the best fit is the next entry of the request's own bin or the first of the next bin that
holds anything, which one int of bits knows.  That is exact best fit in a few microseconds
with 100,000 blocks; one sorted list of all blocks would be as simple, but 100,000 entries
deep for each insertion.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import NamedTuple

ALIGNMENT = 64
PAGE = 4096
PAGE_ALIGNED_FROM = 1 << 20
"""Objects of this size or more begin on a page, so that they can be mapped on their own."""


class Usage(NamedTuple):
    """Figures of an allocator, in bytes except ``blocks``."""

    capacity: int
    used: int
    free: int
    largest_free: int
    touched: int
    """How much space was handed out at least once and not given back to the system since."""
    blocks: int
    """Number of used blocks."""


class Allocator:
    """Hands out aligned blocks of ``[0, capacity)``.

    Args:
        capacity: bytes, at least one page; a rest that fills no page is not used.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity & ~(PAGE - 1)
        if self.capacity <= 0:
            raise ValueError(f"capacity must be at least {PAGE} bytes, got {capacity}")
        self._used: dict[int, int] = {}  # start -> size, from allocate to free
        self._used_bytes = 0
        # Free blocks below the top, known by start, by end and in their bin; an entry is
        # there from the free (or the cut) that made the block until it is taken or merged.
        self._free: dict[int, int] = {}  # start -> size
        self._ends: dict[int, int] = {}  # end -> start
        self._bins: list[list[tuple[int, int]]] = [
            [] for _ in range(_bin_of(self.capacity) + 1)
        ]  # (size, start), sorted
        self._filled = 0  # bit i is set while bin i is not empty
        self._top = 0
        self._touched = 0  # all above was never handed out, or was given back
        # start -> bytes already given back at its front, for free blocks that trim() met;
        # leaves with the block.
        self._punched: dict[int, int] = {}

    # -- handing out and taking back ------------------------------------------------------

    def allocate(self, size: int) -> int | None:
        """Takes a block of at least ``size`` bytes.

        Returns:
            Its offset, a multiple of 64 (of 4096 from 1 MB up), or None if none fits.

        Raises:
            ValueError: ``size`` is negative.
        """
        if size < 0:
            raise ValueError(f"size must not be negative, got {size}")
        size = rounded(size)
        align = PAGE if size >= PAGE_ALIGNED_FROM else ALIGNMENT
        for found, block in self._from_size(size):
            start = -(-block // align) * align
            end = start + size
            if end <= block + found:
                self._remove(block)
                if end < block + found:
                    self._insert(end, block + found - end)
                break
        else:
            block = self._top
            start = -(-block // align) * align
            end = start + size
            if end > self.capacity:
                return None
            self._top = end
            if end > self._touched:
                self._touched = -(-end // PAGE) * PAGE
        if block < start:
            self._insert(block, start - block)
        self._used[start] = size
        self._used_bytes += size
        return start

    def free(self, offset: int) -> None:
        """Takes back the block at ``offset``.

        Raises:
            ValueError: no block in use begins there.
        """
        size = self._used.pop(offset, None)
        if size is None:
            raise ValueError(f"no block in use begins at {offset}")
        self._used_bytes -= size
        start, end = offset, offset + size
        before = self._ends.get(start)
        if before is not None:
            self._remove(before)
            start = before
        if end == self._top:
            self._top = start
            return
        after = self._free.get(end)
        if after is not None:
            self._remove(end)
            end += after
        self._insert(start, end - start)

    def trim(self, budget: int) -> list[tuple[int, int]]:
        """Picks free, touched ranges whose pages the system may have back.

        The caller drops them before the next ``allocate``.  The warm end of the top goes
        first, then the largest free blocks; blocks under 1 MB stay.

        Args:
            budget: at most about so many bytes, which bounds how long dropping takes.

        Returns:
            (offset, length) in whole pages; empty when nothing is left to give back.
        """
        ranges: list[tuple[int, int]] = []
        low = -(-self._top // PAGE) * PAGE
        if low < self._touched and budget > 0:
            low = max(low, self._touched - _pages(budget))
            ranges.append((low, self._touched - low))
            budget -= self._touched - low
            self._touched = low
        smallest = _bin_of(PAGE_ALIGNED_FROM)
        for index in range(len(self._bins) - 1, smallest - 1, -1):
            if budget <= 0:
                break
            for size, start in reversed(self._bins[index]):
                if budget <= 0:
                    break
                first = -(-start // PAGE) * PAGE
                last = (start + size) & ~(PAGE - 1)
                done = self._punched.get(start, 0)
                length = min(last - first - done, _pages(budget))
                if length > 0:
                    ranges.append((first + done, length))
                    self._punched[start] = done + length
                    budget -= length
        return ranges

    # -- figures --------------------------------------------------------------------------

    @property
    def used(self) -> int:
        """Bytes in use, rounding included."""
        return self._used_bytes

    @property
    def top(self) -> int:
        """Where the free rest behind the last used block begins."""
        return self._top

    @property
    def touched_end(self) -> int:
        """Behind this offset nothing was ever handed out, or all was given back."""
        return self._touched

    @property
    def largest_free(self) -> int:
        """Size of the largest free block, in bytes."""
        largest = self.capacity - self._top
        if self._filled:
            largest = max(largest, self._bins[self._filled.bit_length() - 1][-1][0])
        return largest

    def usage(self) -> Usage:
        """All figures at once."""
        return Usage(
            capacity=self.capacity,
            used=self._used_bytes,
            free=self.capacity - self._used_bytes,
            largest_free=self.largest_free,
            touched=self._touched - sum(self._punched.values()),
            blocks=len(self._used),
        )

    def check(self) -> None:
        """Asserts every invariant; for tests, as it walks over all blocks."""
        blocks = sorted([*self._used.items(), *self._free.items()])
        position, was_free = 0, False
        for start, size in blocks:
            is_free = start in self._free
            assert start == position, f"gap or overlap at {position}, next block at {start}"
            assert size > 0, f"empty block at {start}"
            assert size % ALIGNMENT == 0, f"odd size {size} at {start}"
            assert not was_free or not is_free, f"free neighbours not merged at {start}"
            position, was_free = start + size, is_free
        assert position == self._top, "the top begins where the last block ends"
        assert not was_free, "the last block must be a used one"
        assert self._top <= self._touched <= self.capacity
        assert self._used_bytes == sum(self._used.values())
        assert self._ends == {start + size: start for start, size in self._free.items()}
        assert self._punched.keys() <= self._free.keys()
        binned = [entry for entries in self._bins for entry in entries]
        assert sorted(binned) == sorted((size, start) for start, size in self._free.items())
        for index, entries in enumerate(self._bins):
            assert entries == sorted(entries)
            assert all(_bin_of(size) == index for size, _ in entries)
            assert bool(entries) == bool(self._filled >> index & 1)

    # -- bins -----------------------------------------------------------------------------

    def _from_size(self, size: int) -> Iterator[tuple[int, int]]:
        """Free blocks of ``size`` or more as (size, start), the smallest first."""
        index = _bin_of(size)
        if index < len(self._bins):
            entries = self._bins[index]
            yield from entries[bisect_left(entries, (size, -1)) :] if entries else ()
        index += 1
        filled = self._filled >> index
        while filled:
            step = (filled & -filled).bit_length()
            index += step
            filled >>= step
            yield from self._bins[index - 1]

    def _insert(self, start: int, size: int) -> None:
        self._free[start] = size
        self._ends[start + size] = start
        index = _bin_of(size)
        insort(self._bins[index], (size, start))
        self._filled |= 1 << index

    def _remove(self, start: int) -> None:
        size = self._free.pop(start)
        del self._ends[start + size]
        self._punched.pop(start, None)
        index = _bin_of(size)
        entries = self._bins[index]
        del entries[bisect_left(entries, (size, start))]
        if not entries:
            self._filled &= ~(1 << index)


def rounded(size: int) -> int:
    """The size, in bytes, of the block that an object of ``size`` bytes takes."""
    align = PAGE if size >= PAGE_ALIGNED_FROM else ALIGNMENT
    return max(-(-size // align) * align, ALIGNMENT)


def _bin_of(size: int) -> int:
    """Bins grow with size: one per 64 bytes at first, then eight per power of two."""
    units = size // ALIGNMENT
    shift = max(units.bit_length() - 4, 0)
    return (shift << 3) + (units >> shift)


def _pages(size: int) -> int:
    """``size`` rounded up to whole pages."""
    return -(-size // PAGE) * PAGE
