"""The node's directory of actors: where each is, who asked, and how it ended.

An entry appears with CREATE_ACTOR or the first question about an actor, and stays when the actor
has ended, because a handle may ask at any later time.  It goes when its creator is gone and the
actor has ended; whoever asks later learns that from the creator's address, which is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from paralab.ids import Address
from paralab.state.ownership import Ref


@dataclass(slots=True)
class ActorRecord:
    """One actor as its node knows it."""

    ref: Ref
    name: str = ""
    worker: Address | None = None
    dead: bool = False
    cause: bytes | None = None
    """What the actor itself gave as its reason, a packed failure."""
    text: str = ""
    askers: set[Address] = field(default_factory=set)
    """Processes to be told where it is and when it ends."""


class ActorDirectory:
    """All actors of one node."""

    def __init__(self) -> None:
        self.records: dict[Ref, ActorRecord] = {}
        self.by_worker: dict[Address, ActorRecord] = {}
        """Living actors that have a process."""
        self._gone: set[Address] = set()  # never leaves: 16 bytes for each process that died

    def create(self, ref: Ref, name: str) -> ActorRecord:
        """A new actor that waits for a place; its creator is the first to be told."""
        record = self.records.setdefault(ref, ActorRecord(ref))
        record.name = name
        record.askers.add(ref[0])
        return record

    def find(self, ref: Ref, asker: Address) -> ActorRecord:
        """The actor's record; ``asker`` is told what happens to it."""
        if ref[0] in self._gone and ref not in self.records:
            return ActorRecord(ref, dead=True, text="The actor's owner has ended.")
        record = self.records.setdefault(ref, ActorRecord(ref))
        record.askers.add(asker)
        return record

    def placed(self, ref: Ref, worker: Address) -> ActorRecord:
        """The actor has a process."""
        record = self.records[ref]
        record.worker = worker
        self.by_worker[worker] = record
        return record

    def ended(self, ref: Ref, text: str) -> ActorRecord | None:
        """The actor has ended; None if that was known."""
        record = self.records.get(ref)
        if record is None or record.dead:
            return None
        record.dead = True
        record.text = text
        if record.worker is not None:
            self.by_worker.pop(record.worker, None)
        if ref[0] in self._gone:
            del self.records[ref]
        return record

    def process_died(self, address: Address) -> list[ActorRecord]:
        """A process is gone; returns the living actors that it had created."""
        self._gone.add(address)
        orphans = []
        for ref, record in list(self.records.items()):
            record.askers.discard(address)
            if ref[0] == address:
                if record.dead:
                    del self.records[ref]
                else:
                    orphans.append(record)
        return orphans
