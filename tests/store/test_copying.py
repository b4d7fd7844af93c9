"""Copies: right at all sizes, and refused where they cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from paralab.store.copying import address_of, copy_into


@pytest.mark.parametrize("size", [0, 1, 1000, (64 << 10) - 1, 64 << 10, 3_000_001])
@pytest.mark.parametrize("read_only", [False, True])
def test_copies_all_and_nothing_more(size: int, read_only: bool) -> None:
    data = bytearray(np.random.default_rng(size).bytes(size))
    source = memoryview(bytes(data) if read_only else data)
    target = bytearray(b"\x55" * (size + 8))
    copy_into(memoryview(target), source)
    assert target[:size] == data
    assert target[size:] == b"\x55" * 8


def test_items_of_any_type() -> None:
    source = np.arange(20_000, dtype=np.float64).reshape(100, 200)
    target = bytearray(source.nbytes)
    copy_into(memoryview(target), source.data)
    assert target == source.tobytes()
    small = np.arange(6, dtype=np.int16).reshape(2, 3)
    copy_into(memoryview(target), small.data)
    assert target[: small.nbytes] == small.tobytes()


def test_refuses_what_does_not_fit_or_is_read_only() -> None:
    with pytest.raises(ValueError, match="3 bytes do not fit into 2"):
        copy_into(memoryview(bytearray(2)), memoryview(b"abc"))
    with pytest.raises(TypeError, match="read-only"):
        copy_into(memoryview(b"abc"), memoryview(b"abc"))


def test_address_holds_the_buffer() -> None:
    data = bytearray(10)
    with address_of(memoryview(data)) as address:
        assert address
        with pytest.raises(BufferError):
            data.append(1)
    data.append(1)
    with pytest.raises(BufferError), address_of(np.zeros((4, 4))[:, 1].data):
        pass
