"""The node's directory of actors: where each is, what it is called, who asked, how it ended.

An entry appears with CREATE_ACTOR or the first question about an actor, and stays when the actor
has ended, because a handle may ask at any later time.  It goes when its creator is gone and the
actor has ended; whoever asks later learns that from the creator's address, which is kept.

A name belongs to a living actor: it is taken with KEEP_ACTOR, before ``.remote()`` returns, and
free again once the actor has ended.  An actor that has a name, outlives its creator or may be
restarted is *kept*: the node has its constructor call, as bytes that it cannot read, and sends it
to each process that the actor gets.  (Rejected: the creator sends it again.  Then no actor could
outlive its creator, and a restart would wait for a creator that computes.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paralab.ids import Address, actor_id, object_id
from paralab.shown_text import shown_name
from paralab.state.obituaries import told
from paralab.state.ownership import Ref
from paralab.state.restarts import Event, Life, Restarts


@dataclass(slots=True)
class ActorRecord:
    """One actor as its node knows it."""

    ref: Ref
    name: str = ""
    """Of its class."""
    worker: Address | None = None
    pid: int = 0
    """Of the process that it has, or had last."""
    cause: bytes | None = None
    """What the actor itself gave as its reason, a packed failure."""
    text: str = ""
    askers: set[Address] = field(default_factory=set)
    """Processes to be told where it is and when it ends."""
    restarts: Restarts = field(default_factory=Restarts)
    request: tuple[Any, ...] = ()
    """What it needs of a process, for the next one."""
    kept: bool = False
    constructor: tuple[Any, ...] | None = None
    """The call that makes the instance; None until its inputs are there."""
    given_name: str | None = None
    namespace: str = ""
    handle_state: bytes = b""
    """What a handle for somebody who knows only the name is made from."""
    detached: bool = False
    max_task_retries: int = 0
    waiting: list[tuple[Address, int]] = field(default_factory=list)
    """Who is told once its process is gone, with the numbers of their questions."""

    @property
    def dead(self) -> bool:
        """Whether it has ended for good."""
        return self.restarts.life is Life.DEAD

    def obituary(self, why: str) -> str:
        """What its callers are told."""
        lines = [
            "The actor died unexpectedly before finishing this task.",
            f"\tclass_name: {self.name}",
            f"\tactor_id: {actor_id(object_id(*self.ref)).hex()}",
        ]
        if self.pid:
            lines.append(f"\tpid: {self.pid}")
        if self.given_name is not None:
            name, namespace = shown_name(self.given_name), shown_name(self.namespace)
            lines += [f"\tname: {name}", f"\tnamespace: {namespace}"]
        return "\n".join([*lines, told(why, self.restarts.told())])


class ActorDirectory:
    """All actors of one node."""

    def __init__(self) -> None:
        self.records: dict[Ref, ActorRecord] = {}
        self.by_worker: dict[Address, ActorRecord] = {}
        """Living actors that have a process."""
        self.names: dict[tuple[str, str], ActorRecord] = {}
        """Living actors with a name, by namespace and name."""
        self._gone: set[Address] = set()  # never leaves: 16 bytes for each process that died

    def create(self, ref: Ref, name: str, request: tuple[Any, ...] = ()) -> ActorRecord:
        """A new actor that waits for a place; its creator is the first to be told."""
        record = self.records.setdefault(ref, ActorRecord(ref))
        record.name = name
        record.request = request
        record.askers.add(ref[0])
        return record

    def keep(self, ref: Ref, facts: Mapping[str, Any]) -> bool:
        """An actor is going to be kept; False when its name is taken."""
        name = facts["given_name"]
        if name is not None and (facts["namespace"], name) in self.names:
            return False
        record = self.records.setdefault(ref, ActorRecord(ref))
        record.kept = True
        record.given_name, record.namespace = name, facts["namespace"]
        record.handle_state = facts["handle_state"]
        record.detached = facts["detached"]
        record.max_task_retries = facts["max_task_retries"]
        record.restarts.max_restarts = facts["max_restarts"]
        if name is not None:
            self.names[record.namespace, name] = record
        return True

    def find(self, ref: Ref, asker: Address) -> ActorRecord:
        """The actor's record; ``asker`` is told what happens to it."""
        if ref[0] in self._gone and ref not in self.records:
            dead = Restarts(life=Life.DEAD)
            return ActorRecord(
                ref, text="The actor is dead because its owner has died.", restarts=dead
            )
        record = self.records.setdefault(ref, ActorRecord(ref))
        record.askers.add(asker)
        return record

    def placed(self, ref: Ref, worker: Address) -> ActorRecord:
        """The actor has a process."""
        record = self.records[ref]
        record.restarts.happened(Event.PLACED)
        record.worker = worker
        self.by_worker[worker] = record
        return record

    def lost(self, record: ActorRecord) -> bool:
        """Its process is gone; whether it is to be started again."""
        if record.cause is not None:
            record.restarts.final = True
        if not record.restarts.may_restart():
            return False
        record.restarts.happened(Event.LOST)
        self._leave_process(record)
        return True

    def ended(self, ref: Ref, why: str) -> ActorRecord | None:
        """The actor has ended; None if that was known."""
        record = self.records.get(ref)
        if record is None or record.dead:
            return None
        record.restarts.happened(Event.ENDED)
        record.text = record.obituary(why)
        record.constructor = None
        self._leave_process(record)
        if record.given_name is not None:
            del self.names[record.namespace, record.given_name]
        if ref[0] in self._gone:
            del self.records[ref]
        return record

    def _leave_process(self, record: ActorRecord) -> None:
        if record.worker is not None:
            self.by_worker.pop(record.worker, None)
            record.worker = None

    def process_died(self, address: Address) -> list[ActorRecord]:
        """A process is gone; returns the living actors that end with it: it had created them."""
        self._gone.add(address)
        orphans = []
        for ref, record in list(self.records.items()):
            record.askers.discard(address)
            if ref[0] == address:
                if record.dead:
                    del self.records[ref]
                elif not record.detached:
                    orphans.append(record)
        return orphans
