"""Where a buffer's bytes are, for copies during which other threads run.

``memoryview`` assignment holds the GIL for the whole copy, 14 ms for 200 MB; ``memmove``
called through ctypes does not.  Two threads were tried for large copies: on two cores they
reached 5 to 13 GB/s where one reaches 12 to 16, because one core uses up the memory's
bandwidth, so one thread copies.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager


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
