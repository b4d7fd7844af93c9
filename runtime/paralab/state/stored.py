"""What is known of one stored object, and what can be said about a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from paralab.ids import Address
from paralab.state.allocator import rounded

NODE = b""
"""Stands for the node as the creator of what it reads back."""


class Placement(NamedTuple):
    """Where an object lies: ``size`` bytes from ``offset`` on."""

    offset: int
    size: int
    number: int
    """Of this placement (``state.blocks``), from 1 on; below 0: of the last one, before the object
    went into a file."""


class Slice(NamedTuple):
    """Where an object lies in a spill file."""

    file: int
    position: int
    size: int


class StoreError(Exception):
    """A request that the object table cannot grant."""


class StoreFull(StoreError):
    """No free block is large enough.  All figures are bytes."""

    def __init__(
        self, asked: int, free: int, largest: int, capacity: int, holders: list[tuple[Address, int]]
    ) -> None:
        super().__init__(asked, free, largest, capacity, holders)
        self.asked = asked
        self.free = free
        self.largest = largest
        self.capacity = capacity
        self.holders = holders
        """(owner, bytes) of those whose objects take most, the largest first."""

    def __str__(self) -> str:
        if self.asked > self.capacity:
            return (
                f"{self.asked:,} bytes do not fit into the object store, whose capacity is "
                f"{self.capacity:,} bytes"
            )
        why = " in one piece" if self.free >= self.asked else ""
        return (
            f"{self.asked:,} bytes do not fit into the object store{why}: {self.free:,} of its "
            f"{self.capacity:,} bytes are free, the largest free block has {self.largest:,}"
        )


class AlreadyStored(StoreError):
    """The object is sealed already, at ``placement``; another attempt was faster."""

    def __init__(self, placement: Placement) -> None:
        super().__init__(placement)
        self.placement = placement

    def __str__(self) -> str:
        return f"the object is stored already: {self.placement.size:,} bytes"


class ProcessGone(StoreError):
    """The object's owner or creator is dead, so nothing is stored for it."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.address = address

    def __str__(self) -> str:
        return f"process {self.address.hex()} is dead, nothing is stored for it any more"


class Unreadable(StoreError):
    """The file in which an object lies does not give it back."""


class StoreStats(NamedTuple):
    """Figures of a store, in bytes except ``objects`` and ``unsealed``."""

    capacity: int
    used: int
    peak: int
    """The largest ``used`` there ever was."""
    largest_free: int
    touched: int
    objects: int
    unsealed: int
    """Objects being written, doomed ones included."""
    by_owner: dict[Address, int]
    """Bytes of each owner's blocks; without doomed ones, which nobody owns any more."""
    spilled_objects: int
    """Objects that lie in a file only."""
    spilled_bytes: int


@dataclass(eq=False, slots=True)
class Stored:
    """One object."""

    owner: Address
    key: int
    creator: Address
    place: Placement
    home: int = 0
    sealed: bool = False
    doomed: bool = False
    copy: Slice | None = None
    """There from the first spilling until the object goes: the second one costs nothing."""
    tried: int = 0
    """The last sweep in which it was a candidate for spilling."""

    @property
    def ref(self) -> tuple[Address, int]:
        """What it is called."""
        return self.owner, self.key

    @property
    def block(self) -> int:
        """Bytes that it takes in the arena."""
        return rounded(self.place.size) if self.place.number > 0 else 0
