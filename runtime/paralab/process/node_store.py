"""The node's store: what clients ask of it, and the files that it spills to.

What happens to whom is decided in ``state.spilling``; here it is carried out.  The copying is done
by a thread (``store.spill_files``), so that the node's loop never waits for a disk.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from paralab.ids import Address
from paralab.messages import (
    ALLOCATE,
    ANSWER,
    FREE,
    LENT,
    LOOKED,
    LOOKING,
    OBJECT_LOST,
    PLACE_OF,
    SEAL,
    WHO_LOOKS,
)
from paralab.process.node_workers import Process
from paralab.state.object_table import ObjectTable
from paralab.state.spilling import (
    Lend,
    Placed,
    Read,
    Ref,
    Refused,
    Request,
    Spilling,
    WhoLooks,
    Write,
)
from paralab.state.stored import Unreadable
from paralab.store.arena import Arena
from paralab.store.spill_files import SpillFiles

if TYPE_CHECKING:
    from paralab.process.node import Node

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
BYTES_GONE = {errno.ENODATA, errno.EIO}
FIRST_TOLD = 1 << 20
"""Bytes spilled after which the driver is told; then each time that it is ten times as much."""

_now = time.monotonic_ns


class NodeStore:
    """The store of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.arena = Arena(node.config["capacity"])
        self.table = ObjectTable(self.arena.capacity, self.arena.numbers)
        self.spilling = Spilling(self.table, self._lookers)
        self._told_at = FIRST_TOLD
        self.spilled = self.restored = 0
        """Bytes that have left the arena for a file, and come back, so far."""
        self.handlers: dict[int, Callable[..., None]] = {
            ALLOCATE: self._allocate,
            SEAL: self._seal,
            FREE: self._free,
            LOOKING: self._looking,
            PLACE_OF: self._place_of,
            LOOKED: self._looked,
        }

    @cached_property
    def files(self) -> SpillFiles:
        """Made with the first spilling."""
        folders = self._node.config["spill_folders"] or [self._node.drivers.door.path]
        files = SpillFiles(folders, self.arena.fd)
        self._node.watch(files.bell.fd, lambda _event: self._copied())
        return files

    def _lookers(self) -> list[Address]:
        return [address for address in self._node.clients if self._node.pool.has_begun(address)]

    # -- messages ----------------------------------------------------------------------------

    def _allocate(
        self, process: Process, _kind: int, number: int, owner: Address, key: int, size: int
    ) -> None:
        self.spilling.want(
            Request(process.address, number, (owner, key), size, process.node), _now()
        )
        self._carry_out()
        self._node.allocated()

    def _place_of(
        self, process: Process, _kind: int, number: int, owner: Address, key: int
    ) -> None:
        self.spilling.want(Request(process.address, number, (owner, key), None), _now())
        self._carry_out()

    def _looked(self, process: Process, _kind: int, number: int, refs: list[Ref]) -> None:
        self.spilling.looked(process.address, number, refs, _now())
        self._carry_out()

    def _seal(self, process: Process, _kind: int, owner: Address, key: int) -> None:
        self.table.seal(owner, key, process.address)

    def _free(self, process: Process, _kind: int, owner: Address, key: int) -> None:
        if self.spilling.waiting:
            self.spilling.withdraw(process.address, (owner, key))
        self.table.free(owner, key, process.address)
        self._freed()
        self._node.freed()

    def _looking(self, process: Process, _kind: int, owner: Address, keys: list[int]) -> None:
        if not keys:
            self.table.looker_done(owner, process.address)
            self._freed()

    def process_died(self, address: Address) -> None:
        """A client is gone."""
        self.table.process_died(address, list(self._node.clients))
        self.spilling.process_died(address, _now())
        self._freed()
        self._carry_out()

    # -- what was decided --------------------------------------------------------------------

    def _freed(self) -> None:
        while self.table.unneeded:
            self.files.drop(self.table.unneeded.pop())
        if self.spilling.waiting:
            self.go_on()

    def go_on(self) -> None:
        """Somebody waits for room: looks whether there is some."""
        self.spilling.go_on(_now())
        self._carry_out()

    def _carry_out(self) -> None:
        out, post = self.spilling.out, self._node.post
        while out:
            match out.pop(0):
                case Placed(client, number, place):
                    post(client, (ANSWER, number, tuple(place)))
                case Refused() as refused:
                    post(refused.client, (ANSWER, refused.number, self._refusal(refused)))
                case WhoLooks(clients, number, refs):
                    for client in clients:
                        post(client, (WHO_LOOKS, number, refs))
                case Lend(client, number, copy):
                    process = self._node.clients[client]
                    lent = (LENT, number, copy.position)
                    process.connection.send_with_descriptors([lent], [copy.file])
                    self._node.dirty.append(process)
                case Write(blocks):
                    self.files.write(blocks, self._written)
                case Read(ref, copy, offset):
                    self.files.read(copy, offset, partial(self._read, ref))

    def _refusal(self, refused: Refused) -> tuple[str, str]:
        why = refused.why
        if why is None:
            return "ObjectLostError", "Its owner has freed it."
        if isinstance(why, Unreadable):
            return "ObjectLostError", str(why)
        if isinstance(why, OSError):
            kind = "OutOfDiskError" if why.errno in DISK_FULL else "ObjectStoreFullError"
            return kind, f"Nothing can be spilled to {self.files}: {why.strerror}."
        text = str(why)
        if refused.looking:
            held = [
                f"process {process.pid} {size:,} bytes"
                for address, size in refused.looking.items()
                if (process := self._node.clients.get(address)) is not None
            ]
            text += f". What is looked at cannot be spilled: {', '.join(held)}."
        return "ObjectStoreFullError", text

    # -- files -------------------------------------------------------------------------------

    def _copied(self) -> None:
        self.files.finish()
        self._freed()
        self._carry_out()
        self._node.allocated()

    def _written(self, file: int, error: OSError | None) -> None:
        if error is not None:
            self.spilling.not_written(error, _now())
            return
        self.spilled += self.spilling.written(file, _now())
        if self.spilled >= self._told_at:
            self._told_at = 10 * self.spilled
            stats = self.table.stats()
            self._node.drivers.tell(
                f"paralab: spilled {self.spilled >> 20:,} MiB so far, as the object store's "
                f"{stats.capacity >> 20:,} MiB are full; {stats.spilled_objects:,} "
                f"object{'s' * (stats.spilled_objects != 1)} in {self.files}."
            )

    def _read(self, ref: Ref, file: int, error: OSError | None) -> None:
        if error is None:
            self.spilling.read(ref, None, _now())
            place = self.table.locate(*ref)
            self.restored += place.size if place is not None else 0
            return
        why = f"It was spilled to {self.files}, and cannot be read back: {error.strerror}."
        self.spilling.read(ref, Unreadable(why), _now())
        if error.errno in BYTES_GONE and self.table.lose(*ref):
            for client in self._node.clients:
                self._node.post(client, (OBJECT_LOST, [ref], True))

    def stats(self) -> dict[str, Any]:
        """All figures, for ``ASK``."""
        files = {"spilled_total": self.spilled, "restored_total": self.restored}
        return {**self.table.stats()._asdict(), **files}

    def close(self) -> None:
        """Ends the copying, and lets all files go."""
        if "files" in self.__dict__:
            self._node.unwatch(self.files.bell.fd)
            self.files.close()
        self.arena.close()
