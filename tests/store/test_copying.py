"""Addresses of buffers: held while they are used, refused where there is none."""

from __future__ import annotations

import ctypes
import struct

import numpy as np
import pytest

from paralab.store import copying
from paralab.store.copying import address_of


def test_address_holds_the_buffer() -> None:
    data = bytearray(10)
    with address_of(memoryview(data)) as address:
        assert address
        with pytest.raises(BufferError):
            data.append(1)
    data.append(1)
    with pytest.raises(BufferError), address_of(np.zeros((4, 4))[:, 1].data):
        pass


def test_the_mirror_of_pybuffer_has_the_size_that_python_says() -> None:
    assert copying._PyBuffer.len.size == struct.calcsize("n")
    assert struct.calcsize("PPnniiPPPPP") == ctypes.sizeof(copying._PyBuffer)
