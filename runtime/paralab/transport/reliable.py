"""A connection that outlives its socket, and on which nothing is lost.

It sends again what has not been acknowledged, by the rules of ``state.resending``.  A socket that
breaks is not its end: it keeps what is to be sent until it gets another one (``attach``) and goes
on there.  Both ends have to be of this kind: frames are marked as such, and there are bare
acknowledgements.

Between the processes of one machine a socket loses nothing and breaks only when a process ends,
so there this is used with the fault switch only (``paralab.faults``).
"""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from paralab.ids import Address
from paralab.state.resending import NEVER, Resending
from paralab.transport.connection import Connection, Message, _dumps, _pack
from paralab.transport.framing import (
    ACKNOWLEDGEMENT,
    HEADER,
    HEADER_SIZE,
    MAX_BODY,
    NUMBERED,
    VERSION,
    FrameDecoder,
    FrameError,
)

Frame = tuple[bytes, list[int]]
"""Its bytes, and the descriptors that travel beside it; their copies here are the frame's."""


class ReliableConnection(Connection):
    """See the module.

    Args:
        clock: seconds.
        on_break: called when the socket is of no use any more, and before it is closed.
    """

    __slots__ = ("_clock", "_fresh", "_on_break", "broken", "resending")

    def __init__(
        self,
        sock: socket.socket,
        peer: Address,
        descriptors: bool,
        clock: Callable[[], float],
        on_break: Callable[[ReliableConnection], None],
    ) -> None:
        super().__init__(sock, peer, descriptors)
        self._clock = clock
        self._on_break = on_break
        self.resending = Resending()
        self._fresh: deque[int] = deque()
        """Descriptors that have come, in order, whose frames have not been cut out yet."""
        self._decoder = _Decoder(self._arrived)
        self._chunks = self._decoder.chunks
        self.broken = False

    # -- sending -----------------------------------------------------------------------------

    def flush(self) -> bool:
        """See :class:`Connection`."""
        if count := len(self.outbox):
            messages = self.outbox[:count]
            del self.outbox[:count]
            self._post(messages, [])
        return self.broken or self._push()

    def send_with_descriptors(self, messages: list[Message], descriptors: list[int]) -> None:
        """See :class:`Connection`."""
        self.flush()
        self._post(messages, descriptors)
        self._push()

    def _post(self, messages: list[Message], descriptors: list[int]) -> None:
        """Sends new messages as one frame."""
        self._put(self._framed(messages, descriptors))

    def _framed(self, messages: list[Message], descriptors: list[int]) -> Frame:
        body, resending = _dumps(messages, 5), self.resending
        number, count = resending.sent + 1, len(descriptors)
        head = _pack(len(body), VERSION, NUMBERED, 0, 0, number, resending.received, count)
        frame = head + body, [os.dup(fd) for fd in descriptors]
        resending.keep(frame, self._clock())
        resending.told()
        return frame

    def _put(self, frame: Frame) -> None:
        """Gives a frame to the kernel."""
        if not self.broken and not self.closed:
            data, descriptors = frame
            self._unsent.append((memoryview(data), [os.dup(fd) for fd in descriptors]))

    def _push(self) -> bool:
        done = self.broken or super()._push()
        if self.closed:
            self._break()
        return done and not self._unsent

    # -- receiving ---------------------------------------------------------------------------

    def receive(self) -> list[Any]:
        """See :class:`Connection`."""
        messages = [] if self.broken else super().receive()
        if self.closed:
            self._break()
        return messages

    def _receive_with_descriptors(self) -> None:
        ready, self.received_descriptors = self.received_descriptors, self._fresh
        try:
            super()._receive_with_descriptors()
        finally:
            self.received_descriptors = ready

    def _arrived(self, number: int, seen: int, count: int, body: memoryview | None) -> list[Any]:
        """A frame has come; returns the bodies that can be handed on now."""
        now = self._clock()
        for _data, descriptors in self.resending.acknowledged(seen, now):
            _close(descriptors)
        if body is None:
            return []
        descriptors = [self._fresh.popleft() for _ in range(min(count, len(self._fresh)))]
        items = self.resending.arrived(number, (body, descriptors), now)
        if items is None:
            _close(descriptors)
        bodies = []
        for body, descriptors in items or ():
            bodies.append(body)
            self.received_descriptors.extend(descriptors)
        return bodies

    def readable(self) -> bool:
        """See :class:`Connection`."""
        return not self.broken and super().readable()

    # -- time --------------------------------------------------------------------------------

    def due(self) -> float:
        """When :meth:`tick` will have something to do."""
        return NEVER if self.broken else self.resending.due()

    def tick(self) -> None:
        """Sends again what has been waiting for too long, or an acknowledgement."""
        now, resending = self._clock(), self.resending
        if not self._unsent:  # else the other side does not read: more of the same would not help
            for frame in resending.again(now):
                self._put(frame)
        else:
            resending.again(now)
        if resending.owes(now):
            resending.told()
            self._acknowledge()
        self._push()

    def _acknowledge(self) -> None:
        head = _pack(0, VERSION, ACKNOWLEDGEMENT, 0, 0, 0, self.resending.received, 0)
        self._put((head, []))

    def flush_all(self, seconds: float) -> None:
        """Returns when the other side has everything, or after ``seconds``."""
        deadline = self._clock() + seconds
        while (self.outbox or self.resending.kept) and not self.broken and not self.closed:
            self.flush()
            now = self._clock()
            if now >= deadline:
                return
            if now >= self.due():
                self.tick()
            wait = max(0.0, min(deadline, self.due()) - now)
            if not self.broken:
                writing = [self._socket] if self._unsent else []
                if select.select([self._socket], writing, [], wait)[0]:
                    self.receive()

    # -- the socket --------------------------------------------------------------------------

    def _break(self) -> None:
        """The socket is of no use any more."""
        if not self.broken:
            self.closed, self.broken = False, True
            self._drop_unsent()
            self._forget_arrivals()
            self._on_break(self)
            if self.broken:
                self._socket.close()
                self.fd = -1  # the number will be somebody else's

    def _forget_arrivals(self) -> None:
        _close(self._fresh)
        self._fresh.clear()
        self._decoder = _Decoder(self._arrived)
        self._chunks = self._decoder.chunks

    def attach(self, sock: socket.socket) -> None:
        """Goes on over another socket: first with all that is not acknowledged."""
        if not self.broken:
            self._drop_unsent()
            self._forget_arrivals()
        self._socket.close()
        sock.setblocking(False)
        self._socket, self._send, self._recv = sock, sock.send, sock.recv
        self.fd = sock.fileno()
        self.broken = False
        self._acknowledge()
        for frame in self.resending.kept:
            self._put(frame)
        self._push()

    def close(self) -> None:
        """See :class:`Connection`."""
        super().close()
        self.broken = True
        for _data, descriptors in [*self.resending.kept, *self.resending.waiting()]:
            _close(descriptors)
        self.resending.kept.clear()
        _close(self._fresh)
        self._fresh.clear()


class _Decoder(FrameDecoder):
    """Cuts frames that carry numbers, in whatever order these come.

    Args:
        arrived: takes number, acknowledged number, descriptors beside it and body of each frame,
            and returns the bodies to be handed on.
    """

    __slots__ = ("_arrived",)

    def __init__(self, arrived: Callable[[int, int, int, memoryview | None], list[Any]]) -> None:
        super().__init__()
        self._arrived = arrived

    def only_body(self) -> None:
        """There is no short way."""

    def _cut(self, chunk: bytes, bodies: list[memoryview]) -> int:
        view, start = memoryview(chunk), 0
        while len(chunk) - start >= HEADER_SIZE:
            length, version, kind, _job, _conn, number, seen, count = HEADER.unpack_from(
                chunk, start
            )
            known = kind == NUMBERED or (kind == ACKNOWLEDGEMENT and not length)
            if version != VERSION or not known or length > MAX_BODY:
                raise FrameError(
                    f"frame of version {version}, kind {kind}, {length} bytes: expected version "
                    f"{VERSION}, kind {NUMBERED} or {ACKNOWLEDGEMENT}, at most {MAX_BODY} bytes."
                )
            stop = start + HEADER_SIZE + length
            if stop > len(chunk):
                self._wanted = stop - start
                return start
            body = view[start + HEADER_SIZE : stop] if kind == NUMBERED else None
            bodies += self._arrived(number, seen, count, body)
            start = stop
        self._wanted = HEADER_SIZE
        return start


def _close(descriptors: Any) -> None:
    for fd in descriptors:
        os.close(fd)
