"""The blob: where its parts are, that they come back, and that bad ones are refused."""

from __future__ import annotations

import gc
import mmap
import struct
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paralab.blob_format import (
    ALIGNMENT,
    PAGED_SIZE,
    MalformedBlobError,
    blob_parts,
    blob_size,
    join_blob,
    split_blob,
)
from paralab.serialization import load, pack


def write_blob(target: memoryview, data: bytes, buffers: Any) -> None:
    """Writes a blob part by part, as the store does."""
    for offset, part in blob_parts(data, buffers):
        target[offset : offset + len(part)] = part


def views(*values: bytes) -> list[memoryview]:
    return [memoryview(value) for value in values]


@given(st.binary(), st.lists(st.binary(), min_size=1, max_size=8))
def test_parts_come_back(data: bytes, parts: list[bytes]) -> None:
    buffers = views(*parts)
    blob = join_blob(data, buffers)
    found, places = split_blob(blob)
    assert bytes(found) == data
    assert [bytes(place) for place in places] == parts


@given(st.binary(), st.lists(st.binary(), max_size=8))
def test_written_and_joined_blobs_are_the_same_bytes(data: bytes, parts: list[bytes]) -> None:
    buffers = views(*parts)
    target = bytearray(blob_size(data, buffers) + 10)
    write_blob(memoryview(target), data, buffers)
    assert bytes(target) == join_blob(data, buffers) + bytes(10)


def test_without_buffers_the_blob_is_the_pickle() -> None:
    assert join_blob(b"\x80\x05N.", ()) == b"\x80\x05N."
    assert blob_size(b"\x80\x05N.", ()) == 4


def test_buffers_are_aligned_to_cache_lines_and_large_ones_to_pages() -> None:
    sizes = [3, PAGED_SIZE, 1, PAGED_SIZE - 1, 0, PAGED_SIZE + 5]
    parts = [np.full(size, at, np.uint8) for at, size in enumerate(sizes)]
    buffers = [part.data for part in parts]
    blob = mmap.mmap(-1, blob_size(b"abc", buffers))
    with memoryview(blob) as target:
        write_blob(target, b"abc", buffers)
        data, places = split_blob(target)
        assert bytes(data) == b"abc"
        start = np.frombuffer(target, np.uint8).ctypes.data
        for part, place in zip(parts, places, strict=True):
            assert np.array_equal(np.frombuffer(place, np.uint8), part)
            if part.size:
                step = mmap.PAGESIZE if part.size >= PAGED_SIZE else ALIGNMENT
                assert (np.frombuffer(place, np.uint8).ctypes.data - start) % step == 0
        del place, places, data
    gc.collect()
    blob.close()


BLOB = join_blob(b"\x80\x05N.", views(b"x" * 10, b"y" * 10))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\xb5",
        b"x" * 100,
        b"\xb5\x02" + BLOB[2:],
        BLOB[:-1],
        BLOB[:40],
        BLOB[:4] + struct.pack("<I", 0xFFFFFFFF) + BLOB[8:],
        BLOB[:8] + struct.pack("<Q", 2**64 - 1) + BLOB[16:],
        BLOB[:16] + struct.pack("<QQ", 0, 10) + BLOB[32:],
        BLOB[:16] + struct.pack("<QQ", 2**64 - 1, 10) + BLOB[32:],
        BLOB[:16] + struct.pack("<QQ", 64, 2**64 - 1) + BLOB[32:],
        BLOB[:32] + struct.pack("<QQ", 64, 10) + BLOB[48:],
    ],
)
def test_malformed_blobs_are_refused_by_name(blob: bytes) -> None:
    with pytest.raises(MalformedBlobError, match="a blob"):
        load(blob)
    with pytest.raises(MalformedBlobError, match="a blob"):
        load(memoryview(blob))


@given(st.integers(0, 63), st.integers(0, 255))
def test_a_header_with_any_wrong_byte_never_reads_outside(at: int, byte: int) -> None:
    blob = bytearray(BLOB)
    blob[at] = byte
    try:
        data, buffers = split_blob(memoryview(blob))
    except MalformedBlobError:
        return
    assert len(data) + sum(len(buffer) for buffer in buffers) <= len(BLOB)


class _Exporter(np.ndarray[Any, Any]):
    """Memory that can be watched as it goes."""


def test_what_is_left_of_a_value_keeps_the_memory_and_nothing_else_does() -> None:
    memory = np.zeros(10_000, np.uint8).view(_Exporter)
    data, buffers, _ = pack([np.arange(100), np.arange(50)])
    write_blob(memory.data, data, buffers)
    blob = memory.data.toreadonly()
    gone = weakref.ref(memory)
    del memory
    value = load(blob)
    del blob
    part = value[1][10:20][2:4]
    del value
    gc.collect()
    assert gone() is not None
    assert part.tolist() == [12, 13]
    del part
    gc.collect()
    assert gone() is None
