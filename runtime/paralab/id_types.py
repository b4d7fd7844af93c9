"""Identifiers as objects: ``NodeID``, ``ActorID``, ... for programs that compare and keep them.

The runtime itself works with plain bytes (``ids.py``).  These wrap such bytes: two are equal
when type and bytes are, all-ones means "none", and the length is fixed by the type.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar, Self

from paralab.ids import ACTOR_ID_SIZE, ADDRESS_SIZE, JOB_ID_SIZE, NODE_ID_SIZE, OBJECT_ID_SIZE


class BaseID:
    """So many bytes that name something.

    Args:
        id: the bytes, as many as :meth:`size` says.

    Raises:
        TypeError: it is no bytes object.
        ValueError: it has another length.
    """

    __slots__ = ("_binary",)
    _SIZE: ClassVar[int] = OBJECT_ID_SIZE

    def __init__(self, id: bytes) -> None:  # noqa: A002  as in Ray
        if not isinstance(id, bytes):
            raise TypeError(f"Unsupported type: {type(id)}, expected bytes")
        if len(id) != self._SIZE:
            raise ValueError(f"ID string needs to have length {self._SIZE}, got {len(id)}")
        self._binary = id

    @classmethod
    def from_binary(cls, id_bytes: bytes) -> Self:
        """The id with these bytes."""
        return cls(id_bytes)

    @classmethod
    def from_hex(cls, hex_id: str | bytes) -> Self:
        """The id with these hexadecimal digits.

        Raises:
            ValueError: they are no hexadecimal digits, or too many or few.
        """
        digits = hex_id.decode() if isinstance(hex_id, bytes) else hex_id
        return cls(bytes.fromhex(digits))

    @classmethod
    def from_random(cls) -> Self:
        """An id that nobody else has."""
        return cls(os.urandom(cls._SIZE))

    @classmethod
    def nil(cls) -> Self:
        """The id that names nothing."""
        return cls(b"\xff" * cls._SIZE)

    @classmethod
    def size(cls) -> int:
        """How many bytes an id of this type has."""
        return cls._SIZE

    def is_nil(self) -> bool:
        """Whether this names nothing."""
        return self._binary == b"\xff" * self._SIZE

    def binary(self) -> bytes:
        """The bytes."""
        return self._binary

    def hex(self) -> str:
        """The bytes as hexadecimal digits."""
        return self._binary.hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._binary == self._binary

    def __hash__(self) -> int:
        return hash((type(self), self._binary))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._binary,)


class UniqueID(BaseID):
    """An id of 28 bytes."""

    __slots__ = ()


class NodeID(UniqueID):
    """Names a node."""

    __slots__ = ()
    _SIZE = NODE_ID_SIZE


class WorkerID(UniqueID):
    """Names a process."""

    __slots__ = ()


class FunctionID(UniqueID):
    """Names a remote function."""

    __slots__ = ()


class ActorClassID(UniqueID):
    """Names an actor class."""

    __slots__ = ()


class ClusterID(UniqueID):
    """Names a cluster."""

    __slots__ = ()


class JobID(BaseID):
    """Names the job of one driver."""

    __slots__ = ()
    _SIZE = JOB_ID_SIZE

    @classmethod
    def from_int(cls, value: int) -> Self:
        """The id of job ``value``."""
        return cls(value.to_bytes(cls._SIZE, "little"))

    def int(self) -> int:
        """The job's number."""
        return int.from_bytes(self._binary, "little")


class ActorID(BaseID):
    """Names an actor."""

    __slots__ = ()
    _SIZE = ACTOR_ID_SIZE

    @property
    def job_id(self) -> JobID:
        """The job to which the actor belongs: no method here, as in Ray."""
        return JobID(self._binary[-JOB_ID_SIZE:])


class PlacementGroupID(BaseID):
    """Names a placement group."""

    __slots__ = ()
    _SIZE = 18

    @classmethod
    def of(cls, job_id: JobID) -> Self:
        """A new group's id in the job."""
        return cls(os.urandom(cls._SIZE - JOB_ID_SIZE) + job_id.binary())


class TaskID(BaseID):
    """Names a task."""

    __slots__ = ()
    _SIZE = OBJECT_ID_SIZE - 4

    def job_id(self) -> JobID:
        """The job to which the task's owner belongs."""
        return JobID(self._binary[ADDRESS_SIZE - JOB_ID_SIZE : ADDRESS_SIZE])
