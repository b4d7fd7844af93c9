"""One end of a socket between two processes of this machine.

Messages are collected in ``outbox`` by any thread (one ``append`` each) and leave as one frame
when whoever holds the baton calls :meth:`flush`: the busier the process, the larger the frames.
Sending never blocks; what the kernel does not take waits in ``_unsent``.

Descriptors travel beside a frame's first byte.  Only a connection made with ``descriptors=True``
(a process and its node) may carry them, because a plain ``recv`` would drop them silently.
"""

from __future__ import annotations

import array
import os
import pickle
import select
import socket
import time
from collections import deque
from typing import Any

from paralab.ids import Address
from paralab.transport.framing import HEADER, MESSAGES, VERSION, FrameDecoder, FrameError

READ_SIZE = 1 << 16
LARGE_READ = 1 << 20
MAX_DESCRIPTORS = 8
_DESCRIPTOR_SPACE = socket.CMSG_SPACE(MAX_DESCRIPTORS * 4)

_dumps = pickle.dumps
_loads = pickle.loads
_pack = HEADER.pack

Message = tuple[Any, ...]


class Connection:
    """A stream of messages to and from one process."""

    __slots__ = (
        "_chunks",
        "_decoder",
        "_read_size",
        "_recv",
        "_send",
        "_sent_frames",
        "_socket",
        "_unsent",
        "closed",
        "descriptors",
        "fd",
        "outbox",
        "peer",
        "received_descriptors",
    )

    broken = False
    """A reliable one can be without a socket for a while."""

    def __init__(self, sock: socket.socket, peer: Address, descriptors: bool = False) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._send = sock.send
        self._recv = sock.recv
        self._decoder = FrameDecoder()
        self._chunks = self._decoder.chunks
        self._read_size = READ_SIZE
        self._sent_frames = 0
        self._unsent: deque[tuple[memoryview, list[int]]] = deque()
        self.fd = sock.fileno()
        self.peer = peer
        self.outbox: list[Message] = []
        self.descriptors = descriptors
        self.received_descriptors: deque[int] = deque()
        self.closed = False

    @property
    def stuck(self) -> bool:
        """Whether bytes wait for the kernel to take them."""
        return bool(self._unsent)

    def flush(self) -> bool:
        """Sends the outbox as one frame, as far as the kernel takes it; True when all is gone."""
        outbox = self.outbox
        count = len(outbox)
        if count and not self.closed:
            body = _dumps(outbox[:count], 5)
            del outbox[:count]
            number = self._sent_frames = self._sent_frames + 1
            frame = (
                _pack(len(body), VERSION, MESSAGES, 0, 0, number, self._decoder.received, 0) + body
            )
            if self._unsent:
                self._unsent.append((memoryview(frame), []))
            else:
                try:
                    sent = self._send(frame)
                except (BlockingIOError, InterruptedError):
                    sent = 0
                except OSError:
                    self.closed = True
                    return True
                if sent == len(frame):
                    return True
                self._unsent.append((memoryview(frame)[sent:], []))
                return False
        return not self._unsent or self._push()

    def flush_all(self, seconds: float) -> None:
        """Sends everything and waits for the kernel to take it, at most for ``seconds``."""
        deadline = time.monotonic() + seconds
        while not self.flush() and not self.closed and (left := deadline - time.monotonic()) > 0:
            select.select([], [self._socket], [], left)

    def send_with_descriptors(self, messages: list[Message], descriptors: list[int]) -> None:
        """Queues a frame of its own that carries copies of ``descriptors``."""
        self.flush()
        copies = [os.dup(fd) for fd in descriptors]
        body = _dumps(messages, 5)
        self._sent_frames += 1
        head = _pack(
            len(body), VERSION, MESSAGES, 0, 0, self._sent_frames, self._decoder.received, 0
        )
        self._unsent.append((memoryview(head + body), copies))
        self._push()

    def _push(self) -> bool:
        unsent = self._unsent
        while unsent:
            view, descriptors = unsent[0]
            try:
                if descriptors:
                    packed = array.array("i", descriptors)
                    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)]
                    sent = self._socket.sendmsg([view], rights)
                else:
                    sent = self._send(view)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:
                self.closed = True
                self._drop_unsent()
                return True
            for fd in descriptors:
                os.close(fd)
            if sent == len(view):
                unsent.popleft()
            else:
                unsent[0] = (view[sent:], [])
        return True

    def receive(self) -> list[Any]:
        """The messages of the frames that one read completes; sets ``closed`` at the end.

        Raises:
            FrameError: the other side does not speak our language.
        """
        chunks = self._chunks
        try:
            if self.descriptors:
                self._receive_with_descriptors()
            else:
                chunks.extend(map(self._recv, (self._read_size,)))
        except (BlockingIOError, InterruptedError):
            return []
        except FrameError:  # an OSError too, by kind, but the fault of the other side
            raise
        except OSError:
            self.closed = True
            return []
        size = len(chunks[-1])
        if not size:
            self.closed = True
            return []
        if size == self._read_size:
            self._read_size = LARGE_READ
        elif size < READ_SIZE:
            self._read_size = READ_SIZE
        decoder = self._decoder
        body = decoder.only_body()
        if body is not None:
            return _loads(body)  # type: ignore[no-any-return]
        messages: list[Any] = []
        for body in decoder.bodies():
            messages += _loads(body)
        return messages

    def readable(self) -> bool:
        """Whether a read would find something now."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            self.closed = True
            return False
        return True

    def _receive_with_descriptors(self) -> None:
        data, ancillary, flags, _address = self._socket.recvmsg(
            self._read_size, _DESCRIPTOR_SPACE, socket.MSG_CMSG_CLOEXEC
        )
        for level, kind, packed in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(packed[: len(packed) - len(packed) % fds.itemsize])
                self.received_descriptors.extend(fds)
        self._chunks.append(data)
        if flags & socket.MSG_CTRUNC:
            raise FrameError("descriptors were cut off: this process has too many open files.")
        if len(self.received_descriptors) > 2 * MAX_DESCRIPTORS:
            raise FrameError("descriptors came that no message takes.")

    def close(self) -> None:
        """Closes the socket and every descriptor that waited on it; may be called twice."""
        self.closed = True
        self._drop_unsent()
        while self.received_descriptors:
            os.close(self.received_descriptors.popleft())
        self._socket.close()

    def _drop_unsent(self) -> None:
        while self._unsent:
            for fd in self._unsent.popleft()[1]:
                os.close(fd)
