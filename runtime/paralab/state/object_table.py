"""What lies in one node's store: which object where, and until when.

The life of a stored object::

    create ──► unsealed ──seal──► sealed ──free, or the owner is dead and nobody looks──► gone
                  │ its creator died, or gave up                                           ▲
                  ├────────────────────────────────────────────────────────────────────────┤
                  │ freed by its owner, or replaced by another attempt                     │
                  └──► doomed ──seal, or the creator's death───────────────────────────────┘

A sealed object may leave the arena for a file and come back (``state.spilling``)::

    sealed, in the arena ──there is a copy, nobody looks──► sealed, in a file only
             ▲                                                        │ a block is found
             └────────seal──────── unsealed, the node writes it ◄─────┘

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

from paralab.ids import Address
from paralab.state.blocks import Blocks
from paralab.state.stored import (
    NODE,
    AlreadyStored,
    Placement,
    ProcessGone,
    Slice,
    Stored,
    StoreFull,
    StoreStats,
)

TOP_HOLDERS = 5


@dataclass(eq=False, slots=True)
class _Owned:
    """One owner's objects; there from its first object on until the last one goes."""

    objects: dict[int, Stored] = field(default_factory=dict)
    lost: dict[int, list[Stored]] = field(default_factory=dict)
    """Blocks that may be looked at though their value is lost; they go with the last ref."""
    held: int = 0


class ObjectTable(Blocks):
    """The node's table of stored objects.

    Args:
        capacity: size of the arena in bytes.
        numbers: where all processes can read the numbers of placements, one for each cell.
    """

    def __init__(self, capacity: int, numbers: memoryview[int] | None = None) -> None:
        super().__init__(capacity, numbers)
        self.unneeded: list[Slice] = []
        """Copies of objects that are gone, for the shell to drop."""
        self._owned: dict[Address, _Owned] = {}
        # Creator -> what it has not sealed yet, doomed or not; an object enters at create
        # and leaves at seal, when its creator gives up, or at its creator's death.
        self._writing: dict[Address, dict[tuple[Address, int], Stored]] = {}
        # Dead owner -> processes that may still look at its objects; enters at owner_died,
        # leaves with the last looker.
        self._lookers: dict[Address, set[Address]] = {}
        self._dead: set[Address] = set()  # never leaves: 16 bytes for each process that died

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
        stored = self.find(owner, key)
        if stored is not None and stored.sealed:
            raise AlreadyStored(stored.place)
        mine = self._writing.get(creator, {}).get((owner, key))
        if mine is not None and mine.place.size != size:
            self._discard(mine)
            mine = None
        if mine is None:
            mine = Stored(owner, key, creator, self._place(size), home)
            self._writing.setdefault(creator, {})[owner, key] = mine
        stored = self.find(owner, key)
        if stored is not mine:
            if stored is not None:
                self._doom(stored)
            mine.doomed = False
            owned = self._owned.setdefault(owner, _Owned())
            owned.objects[key] = mine
            owned.held += mine.block
        return mine.place

    def seal(self, owner: Address, key: int, creator: Address) -> bool:
        """Makes the object readable; its creator writes no more.

        Returns:
            Whether the object is stored now.  False: it was freed or replaced meanwhile.
        """
        writing = self._writing.get(creator, {}).get((owner, key))
        if writing is None:
            stored = self.find(owner, key)
            return stored is not None and stored.sealed
        if writing.doomed:
            self._discard(writing)
            return False
        self._stop_writing(writing)
        writing.sealed = True
        self.sealed[writing.place.number] = writing
        return True

    def locate(self, owner: Address, key: int) -> Placement | None:
        """Where the sealed object lies in the arena, or None if it does not."""
        stored = self.find(owner, key)
        return stored.place if stored and stored.sealed and stored.block else None

    def find(self, owner: Address, key: int) -> Stored | None:
        """The object, in whatever state it is."""
        owned = self._owned.get(owner)
        return None if owned is None else owned.objects.get(key)

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
        stored = self.find(owner, key)
        if stored is not None and not stored.sealed:
            self._doom(stored)
        return self.discard(owner, key)

    def discard(self, owner: Address, key: int) -> bool:
        """Lets a sealed object go of which nobody has ever heard."""
        stored = self.find(owner, key)
        if stored is None or not stored.sealed:
            return False
        self._disown(stored)
        self.vacate(stored)
        return True

    def lose(self, owner: Address, key: int) -> bool:
        """A sealed object's value is gone, though refs to it are left; whether there was one."""
        stored = self.find(owner, key)
        if stored is None or not stored.sealed or owner in self._dead:
            return False
        if not self.is_here(stored):
            self._disown(stored)
            return True
        self._drop_copy(stored)
        del self.sealed[stored.place.number]  # so it cannot be spilled any more
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
        return self.find(owner, key) is None

    # -- out of the arena and back --------------------------------------------------------

    def evict(self, entry: Stored) -> None:
        """It is in its file only from now on."""
        self._owned[entry.owner].held -= entry.block
        self.vacate(entry)

    def reload(self, entry: Stored) -> None:
        """Finds a place for what the node is about to read back.

        Raises:
            StoreFull: no free block is large enough.
        """
        entry.place = self._place(entry.place.size)
        self._owned[entry.owner].held += entry.block
        entry.sealed, entry.creator = False, NODE
        self._writing.setdefault(NODE, {})[entry.ref] = entry

    def reloaded(self, owner: Address, key: int, failed: bool) -> None:
        """The node has read it back, or could not; then it is in its file as before."""
        entry = self._writing[NODE][owner, key]
        if not failed or entry.doomed:
            self.seal(owner, key, NODE)
        else:
            self._stop_writing(entry)
            entry.sealed = True
            self.evict(entry)

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
        objects = self._all()
        spilled = [entry.place.size for entry in objects if not entry.block]
        return StoreStats(
            capacity=usage.capacity,
            used=usage.used,
            peak=self.peak,
            largest_free=usage.largest_free,
            touched=usage.touched,
            objects=len(objects),
            unsealed=sum(len(writing) for writing in self._writing.values()),
            by_owner={owner: owned.held for owner, owned in self._owned.items()},
            spilled_objects=len(spilled),
            spilled_bytes=sum(spilled),
        )

    def spilled(self) -> list[tuple[Address, int]]:
        """The objects that lie in files only."""
        return [(entry.owner, entry.key) for entry in self._all() if not entry.block]

    def _all(self) -> list[Stored]:
        return [entry for owned in self._owned.values() for entry in owned.objects.values()]

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
            assert all(entry.block for entry in gone)
            listed |= {id(entry): entry for entry in gone}
            assert owned.held == sum(each.block for each in (*owned.objects.values(), *gone))
            for entry in owned.objects.values():
                assert entry.block or (entry.sealed and entry.copy)
                assert self.is_here(entry) == bool(entry.sealed and entry.block)
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
        assert sum(entry.block for entry in listed.values()) == self.allocator.used
        assert sum(entry.block > 0 for entry in listed.values()) == self.allocator.usage().blocks
        assert all(id(entry) in listed for entry in self.sealed.values())
        assert list(self.sealed) == [entry.place.number for entry in self.sealed.values()]

    # -- steps ----------------------------------------------------------------------------

    def _place(self, size: int) -> Placement:
        place = self.place(size)
        if place is None:
            raise self.full(size)
        return place

    def _drop_copy(self, entry: Stored) -> None:
        if entry.copy is not None:
            self.unneeded.append(entry.copy)
            entry.copy = None

    def full(self, asked: int) -> StoreFull:
        """The error of a request for which there is no room."""
        usage = self.allocator.usage()
        held = sorted(((o.held, owner) for owner, o in self._owned.items()), reverse=True)
        holders = [(owner, size) for size, owner in held[:TOP_HOLDERS]]
        return StoreFull(asked, usage.free, usage.largest_free, usage.capacity, holders)

    def _disown(self, entry: Stored) -> None:
        owned = self._owned[entry.owner]
        del owned.objects[entry.key]
        owned.held -= entry.block
        self._drop_copy(entry)
        if not owned.objects and not owned.lost:
            del self._owned[entry.owner]

    def _free_lost(self, owner: Address, key: int) -> None:
        owned = self._owned.get(owner)
        if owned is None or key not in owned.lost:
            return
        for entry in owned.lost.pop(key):
            owned.held -= entry.block
            self.vacate(entry)
        if not owned.objects and not owned.lost:
            del self._owned[owner]

    def _doom(self, entry: Stored) -> None:
        self._disown(entry)
        entry.doomed = True

    def _stop_writing(self, entry: Stored) -> None:
        writing = self._writing[entry.creator]
        del writing[entry.owner, entry.key]
        if not writing:
            del self._writing[entry.creator]

    def _discard(self, entry: Stored) -> None:
        """An unsealed object ends: its creator will not touch the space any more."""
        if not entry.doomed:
            self._disown(entry)
        self._stop_writing(entry)
        self.vacate(entry)

    def _release(self, owner: Address) -> list[int]:
        owned = self._owned.pop(owner, None)
        if owned is None:
            return []
        for entry in (*owned.objects.values(), *chain(*owned.lost.values())):
            self._drop_copy(entry)
            if entry.sealed:
                self.vacate(entry)
            else:  # the node reads it back
                entry.doomed = True
        return [*owned.objects, *owned.lost]
