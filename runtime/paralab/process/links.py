"""The sockets of one process: one to its node, one to each process that it has dealt with.

``Link`` stands for a process, whether a socket to it exists yet or not: what is posted before
the node has handed the socket over waits in ``outbox``.  Posting is two appends, so any thread
may; everything else belongs to the baton's holder.
"""

from __future__ import annotations

import importlib
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from paralab.ids import Address
from paralab.transport.connection import Connection, Message
from paralab.transport.framing import HEADER, HEADER_SIZE, NUMBERED

READ = select.EPOLLIN
WRITE = select.EPOLLOUT

STREAK = 4
MAX_STREAK = 1_024
SHORT_NS = 1_000_000
LOOK_NS = 1_000_000 if len(os.sched_getaffinity(0)) > 1 else 0
"""Longer than waking the other side may take: else two processes that both sleep, each
woken by the other, would never look at the same time."""
SOON_NS = 120_000
"""What comes later than this was not worth looking for."""
MAX_LATE = 12
IN_VAIN = 3

Handler = Callable[..., None]


class Poll(Protocol):
    """What of ``epoll`` is used."""

    @property
    def closed(self) -> bool: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...
    def register(self, fd: int, mask: int, /) -> None: ...
    def modify(self, fd: int, mask: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]: ...


class Link:
    """One other process."""

    __slots__ = ("address", "connection", "dirty", "outbox", "writing")

    def __init__(self, address: Address, dirty: deque[Link]) -> None:
        self.address = address
        self.connection: Connection | None = None
        self.outbox: list[Message] = []
        self.dirty = dirty
        self.writing = False

    def post(self, message: Message) -> None:
        """Leaves a message to be sent with the next flush."""
        self.outbox.append(message)
        self.dirty.append(self)


class Links:
    """All sockets of one process and the wait for them."""

    def __init__(
        self,
        node_socket: socket.socket,
        handlers: dict[int, Handler],
        closed: Callable[[Link], None],
        poll: Poll | None = None,
    ) -> None:
        self._poll: Poll = select.epoll() if poll is None else poll
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._bell, READ)
        self.ring: Callable[[], None] = partial(os.eventfd_write, self._bell, 1)
        """Ends a wait; any thread.  OSError: the bell has been closed, or rings already."""
        self._by_fd: dict[int, Link] = {}
        self._streak = 0
        """So many waits in a row were short and ended with a single message."""
        self._patience = STREAK
        self._late = 0
        self._handlers = handlers
        self._closed = closed
        self.dirty: deque[Link] = deque()
        self.rung = False
        """Somebody has left something in the mailbox."""
        self.now = time.monotonic_ns()
        """When what is being handled was read."""
        self._watched: dict[int, Callable[[], None]] = {}
        self.peers: dict[Address, Link] = {}
        self.node = Link(b"", self.dirty)
        self._attach(self.node, self._connection(node_socket, b"", descriptors=True))

    def _connection(
        self, sock: socket.socket, address: Address, descriptors: bool = False
    ) -> Connection:
        return Connection(sock, address, descriptors)

    def welcomed(self, welcome: dict[str, Any]) -> None:
        """The node has said who we are, and what a session is like."""

    def settled(self) -> bool:
        """Whether what has been sent is on its way for sure, even if this process ends now."""
        return True

    def peer(self, address: Address) -> Link | None:
        """The link to a process, None if there has been none."""
        return self.peers.get(address)

    def make_peer(self, address: Address) -> Link:
        """A link to a process; messages wait until the node hands a socket over."""
        link = self.peers[address] = Link(address, self.dirty)
        return link

    def connect(self, address: Address, descriptor: int, is_own: bool = False) -> Link:
        """The node has handed over a socket to ``address``.

        To ourselves: the one end and then the other, which is a link of its own.  What an actor
        calls of itself arrives there.
        """
        link = self.peers.get(address) or self.make_peer(address)
        if is_own and link.connection is not None:
            link = Link(address, self.dirty)
        sock = socket.socket(fileno=descriptor)
        if link.connection is not None:
            sock.close()
        else:
            self._attach(link, self._connection(sock, address))
            self.dirty.append(link)
        return link

    def _attach(self, link: Link, connection: Connection) -> None:
        connection.outbox = link.outbox
        link.connection = connection
        self._by_fd[connection.fd] = link
        self._poll.register(connection.fd, READ)

    def drop(self, link: Link) -> None:
        """Ends a link; what waits to be sent is lost."""
        connection = link.connection
        if connection is not None:
            link.connection = None
            link.writing = False
            self._by_fd.pop(connection.fd, None)
            self._poll.unregister(connection.fd)
            connection.close()
        if self.peers.get(link.address) is link:
            del self.peers[link.address]

    def flush(self) -> None:
        """Sends what has been posted, a frame for each process."""
        dirty = self.dirty
        while dirty:
            link = dirty.popleft()
            connection = link.connection
            if connection is not None and link.outbox:
                if not connection.flush() and not link.writing:
                    link.writing = True
                    self._poll.modify(connection.fd, READ | WRITE)
                elif connection.closed:
                    self._closed(link)

    def drain(self, link: Link) -> None:
        """Handles what a process sent before it died."""
        connection = link.connection
        while connection is not None and not connection.closed:
            messages = connection.receive()
            for message in messages:
                self._handlers[message[0]](link, *message)
            if not messages and not connection.stuck and not connection.readable():
                break

    def listen(self, timeout: float | None, eager: bool = False) -> None:
        """Waits for sockets at most ``timeout`` seconds and hands on what they bring.

        Falling asleep and being woken costs two virtual CPUs more time, and more work, than a
        task that does nothing.  So while single answers keep coming within ``SHORT_NS``, and
        ``eager`` allows it, the wait begins with looking.  It ends when answers come late again
        and again, where nothing at all counts ``IN_VAIN`` times; then it takes twice as many short
        waits to try again.
        """
        poll = self._poll.poll
        before = time.monotonic_ns()
        looking = eager and self._streak > self._patience
        if looking:
            until = before + LOOK_NS
            events = poll(0)
            while not events and time.monotonic_ns() < until:
                events = poll(0)
            if not events:
                self._late += IN_VAIN
                events = poll(timeout)
        else:
            events = poll(timeout)
        now = self.now = time.monotonic_ns()
        waited = now - before
        if self._handle(events) != 1 or waited > SHORT_NS:
            self._streak = 0
        else:
            self._streak += 1
        if looking:
            if waited < SOON_NS:
                self._late = 0
                self._patience = STREAK
            else:
                self._late += 1
                if self._late > MAX_LATE:
                    self._late = self._streak = 0
                    self._patience = min(2 * self._patience, MAX_STREAK)

    def _handle(self, events: list[tuple[int, int]]) -> int:
        """Hands on what the sockets bring; returns how many messages that were."""
        handlers = self._handlers
        count = 0
        for fd, event in events:
            link = self._by_fd.get(fd)
            if link is None:
                if fd == self._bell:
                    self.rung = True
                    try:
                        os.eventfd_read(self._bell)
                    except BlockingIOError:
                        pass
                elif fd in self._watched:
                    self._watched[fd]()
                continue
            connection = link.connection
            assert connection is not None
            if event != READ and event & WRITE and connection.flush():
                link.writing = False
                self._poll.modify(fd, READ)
            if event & ~WRITE:
                messages = connection.receive()
                count += len(messages)
                for message in messages:
                    handlers[message[0]](link, *message)
                if connection.closed:
                    self._closed(link)
        return count

    def watch(self, fd: int, on_ready: Callable[[], None]) -> None:
        """Calls ``on_ready`` each time that ``fd`` becomes readable; any thread."""
        self._watched[fd] = on_ready
        self._poll.register(fd, READ | select.EPOLLET)

    def unwatch(self, fd: int) -> None:
        """Ends ``watch``."""
        if self._watched.pop(fd, None) is not None and not self._poll.closed:
            self._poll.unregister(fd)

    def descriptor(self) -> int:
        """The oldest descriptor that came from the node and has not been taken."""
        connection = self.node.connection
        assert connection is not None
        return connection.received_descriptors.popleft()

    def disown(self) -> None:
        """In a child that the user forked: its copies of the descriptors lead nowhere.

        They are replaced and not closed, because closing asks the poll object, which the parent
        shares, to forget them.
        """
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (*self._by_fd, self._poll.fileno(), self._bell):
            os.dup2(null, fd, inheritable=False)
        os.close(null)

    def close(self) -> None:
        """Closes everything; may be called twice."""
        for link in [self.node, *self.peers.values(), *self._by_fd.values()]:
            self.drop(link)
        if not self._poll.closed:
            self._poll.close()
            os.close(self._bell)


def links_over(node_socket: socket.socket) -> type[Links]:
    """What speaks with a node as that node does: the first frame, its welcome, shows how."""
    head = node_socket.recv(HEADER_SIZE, socket.MSG_PEEK)
    if len(head) == HEADER_SIZE and HEADER.unpack(head)[2] == NUMBERED:
        # By name: it stands above this room, and hardly anybody needs it.
        above = importlib.import_module("paralab.faults.reconnecting")
        reliable: type[Links] = above.ReliableLinks
        return reliable
    return Links
