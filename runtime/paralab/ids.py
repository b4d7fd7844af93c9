"""Identifiers: who a process is, which task made an object, which actor is meant.

An address names one process for its whole life and is never reused (a node's id is random, and
it numbers each process once), so a message for a dead process cannot reach its successor.  A
process belongs to one job: all that one driver has started::

    address   8 bytes start of the node id | 4 bytes process number | 4 bytes job
    task id   16 bytes address of the owner | 8 bytes counter of that owner
    object id 24 bytes task id | 4 bytes index of the return value (puts have index 0)
    actor id  12 bytes digest of the id of the object that stands for it | 4 bytes job

Inside a process an object is known by its *key*, one int: ``counter << 32 | index``.  The
28 bytes are only built where somebody looks at them.
"""

from __future__ import annotations

import struct

Address = bytes
"""16 bytes that name one process of one session."""

ADDRESS_SIZE = 16
NODE_ID_SIZE = 28
ACTOR_ID_SIZE = 16
JOB_ID_SIZE = 4
OBJECT_ID_SIZE = 28
INDEX_BITS = 32
INDEX_MASK = (1 << INDEX_BITS) - 1
FIRST_RETURN = 1
"""Index of a task's first return value; index 0 is for puts."""

_object_id = struct.Struct(">16sQI")
_address = struct.Struct(">8sI4s")


def make_address(node_id: bytes, number: int, job: int) -> Address:
    """The address of process ``number`` of the node ``node_id``, which works for ``job``."""
    return _address.pack(node_id[:8], number, job_id(job))


def job_id(number: int) -> bytes:
    """The 4 bytes that name a job, lowest first."""
    return number.to_bytes(JOB_ID_SIZE, "little")


def job_of(address: Address) -> bytes:
    """The 4 bytes that name the job of the process at ``address``."""
    return address[ADDRESS_SIZE - JOB_ID_SIZE :]


def process_number(address: Address) -> int:
    """The node's number for the process at ``address``."""
    number: int = _address.unpack(address)[1]
    return number


def object_id(owner: Address, key: int) -> bytes:
    """The 28 bytes that name the object ``key`` of the process ``owner``."""
    return _object_id.pack(owner, key >> INDEX_BITS, key & INDEX_MASK)


def split_object_id(binary: bytes) -> tuple[Address, int]:
    """The owner and key in 28 bytes; the inverse of :func:`object_id`."""
    owner, counter, index = _object_id.unpack(binary)
    return owner, counter << INDEX_BITS | index


def task_id(owner: Address, key: int) -> bytes:
    """The 24 bytes that name the task which makes the object ``key`` of ``owner``."""
    return object_id(owner, key)[:-4]


def actor_id(binary: bytes) -> bytes:
    """The 16 bytes that name the actor for which the object ``binary`` stands."""
    from hashlib import blake2b  # loads OpenSSL, and ids are rarely looked at

    digest = blake2b(binary, digest_size=ACTOR_ID_SIZE - JOB_ID_SIZE).digest()
    return digest + job_of(binary[:ADDRESS_SIZE])
