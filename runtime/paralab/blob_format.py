"""The bytes of one stored value: a pickle, and beside it the buffers that it refers to.

A value without buffers is its pickle and nothing else, so most blobs cost no framing at
all.  Where pickle protocol 5 set buffers aside (array data), they follow the pickle at
places that a reader may look at directly::

    0x80 ...                                   a bare pickle: protocol 2 and up start so
    0xB5 | version | 2 zero | u32 count | u64 pickle length          16 bytes
         | count x (u64 offset, u64 length)                          16 bytes each
         | pickle | gap | buffer | gap | buffer ...                  offsets from the start

Buffers start at multiples of 64 bytes, from 1 MB up at multiples of a page, so that they
can be mapped by themselves; that holds in memory if the blob itself starts so.  Offsets
are written out, so a reader with other pages reads the blob just as well.

Rejected: one layout for all (a header on each small value), and buffers inside the pickle
(``BYTEARRAY8``), which are copied at both ends and can have any alignment.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from mmap import PAGESIZE
from pickle import UnpicklingError

ALIGNMENT = 64
"""Buffers start at multiples of this many bytes: a cache line, and any vector register."""
PAGED_SIZE = 1 << 20
"""Buffers of at least this many bytes start at multiples of a page."""

BARE_START = b"\x80"
"""How a blob without buffers starts: pickle's own first byte."""

_MAGIC = 0xB5
_VERSION = 1
_HEADER = struct.Struct("<BBxxIQ")
_PLACE_SIZE = 16


class MalformedBlobError(UnpicklingError):
    """These bytes are no value that :mod:`paralab.serialization` wrote."""


@lru_cache(maxsize=64)
def _frame(count: int) -> struct.Struct:
    """Header and table of places of a blob with ``count`` buffers."""
    return struct.Struct(f"<BBxxIQ{2 * count}Q")


def _layout(data: bytes, buffers: Sequence[memoryview]) -> tuple[bytes, list[int], int]:
    """Header with places, the offset of each buffer, and the size of all."""
    count = len(buffers)
    fields = [_MAGIC, _VERSION, count, len(data)]
    offsets = []
    end = _HEADER.size + _PLACE_SIZE * count + len(data)
    for buffer in buffers:
        size = buffer.nbytes
        step = ALIGNMENT if size < PAGED_SIZE else PAGESIZE
        end += -end % step
        offsets.append(end)
        fields += (end, size)
        end += size
    return _frame(count).pack(*fields), offsets, end


def blob_size(data: bytes, buffers: Sequence[memoryview]) -> int:
    """How many bytes the blob of ``data`` and ``buffers`` takes."""
    return _layout(data, buffers)[2] if buffers else len(data)


def blob_parts(data: bytes, buffers: Sequence[memoryview]) -> list[tuple[int, bytes | memoryview]]:
    """The blob in pieces, each with its place counted in bytes from the blob's start."""
    if not buffers:
        return [(0, data)]
    head, offsets, _ = _layout(data, buffers)
    return [(0, head), (len(head), data), *zip(offsets, buffers, strict=True)]


def join_blob(data: bytes, buffers: Sequence[memoryview]) -> bytes:
    """The blob as bytes of its own, for values small enough to travel in a message."""
    if not buffers:
        return data
    head, offsets, _ = _layout(data, buffers)
    parts: list[bytes | memoryview] = [head, data]
    end = len(head) + len(data)
    for offset, buffer in zip(offsets, buffers, strict=True):
        parts += (bytes(offset - end), buffer)
        end = offset + buffer.nbytes
    return b"".join(parts)


def split_blob(blob: bytes | memoryview) -> tuple[memoryview, list[memoryview]]:
    """The pickle and the buffers of a blob that is no bare pickle, as read-only views of it.

    Raises:
        MalformedBlobError: what the header says cannot be true of these bytes.
    """
    view = memoryview(blob).toreadonly()
    size = len(view)
    if size < _HEADER.size:
        raise MalformedBlobError(f"a blob of {size} bytes is shorter than its header")
    magic, version, count, length = _HEADER.unpack_from(view)
    if magic != _MAGIC:
        raise MalformedBlobError(f"a blob starts with byte {magic:#04x}, not {_MAGIC:#04x}")
    if version != _VERSION:
        raise MalformedBlobError(f"a blob has format {version}; this paralab reads {_VERSION}")
    start = _HEADER.size + _PLACE_SIZE * count
    end = start + length
    if end > size:
        raise MalformedBlobError(
            f"a blob of {size:,} bytes claims {count:,} buffers and a pickle of {length:,} bytes"
        )
    buffers = []
    for offset, nbytes in struct.iter_unpack("<QQ", view[_HEADER.size : start]):
        if offset < end or offset + nbytes > size:
            raise MalformedBlobError(
                f"a blob of {size:,} bytes claims a buffer of {nbytes:,} bytes at {offset:,}, "
                f"where only {end:,} to {size:,} is free"
            )
        end = offset + nbytes
        buffers.append(view[offset:end])
    return view[start : start + length], buffers
