"""The future of one object: what ``.remote()`` and ``put`` return.

A ref points to its process's *entry* for the object; how many refs of a process point to
one entry is counted by whoever owns the tables, never here.  A finaliser may run between
any two instructions of any thread, so ``__del__`` takes no lock and sends nothing: it
leaves the entry in the engine's mailbox and rings once if nobody is awake to look.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Protocol

from paralab.ids import ADDRESS_SIZE, OBJECT_ID_SIZE, Address, object_id, split_object_id, task_id

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

    from paralab.id_types import JobID, TaskID


class Mailbox(Protocol):
    """Where any thread, finalisers included, leaves work for whoever holds the tables."""

    asleep: bool

    def dropped(self, entry: Any, /) -> None:
        """One ref to ``entry`` is gone.  Must be a single C call (``deque.append``)."""

    def wake(self) -> None:
        """Rings, so that the mailbox is emptied soon."""


class Entry(Protocol):
    """What a ref needs of its process's record of the object."""

    key: int
    owner: Address
    mailbox: Mailbox


class ObjectRef:
    """A reference to an object that exists now or will exist once its task has run.

    Refs are made by ``f.remote()``, ``actor.method.remote()`` and :func:`paralab.put`, and
    compare equal when they mean the same object.
    """

    __slots__ = ("__weakref__", "_entry")

    def __init__(self, entry: Any) -> None:
        if type(entry) is bytes:
            entry = _entry_of(entry)
        self._entry: Any = entry

    def __del__(self) -> None:
        try:
            entry = self._entry
            mailbox = entry.mailbox
        except AttributeError:
            return  # KeyboardInterrupt came before __init__ had set it, or it was set to nonsense
        mailbox.dropped(entry)
        if mailbox.asleep:
            mailbox.wake()

    @classmethod
    def nil(cls) -> ObjectRef:
        """The ref that stands for no object: its id is all ones."""
        return cls(_Nothing)

    def is_nil(self) -> bool:
        """Whether this is the nil ref."""
        return self._entry is _Nothing

    def binary(self) -> bytes:
        """The object's id, 28 bytes."""
        return object_id(self._entry.owner, self._entry.key)

    def hex(self) -> str:
        """The object's id as 56 hexadecimal digits."""
        return self.binary().hex()

    def task_id(self) -> TaskID:
        """The id of the task that makes this object."""
        from paralab.id_types import TaskID

        return TaskID(task_id(self._entry.owner, self._entry.key))

    def job_id(self) -> JobID:
        """The id of the job of this session."""
        from paralab.engine import current
        from paralab.id_types import JobID

        return JobID.from_hex(current().info("context")["job_id"])

    def owner_address(self) -> bytes:
        """The address, 16 bytes, of the process that made this object."""
        owner: bytes = self._entry.owner
        return owner

    def call_site(self) -> str:
        """Where the object was made; empty unless that is recorded (``paralab.call_sites``)."""
        return str(getattr(self._entry, "site", ""))

    def tensor_transport(self) -> str | None:
        """None: values travel through the object store."""
        return None

    @classmethod
    def size(cls) -> int:
        """Bytes of an id: 28."""
        return OBJECT_ID_SIZE

    @classmethod
    def from_binary(cls, id_bytes: bytes) -> ObjectRef:
        """A ref to the object with this id; it does not keep the object if nobody else does.

        Raises:
            ValueError: an id has another length.
        """
        from paralab.engine import restore_ref

        if len(id_bytes) != OBJECT_ID_SIZE:
            raise ValueError(
                f"ID string needs to have length {OBJECT_ID_SIZE}, got {len(id_bytes)}"
            )
        return restore_ref(*split_object_id(id_bytes))

    @classmethod
    def from_hex(cls, hex_id: str) -> ObjectRef:
        """The same from hexadecimal digits."""
        return cls.from_binary(bytes.fromhex(hex_id))

    @classmethod
    def from_random(cls) -> ObjectRef:
        """A ref to an object that does not exist."""
        return cls.from_binary(os.urandom(OBJECT_ID_SIZE))

    # -- as a future, see paralab.object_futures ---------------------------------------------

    def __await__(self) -> Generator[Any, None, Any]:
        from paralab.object_futures import as_future

        return as_future(self).__await__()

    def as_future(self, _internal: bool = False) -> asyncio.Future[Any]:
        """A future of the running event loop; cancelling it does not cancel the task."""
        from paralab.object_futures import as_future

        return as_future(self)

    def future(self) -> concurrent.futures.Future[Any]:
        """A future for threads; cancelling it does not cancel the task."""
        from paralab.object_futures import concurrent_future

        return concurrent_future(self)

    def _on_completed(self, py_callback: Callable[[Any], object]) -> ObjectRef:
        """Calls the function, in another thread, with the value or the exception."""
        from paralab.object_futures import call_when_settled

        call_when_settled(self, py_callback)
        return self

    def __repr__(self) -> str:
        return f"ObjectRef({self.hex()})"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not ObjectRef:
            return NotImplemented
        mine, theirs = self._entry, other._entry
        return bool(mine is theirs or (mine.key == theirs.key and mine.owner == theirs.owner))

    def __hash__(self) -> int:
        return hash((self._entry.owner, self._entry.key))

    def __class_getitem__(cls, kind: Any) -> GenericAlias:
        """``ObjectRef[int]``, for annotations."""
        return GenericAlias(cls, kind)

    def __copy__(self) -> ObjectRef:
        return self

    def __deepcopy__(self, _memo: object) -> ObjectRef:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Only reached when somebody else's pickler writes this ref: the runtime's own
        # pickler handles refs itself and knows when the copy ends.  This one never ends.
        from paralab.engine import current, restore_ref

        current().pin_forever(self)
        return restore_ref, (self._entry.owner, self._entry.key)


def _entry_of(binary: bytes) -> Any:
    """The entry of the object with this id, for a ref of which its mailbox hears here."""
    ref = ObjectRef.from_binary(binary)
    entry = ref._entry
    entry.mailbox.dropped((entry,))
    return entry


class _Nothing:
    """The entry of the nil ref; it is its own mailbox, and there is nobody to tell anything."""

    key = (1 << 96) - 1
    owner: Address = b"\xff" * ADDRESS_SIZE
    asleep = False
    mailbox: Any

    @staticmethod
    def dropped(_entry: Any, /) -> None:
        pass


_Nothing.mailbox = _Nothing


ObjectID = ObjectRef
"""Ray's older name."""
