"""A session whose connections send again: the timers for that, and sockets for broken ones.

Used where the fault switch is on; else a socket between two processes of one machine breaks only
when one of them ends, and ``Links`` and the node know nothing of this.

::

    between two clients   both see the end; the one with the lower address asks the node for a new
                          pair of sockets (CONNECT, again), and each gets its end (PEER)
    client and node       the client knocks at the node's door, with its address, and what it
                          knocks at becomes the connection.  The node waits for it for a while

Both ends know what has not been acknowledged, so nothing is lost or done twice.  A process that has
ended does not come back; that is told by its pidfd as ever.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paralab.faults.connection import FaultSwitch, FaultyConnection
from paralab.ids import Address, process_number
from paralab.messages import CONNECT
from paralab.process.door import knock
from paralab.process.links import Handler, Link, Links
from paralab.transport.connection import Connection
from paralab.transport.reliable import ReliableConnection

if TYPE_CHECKING:
    from paralab.process.node import Node
    from paralab.process.node_workers import Process

BACK_SECONDS = 5.0
"""How long the node waits for a client whose connection is broken, and the client for the node."""
DRIVER, WORKER, NODE = "driver", "worker", "node"


class TimedPoll:
    """An ``epoll`` that also sees to the timers of connections."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._poll = select.epoll()
        self._known: set[int] = set()
        self.clock = clock
        self.connections: set[ReliableConnection] = set()
        self.deadlines: dict[Any, tuple[float, Callable[[], None]]] = {}
        """What else is to be done at a time, once; by whatever it is about."""
        self.fileno, self.close = self._poll.fileno, self._poll.close

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._poll.closed

    def register(self, fd: int, mask: int) -> None:
        """As that of epoll."""
        self._poll.register(fd, mask)
        self._known.add(fd)

    def modify(self, fd: int, mask: int) -> None:
        """As that of epoll; a descriptor that has just been given up is no error."""
        if fd in self._known:
            self._poll.modify(fd, mask)

    def unregister(self, fd: int) -> None:
        """As that of epoll."""
        if fd in self._known:
            self._known.discard(fd)
            self._poll.unregister(fd)

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """As that of epoll, but it may come back sooner with nothing."""
        self.connections = {each for each in self.connections if not each.closed}
        times = [connection.due() for connection in self.connections]
        times += [when for when, _action in self.deadlines.values()]
        due = min(times, default=float("inf"))
        if due < float("inf"):
            wait = max(0.0, due - self.clock())
            timeout = wait if timeout is None else min(timeout, wait)
        events = self._poll.poll(timeout)
        now = self.clock()
        for connection in [each for each in self.connections if each.due() <= now]:
            connection.tick()
            if connection.stuck:
                self.modify(connection.fd, select.EPOLLIN | select.EPOLLOUT)
        for what, (when, action) in list(self.deadlines.items()):
            if when <= now:
                del self.deadlines[what]
                action()
        return events


class ReliableLinks(Links):
    """The sockets of a client in a session whose connections send again."""

    def __init__(
        self,
        node_socket: socket.socket,
        handlers: dict[int, Handler],
        closed: Callable[[Link], None],
    ) -> None:
        self._switch = FaultSwitch()
        self._address = self._driver = b""
        self._folder = ""
        self._timed = TimedPoll()
        super().__init__(node_socket, handlers, closed, self._timed)

    def welcomed(self, welcome: dict[str, Any]) -> None:
        """See :class:`Links`."""
        self._address, self._driver = welcome["address"], welcome["driver"]
        self._folder = welcome["info"]["session_dir"]
        role = DRIVER if self._address == self._driver else WORKER
        number = process_number(self._address)
        self._switch.load(welcome["faults"], role, number, self._folder)

    def settled(self) -> bool:
        """See :class:`Links`."""
        return not any(each.resending.kept for each in self._timed.connections if not each.broken)

    def _connection(
        self, sock: socket.socket, address: Address, descriptors: bool = False
    ) -> Connection:
        role = NODE if descriptors else DRIVER if address == self._driver else WORKER
        timed = self._timed
        connection = FaultyConnection(
            *(sock, address, descriptors, timed.clock, self._broke, self._switch, role)
        )
        timed.connections.add(connection)
        return connection

    def connect(self, address: Address, descriptor: int, is_own: bool = False) -> Link:
        """The node has handed over a socket to ``address``, or another one."""
        link = self.peers.get(address)
        connection = None if link is None else link.connection
        if is_own or link is None or not isinstance(connection, ReliableConnection):
            return super().connect(address, descriptor, is_own)
        if not connection.broken:
            self._forget(connection)
        self._resume(link, connection, socket.socket(fileno=descriptor))
        return link

    def _resume(self, link: Link, connection: ReliableConnection, sock: socket.socket) -> None:
        connection.attach(sock)
        if not connection.broken:
            self._by_fd[connection.fd] = link
            self._poll.register(connection.fd, select.EPOLLIN | select.EPOLLOUT)

    def _forget(self, connection: ReliableConnection) -> None:
        self._by_fd.pop(connection.fd, None)
        self._poll.unregister(connection.fd)

    def _broke(self, connection: ReliableConnection) -> None:
        """A socket is of no use any more, and perhaps only the socket."""
        self._forget(connection)
        if connection is not self.node.connection:
            if self._address < connection.peer:
                self.node.post((CONNECT, connection.peer, True))
            return
        try:
            sock = come_back(self._folder, self._address)
        except OSError:
            self._closed(self.node)
        else:
            self._resume(self.node, connection, sock)


def come_back(folder: str, address: Address) -> socket.socket:
    """A new socket to the node whose folder ``folder`` is.

    Raises:
        OSError: there is no such node any more, or it does not know this process.
    """
    if not folder:
        raise ConnectionError("There has been no welcome yet.")
    sock = knock(folder, "back", address=address.hex())
    sock.settimeout(BACK_SECONDS)
    try:
        if not sock.recv(1, socket.MSG_PEEK):
            raise ConnectionError("The node does not know this process.")
    except OSError:
        sock.close()
        raise
    return sock


class NodeWire:
    """The node's connections in such a session."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.poll = TimedPoll()
        self._switch = FaultSwitch()

    def begin(self, rules: str, folder: str) -> None:
        """Turns the fault switch on."""
        self._switch.load(rules, NODE, 0, folder)

    def connection(self, sock: socket.socket, address: Address, is_driver: bool) -> Connection:
        """A connection to a new client."""
        connection = FaultyConnection(
            *(sock, address, True, self.poll.clock, self._broke, self._switch),
            DRIVER if is_driver else WORKER,
        )
        self.poll.connections.add(connection)
        return connection

    def _broke(self, connection: ReliableConnection) -> None:
        self._node.unwatch(connection.fd)

        def give_up() -> None:
            connection.closed = True
            process = self._node.clients.get(connection.peer)
            if process is not None:
                self._node.lost(process)

        self.poll.deadlines[connection] = self.poll.clock() + BACK_SECONDS, give_up

    def back(self, sock: socket.socket, pid: int, address: str) -> None:
        """A client has knocked whose connection was broken."""
        process: Process | None = self._node.clients.get(bytes.fromhex(address))
        connection = None if process is None else process.connection
        if process is None or process.pid not in (0, pid):
            sock.close()
            return
        assert isinstance(connection, ReliableConnection)
        self.poll.deadlines.pop(connection, None)
        if not connection.broken:
            self._node.unwatch(connection.fd)
        connection.attach(sock)
        self._node.listen_to(process)
