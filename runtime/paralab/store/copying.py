"""Copying bytes while other threads run.

``memoryview`` assignment holds the GIL for the whole copy, 14 ms for 200 MB; ``memmove``
called through ctypes does not.  Two threads were tried for large copies: on two cores they
reached 5 to 13 GB/s where one reaches 12 to 16, because one core uses up the memory's
bandwidth, so one thread copies.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_WITHOUT_GIL = 64 << 10
"""From so many bytes on a copy costs more than the 1.5 us that ctypes needs."""


class _PyBuffer(ctypes.Structure):
    """``Py_buffer`` of the C API, part of the stable ABI."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


_SIMPLE = 0
_get_buffer = ctypes.PYFUNCTYPE(
    ctypes.c_int, ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int
)(("PyObject_GetBuffer", ctypes.pythonapi))
_release_buffer = ctypes.PYFUNCTYPE(None, ctypes.POINTER(_PyBuffer))(
    ("PyBuffer_Release", ctypes.pythonapi)
)


@contextmanager
def address_of(data: memoryview) -> Iterator[int]:
    """The address of a buffer's first byte, read-only ones included; held until the end.

    Raises:
        BufferError: ``data`` is not contiguous.
    """
    buffer = _PyBuffer()
    _get_buffer(data, ctypes.byref(buffer), _SIMPLE)
    try:
        yield buffer.buf or 0
    finally:
        _release_buffer(ctypes.byref(buffer))


def copy_into(target: memoryview, source: memoryview) -> None:
    """Copies ``source`` to the start of ``target``; large ones without holding the GIL.

    Both must be contiguous; they may overlap.

    Raises:
        ValueError: ``target`` is smaller than ``source``.
        TypeError: ``target`` is read-only.
    """
    size = source.nbytes
    if target.nbytes < size:
        raise ValueError(f"{size:,} bytes do not fit into {target.nbytes:,}")
    if target.readonly:
        raise TypeError("cannot copy into a read-only view")
    if size < _WITHOUT_GIL:
        if size:
            target.cast("B")[:size] = source.cast("B")
        return
    with address_of(target) as to, address_of(source) as origin:
        ctypes.memmove(to, origin, size)
