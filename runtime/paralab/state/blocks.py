"""The blocks of the arena that objects have, and their numbers.

A *placement* is a block that an object has for a while.  Each has a number of its own, which stands
in shared memory, one for each cell of the arena, for as long as the object may be looked at there.
A place that was true once may be on its way in a message for as long as it likes: who comes with
it finds another number, or none, and asks the node.
"""

from __future__ import annotations

from array import array

from paralab.state.allocator import Allocator
from paralab.state.stored import Placement, Stored

CELL = 64 << 10
"""Bytes of the arena for each number: what goes into the store is larger, so that no two objects
begin in the same cell."""


def cells(capacity: int) -> int:
    """How many numbers an arena of ``capacity`` bytes needs."""
    return capacity // CELL + 1


class Blocks:
    """See above; arguments as for ``ObjectTable``."""

    def __init__(self, capacity: int, numbers: memoryview[int] | None) -> None:
        self.allocator = Allocator(capacity)
        self.numbers = numbers or memoryview(array("Q", bytes(8 * cells(capacity))))
        self._number = 0
        # Number -> what is sealed and in the arena, least recently placed or looked at first;
        # enters at seal, leaves with the block.
        self.sealed: dict[int, Stored] = {}
        self.peak = 0

    def hide(self, entry: Stored) -> None:
        """From now on nobody can begin to look at it without asking the node."""
        self.numbers[entry.place.offset // CELL] = 0

    def show(self, entry: Stored) -> None:
        """The opposite of :meth:`hide`; it counts as looked at now."""
        if self.is_here(entry):
            offset, _size, number = entry.place
            self.numbers[offset // CELL] = number
            self.sealed[number] = self.sealed.pop(number)

    def is_here(self, entry: Stored) -> bool:
        """Whether it is still sealed and in the arena."""
        return self.sealed.get(entry.place.number) is entry

    def place(self, size: int) -> Placement | None:
        """Finds a block, None if no free one is large enough."""
        offset = self.allocator.allocate(size)
        if offset is None:
            return None
        self.peak = max(self.peak, self.allocator.used)
        self._number += 1
        self.numbers[offset // CELL] = self._number
        return Placement(offset, size, self._number)

    def vacate(self, entry: Stored) -> None:
        """The block of an object is free from now on, if it has one."""
        offset, _size, number = entry.place
        if number > 0:
            self.numbers[offset // CELL] = 0
            self.sealed.pop(number, None)
            self.allocator.free(offset)
            entry.place = entry.place._replace(number=-number)
