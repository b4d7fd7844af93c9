"""What lies in one node's store: which object where, and until when.

The life of a stored object::

    create ──► unsealed ──seal──► sealed ──free, or the owner is dead and nobody looks──► gone
                  │ its creator died, or gave up                                           ▲
                  ├────────────────────────────────────────────────────────────────────────┤
                  │ freed by its owner, or replaced by another attempt                     │
                  └──► doomed ──seal, or the creator's death───────────────────────────────┘

Rules:

* Only the creator writes, and only until it seals.  Space that a living creator may still
  write to is never handed to anyone else: freeing an unsealed object dooms it, and its
  space returns when the creator seals, gives up or dies.
* A value may be *lost* while refs are left (``lose``): its node is gone.  The object can be
  made anew then.  The old block stays until the last ref goes, as views of it may be looked at.
* The owner's ref, or a borrower's, keeps an object; views hold refs.  When the owner dies no
  ref counts any more: its objects stay while a process still looks at any of them (a
  *looker*), and go together when the last looker has said so or died.
* Addresses are never reused, so messages that arrive after their sender's or owner's death
  are known as such and change nothing.
* Every event may arrive twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from paralab.ids import Address
from paralab.state.allocator import Allocator, rounded

TOP_HOLDERS = 5


class Placement(NamedTuple):
    """Where an object lies: ``size`` bytes from ``offset`` on."""

    offset: int
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


@dataclass(eq=False, slots=True)
class _Object:
    owner: Address
    key: int
    creator: Address
    place: Placement
    home: int = 0
    sealed: bool = False
    doomed: bool = False


@dataclass(eq=False, slots=True)
class _Owned:
    """One owner's objects; there from its first object on until the last one goes."""

    objects: dict[int, _Object] = field(default_factory=dict)
    lost: dict[int, list[_Object]] = field(default_factory=dict)
    """Blocks that may be looked at though their value is lost; they go with the last ref."""
    held: int = 0


class ObjectTable:
    """The node's table of stored objects.

    Args:
        capacity: size of the arena in bytes.
    """

    def __init__(self, capacity: int) -> None:
        self.allocator = Allocator(capacity)
        self._owned: dict[Address, _Owned] = {}
        # Creator -> what it has not sealed yet, doomed or not; an object enters at create
        # and leaves at seal, when its creator gives up, or at its creator's death.
        self._writing: dict[Address, dict[tuple[Address, int], _Object]] = {}
        # Dead owner -> processes that may still look at its objects; enters at owner_died,
        # leaves with the last looker.
        self._lookers: dict[Address, set[Address]] = {}
        self._dead: set[Address] = set()  # never leaves: 16 bytes for each process that died
        self._peak = 0

    # -- one object -----------------------------------------------------------------------

    def create(
        self, owner: Address, key: int, creator: Address, size: int, home: int = 0
    ) -> Placement:
        """Finds a place for an object that ``creator`` is about to write.

        Asked again by the same creator before it seals, the answer is the same place; with
        another size, that place is given up and a new one sought.  If another creator is still
        writing the same object, it is an attempt that its owner gave up: that one is doomed and
        this one counts.

        Args:
            home: number of the (virtual) node that the creator belongs to.

        Raises:
            AlreadyStored: the object is sealed; nothing is to be written.
            StoreFull: no free block is large enough.
            ProcessGone: owner or creator is known to be dead.
        """
        if owner in self._dead:
            raise ProcessGone(owner)
        if creator in self._dead:
            raise ProcessGone(creator)
        stored = self._find(owner, key)
        if stored is not None and stored.sealed:
            raise AlreadyStored(stored.place)
        mine = self._writing.get(creator, {}).get((owner, key))
        if mine is not None and mine.place.size != size:
            self._discard(mine)
            mine = None
        if mine is None:
            offset = self.allocator.allocate(size)
            if offset is None:
                raise self._full(size)
            self._peak = max(self._peak, self.allocator.used)
            mine = _Object(owner, key, creator, Placement(offset, size), home)
            self._writing.setdefault(creator, {})[owner, key] = mine
        stored = self._find(owner, key)
        if stored is not mine:
            if stored is not None:
                self._doom(stored)
            mine.doomed = False
            owned = self._owned.setdefault(owner, _Owned())
            owned.objects[key] = mine
            owned.held += rounded(size)
        return mine.place

    def seal(self, owner: Address, key: int, creator: Address) -> bool:
        """Makes the object readable; its creator writes no more.

        Returns:
            Whether the object is stored now.  False: it was freed or replaced meanwhile.
        """
        writing = self._writing.get(creator, {}).get((owner, key))
        if writing is None:
            stored = self._find(owner, key)
            return stored is not None and stored.sealed
        if writing.doomed:
            self._discard(writing)
            return False
        self._stop_writing(writing)
        writing.sealed = True
        return True

    def locate(self, owner: Address, key: int) -> Placement | None:
        """Where the sealed object lies, or None if it is not here or not sealed."""
        stored = self._find(owner, key)
        return stored.place if stored is not None and stored.sealed else None

    def free(self, owner: Address, key: int, by: Address | None = None) -> bool:
        """The object is not needed any more, or (``by`` its creator) will not be finished.

        Args:
            by: who asks, None for the owner.  A creator that is not the owner can only give
                up its own unfinished object.

        Returns:
            Whether its space is free now.  False also when there was nothing to free.
        """
        asker = owner if by is None else by
        if asker == owner:
            self._free_lost(owner, key)
        mine = self._writing.get(asker, {}).get((owner, key))
        if mine is not None:
            self._discard(mine)
            return True
        if asker != owner:
            return False
        stored = self._find(owner, key)
        if stored is not None and not stored.sealed:
            self._doom(stored)
        return self.discard(owner, key)

    def discard(self, owner: Address, key: int) -> bool:
        """Lets a sealed object go of which nobody has ever heard."""
        stored = self._find(owner, key)
        if stored is None or not stored.sealed:
            return False
        self._disown(stored)
        self.allocator.free(stored.place.offset)
        return True

    def lose(self, owner: Address, key: int) -> bool:
        """A sealed object's value is gone, though refs to it are left; whether there was one."""
        stored = self._find(owner, key)
        if stored is None or not stored.sealed or owner in self._dead:
            return False
        owned = self._owned[owner]
        owned.lost.setdefault(key, []).append(owned.objects.pop(key))
        return True

    def lose_made_at(self, home: int) -> list[tuple[Address, int]]:
        """A node is gone, and what its processes have stored; returns (owner, key)."""
        made_there = [
            (stored.owner, stored.key)
            for owned in self._owned.values()
            for stored in owned.objects.values()
            if stored.home == home
        ]
        return [ref for ref in made_there if self.lose(*ref)]

    def is_missing(self, owner: Address, key: int) -> bool:
        """Whether there is no such object, not even one that is being written."""
        return self._find(owner, key) is None

    # -- deaths ---------------------------------------------------------------------------

    def creator_died(self, address: Address) -> list[tuple[Address, int]]:
        """Frees what ``address`` had not sealed; returns those (owner, key), doomed ones not."""
        self._dead.add(address)
        lost = list(self._writing.get(address, {}).values())
        for entry in lost:
            self._discard(entry)
        return [(entry.owner, entry.key) for entry in lost if not entry.doomed]

    def owner_died(self, owner: Address, lookers: Iterable[Address]) -> list[int]:
        """Lets go what ``owner`` owned, now or when the last looker is done.

        Args:
            lookers: the living processes that may hold views of this owner's objects.

        Returns:
            Keys of the objects whose space is free now.
        """
        if owner in self._lookers:
            return []
        self._dead.add(owner)
        owned = self._owned.get(owner)
        if owned is None:
            return []
        for entry in list(owned.objects.values()):
            if not entry.sealed:
                self._doom(entry)
        looking = set(lookers) - self._dead
        if looking and (owned.objects or owned.lost):
            self._lookers[owner] = looking
            return []
        return self._release(owner)

    def looker_done(self, owner: Address, process: Address) -> list[int]:
        """``process`` looks at nothing of the dead ``owner``; returns the keys freed by that."""
        looking = self._lookers.get(owner)
        if looking is None:
            return []
        looking.discard(process)
        if looking:
            return []
        del self._lookers[owner]
        return self._release(owner)

    def process_died(
        self, address: Address, lookers: Iterable[Address]
    ) -> list[tuple[Address, int]]:
        """All that a death means here: as creator, as owner, as looker.

        Returns:
            (owner, key) of all objects that are gone by it.
        """
        gone = self.creator_died(address)
        gone += [(address, key) for key in self.owner_died(address, lookers)]
        for owner in list(self._lookers):
            gone += [(owner, key) for key in self.looker_done(owner, address)]
        return gone

    def awaited_lookers(self) -> dict[Address, frozenset[Address]]:
        """For each dead owner whose objects remain, the processes that have yet to report."""
        return {owner: frozenset(looking) for owner, looking in self._lookers.items()}

    # -- figures --------------------------------------------------------------------------

    def stats(self) -> StoreStats:
        """All figures at once."""
        usage = self.allocator.usage()
        return StoreStats(
            capacity=usage.capacity,
            used=usage.used,
            peak=self._peak,
            largest_free=usage.largest_free,
            touched=usage.touched,
            objects=sum(len(owned.objects) for owned in self._owned.values()),
            unsealed=sum(len(writing) for writing in self._writing.values()),
            by_owner={owner: owned.held for owner, owned in self._owned.items()},
        )

    def check(self) -> None:
        """Asserts every invariant; for tests, as it walks over all objects."""
        self.allocator.check()
        listed = {
            id(entry): entry for owned in self._owned.values() for entry in owned.objects.values()
        }
        for owner, owned in self._owned.items():
            assert owned.objects or owned.lost, "an owner without objects is forgotten"
            assert all(owned.lost.values())
            gone = [entry for lost in owned.lost.values() for entry in lost]
            listed |= {id(entry): entry for entry in gone}
            sizes = [rounded(entry.place.size) for entry in (*owned.objects.values(), *gone)]
            assert owned.held == sum(sizes)
            assert owner not in self._dead or owner in self._lookers
            assert not any(entry.doomed for entry in owned.objects.values())
        for creator, writing in self._writing.items():
            assert writing, "a creator that writes nothing is forgotten"
            assert creator not in self._dead
            for entry in writing.values():
                assert not entry.sealed
                assert entry.doomed != (id(entry) in listed)
                listed[id(entry)] = entry
        assert all(self._lookers.values())
        assert self._lookers.keys() <= self._dead
        blocks = sum(rounded(entry.place.size) for entry in listed.values())
        assert blocks == self.allocator.used
        assert len(listed) == self.allocator.usage().blocks

    # -- steps ----------------------------------------------------------------------------

    def _find(self, owner: Address, key: int) -> _Object | None:
        owned = self._owned.get(owner)
        return None if owned is None else owned.objects.get(key)

    def _full(self, asked: int) -> StoreFull:
        usage = self.allocator.usage()
        held = sorted(((o.held, owner) for owner, o in self._owned.items()), reverse=True)
        holders = [(owner, size) for size, owner in held[:TOP_HOLDERS]]
        return StoreFull(asked, usage.free, usage.largest_free, usage.capacity, holders)

    def _disown(self, entry: _Object) -> None:
        owned = self._owned[entry.owner]
        del owned.objects[entry.key]
        owned.held -= rounded(entry.place.size)
        if not owned.objects and not owned.lost:
            del self._owned[entry.owner]

    def _free_lost(self, owner: Address, key: int) -> None:
        owned = self._owned.get(owner)
        if owned is None or key not in owned.lost:
            return
        for entry in owned.lost.pop(key):
            self.allocator.free(entry.place.offset)
            owned.held -= rounded(entry.place.size)
        if not owned.objects and not owned.lost:
            del self._owned[owner]

    def _doom(self, entry: _Object) -> None:
        self._disown(entry)
        entry.doomed = True

    def _stop_writing(self, entry: _Object) -> None:
        writing = self._writing[entry.creator]
        del writing[entry.owner, entry.key]
        if not writing:
            del self._writing[entry.creator]

    def _discard(self, entry: _Object) -> None:
        """An unsealed object ends: its creator will not touch the space any more."""
        if not entry.doomed:
            self._disown(entry)
        self._stop_writing(entry)
        self.allocator.free(entry.place.offset)

    def _release(self, owner: Address) -> list[int]:
        owned = self._owned.pop(owner, None)
        if owned is None:
            return []
        for entry in (*owned.objects.values(), *chain(*owned.lost.values())):
            self.allocator.free(entry.place.offset)
        return [*owned.objects, *owned.lost]
