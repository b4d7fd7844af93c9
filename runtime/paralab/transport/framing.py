"""Frames: how messages lie in a byte stream.

::

    0        4   5   6     8       12        20        28     32
    | length | v | k | job | conn  | number  | seen    | 0    | body ... length bytes

``length`` counts the body.  ``v`` is the version, ``k`` the kind of body.  ``number`` counts
the frames of one direction of one connection from 1, and ``seen`` is the last number that the
sender has received: what a reconnect needs to send again what was lost and to drop what came
twice.  Length and version are checked before anything is allocated or parsed.
"""

from __future__ import annotations

import struct
from collections import deque

HEADER = struct.Struct("<IBBHIQQI")
HEADER_SIZE = HEADER.size
_unpack = HEADER.unpack_from
VERSION = 1
MESSAGES = 1
"""Kind: a pickled list of messages."""
NUMBERED = 2
"""The same on a connection that sends again (``transport.reliable``).  The last word of the header
counts the descriptors beside the frame."""
ACKNOWLEDGEMENT = 3
"""Nothing but ``seen``."""
MAX_BODY = 1 << 30


class FrameError(ConnectionError):
    """The other side sent bytes that are no frame of ours."""


class FrameDecoder:
    """Cuts a stream into bodies.

    ``chunks`` is where received bytes are put, by one C call, so that an interrupt between two
    bytecodes loses none; ``bodies`` may be called at any time after.
    """

    __slots__ = ("_partial", "_wanted", "chunks", "received")

    def __init__(self) -> None:
        self.chunks: deque[bytes] = deque()
        self.received = 0
        self._partial = bytearray()
        self._wanted = HEADER_SIZE

    def only_body(self) -> memoryview | None:
        """The body, where what has come is one whole frame, as it nearly always is; else None."""
        chunks = self.chunks
        if self._partial or len(chunks) != 1:
            return None
        chunk = chunks[0]
        if len(chunk) < HEADER_SIZE:
            return None
        length, version, kind, _job, _conn, number, _seen, _zero = _unpack(chunk)
        if (
            length + HEADER_SIZE != len(chunk)
            or version != VERSION
            or kind != MESSAGES
            or number != self.received + 1
        ):
            return None
        chunks.popleft()
        self.received = number
        return memoryview(chunk)[HEADER_SIZE:]

    def bodies(self) -> list[memoryview]:
        """The complete bodies received so far, in order, each only once.

        Raises:
            FrameError: the stream holds something else.
        """
        bodies: list[memoryview] = []
        chunks = self.chunks
        while chunks:
            chunk = chunks.popleft()
            if self._partial:
                self._partial += chunk
                if len(self._partial) < self._wanted:
                    continue
                chunk = bytes(self._partial)
                self._partial = bytearray()
            start = self._cut(chunk, bodies)
            if start < len(chunk):
                self._partial += memoryview(chunk)[start:]
        return bodies

    def _cut(self, chunk: bytes, bodies: list[memoryview]) -> int:
        """Appends the whole bodies of ``chunk``; returns where the rest begins."""
        view = memoryview(chunk)
        end = len(chunk)
        start = 0
        while end - start >= HEADER_SIZE:
            length, version, kind, _job, _conn, number, _seen, _zero = HEADER.unpack_from(
                chunk, start
            )
            if version != VERSION or kind != MESSAGES or length > MAX_BODY:
                raise FrameError(
                    f"frame of version {version}, kind {kind}, {length} bytes: expected version "
                    f"{VERSION}, kind {MESSAGES}, at most {MAX_BODY} bytes."
                )
            stop = start + HEADER_SIZE + length
            if stop > end:
                self._wanted = stop - start
                return start
            if number > self.received:  # else it came before: drop it
                if number != self.received + 1:
                    raise FrameError(f"frame {number} follows frame {self.received}.")
                self.received = number
                bodies.append(view[start + HEADER_SIZE : stop])
            start = stop
        self._wanted = HEADER_SIZE
        return start
