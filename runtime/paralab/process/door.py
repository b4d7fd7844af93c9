"""The node's door: the one socket on which it listens, and who may come in.

::

    guest   token, size, request (JSON)  ──▶  node
    guest   ◀── answer, or from now on the frames of a driver's connection

The kernel says whose process a guest is, and the token comes before anything that would have to
be parsed.  A request says what the guest wants: to be a driver, to know the node's state, to
add or remove a virtual node, or to end it all.  Guests that say nothing cost a descriptor each,
for a few seconds; there are few.  Who is refused is said on the node's error output, once a minute.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from paralab import platform
from paralab.process import session_folder
from paralab.process.node_log import say
from paralab.process.session_folder import TOKEN_SIZE

if TYPE_CHECKING:
    from paralab.process.node import Node

SIZE_BYTES = 4
LARGEST_REQUEST = 1 << 20
MOST_GUESTS = 32
DRIVER: dict[str, type | tuple[type, ...]] = {
    "namespace": str, "sys_path": list, "as_ray": bool, "cwd": str, "argv": list,
    "logging": dict, "environment": (list, type(None)),
}  # fmt: skip
"""What a driver says of itself."""
PATIENCE_SECONDS = 5.0
"""How long a guest may take to say what it wants."""
COMPLAINT_SECONDS = 60.0
"""Between two lines about guests that were refused: an attack must not fill a log."""


class _Guest:
    __slots__ = ("came", "data", "pid", "socket")

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self.socket = sock
        self.pid = pid
        self.data = b""
        self.came = time.monotonic()


class Door:
    """Lets drivers in that have the token."""

    def __init__(self, node: Node, *, stands_alone: bool) -> None:
        self._node = node
        made = session_folder.create(stands_alone=stands_alone)
        self.path, self._token, self._listener, self._lock = made
        self._guests: dict[int, _Guest] = {}
        """From the connection to the request, by descriptor."""
        self._leaving: list[socket.socket] = []
        """Of those who wait for the node's end: closed by it."""
        self._refused = 0
        """Guests, since the last line about them."""
        self._complained = -COMPLAINT_SECONDS
        self._is_open = False
        self.look()

    def look(self) -> None:
        """Now and then: sends away who has said nothing for too long, and opens again."""
        if not self._is_open:
            self._is_open = True
            self._node.watch(self._listener.fileno(), self._knock)
        before = time.monotonic() - PATIENCE_SECONDS
        for guest in list(self._guests.values()):
            if guest.came < before:
                self._dismiss(guest)

    def _knock(self, _event: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):  # it would be told at once, for ever
                self._is_open = False
                self._node.unwatch(self._listener.fileno())
            return  # else the guest has gone already
        credentials = platform.peer_credentials(sock)
        if credentials.uid != os.geteuid():
            self._complain(f"process {credentials.pid} of user {credentials.uid}, not this one's")
            sock.close()
            return
        self.look()
        if len(self._guests) >= MOST_GUESTS:
            self._dismiss(next(iter(self._guests.values())))
        sock.setblocking(False)
        guest = _Guest(sock, credentials.pid)
        self._guests[sock.fileno()] = guest
        self._node.watch(sock.fileno(), lambda _event: self._read(guest))

    def _forget(self, guest: _Guest) -> None:
        self._guests.pop(guest.socket.fileno(), None)
        self._node.unwatch(guest.socket.fileno())

    def _dismiss(self, guest: _Guest, why: str = "") -> None:
        if why:
            self._complain(f"process {guest.pid}, {why}")
        self._forget(guest)
        guest.socket.close()

    def _complain(self, who: str) -> None:
        self._refused += 1
        now = time.monotonic()
        if now - self._complained >= COMPLAINT_SECONDS:
            more = f" and {self._refused - 1} before it" if self._refused > 1 else ""
            say(f"the door was shut on {who}{more}.")
            self._complained, self._refused = now, 0

    def _read(self, guest: _Guest) -> None:
        head = TOKEN_SIZE + SIZE_BYTES
        size = int.from_bytes(guest.data[TOKEN_SIZE:head], "big")
        wanted = TOKEN_SIZE if len(guest.data) < TOKEN_SIZE else head
        if len(guest.data) >= head:
            wanted = head + size
        try:
            data = guest.socket.recv(wanted - len(guest.data))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        guest.data += data
        have = len(guest.data)
        if not data:
            self._dismiss(guest)
        elif have == TOKEN_SIZE and not self._is_token(guest.data):
            self._dismiss(guest, "which has no token of ours")
        elif have >= head:
            size = int.from_bytes(guest.data[TOKEN_SIZE:head], "big")
            if not 0 < size <= LARGEST_REQUEST:
                self._dismiss(guest, f"which announced {size} bytes")
            elif have == head + size:
                self._forget(guest)
                self._admit(guest, guest.data[head:])

    def _is_token(self, data: bytes) -> bool:
        import hmac  # loads OpenSSL, and most nodes have no guests

        return hmac.compare_digest(data, self._token)

    def _admit(self, guest: _Guest, text: bytes) -> None:
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            request = None
        what = request.pop("what", "") if isinstance(request, dict) else ""
        if not what or (what == "driver" and not _is_driver(request)):
            self._complain(f"process {guest.pid}, whose request is none")
            guest.socket.close()
            return
        if what == "driver":
            self._node.drivers.add(guest.socket, guest.pid, request)
            return
        if what == "back" and self._node.wire is not None:
            self._node.wire.back(guest.socket, guest.pid, str(request.get("address")))
            return
        if what == "stop":
            self._leaving.append(guest.socket)
            self._node.running = False
            return
        try:
            answer = self._answer(what, request)
        except Exception as error:  # a guest's mistake must not end the node
            answer = {"error": f"{type(error).__name__}: {error}"}
        guest.socket.settimeout(1.0)
        try:
            guest.socket.sendall(json.dumps(answer).encode())
        except OSError:
            pass  # it does not want to know any more
        guest.socket.close()

    def _answer(self, what: Any, request: dict[str, Any]) -> dict[str, Any]:
        cluster = self._node.cluster
        match what:
            case "status":
                return self._node.drivers.status()
            case "add_node":
                return cluster.add(request)
            case "remove_node":
                return cluster.remove(request)
            case _:
                return {"error": f"unknown: {what!r}"}

    def close(self) -> None:
        """Stops listening and removes the folder; who waits for the end sees it now."""
        for guest in list(self._guests.values()):
            self._dismiss(guest)
        self._listener.close()
        session_folder.remove(self.path)
        session_folder.unlock(self._lock)
        for sock in self._leaving:
            sock.close()


def _is_driver(request: dict[str, Any]) -> bool:
    """Whether this is what a driver says of itself."""
    return (
        request.keys() == DRIVER.keys()
        and all(isinstance(request[name], kind) for name, kind in DRIVER.items())
        and list(map(type, request["environment"] or ("", {}))) == [str, dict]
    )


def knock(path: str, what: str, **request: Any) -> socket.socket:
    """Connects to the node whose folder ``path`` is and says what is wanted.

    Raises:
        ConnectionError: no node of this user listens there.
    """
    text = json.dumps({"what": what, **request}).encode()
    return session_folder.connect(path, len(text).to_bytes(SIZE_BYTES, "big") + text)


def ask(path: str, what: str, **request: Any) -> Any:
    """The node's answer to a question.

    Raises:
        ConnectionError: it gives none.
    """
    with knock(path, what, **request) as sock, sock.makefile("rb") as answer:
        text = answer.read()
    if not text:
        raise ConnectionError("The node closed the connection instead of answering.")
    return json.loads(text)


def wait_for_end(path: str) -> None:
    """Returns when the node whose folder ``path`` is has ended.

    Raises:
        ConnectionError: no node of this user listens there.
    """
    with session_folder.connect(path) as sock:
        _wait(platform.peer_credentials(sock).pid, None)


def end_node_at(path: str, seconds: float, force: bool) -> bool:
    """Tells a node to end; kills it after ``seconds`` if ``force`` is given.  Has it ended?

    Raises:
        ConnectionError: no node of this user listens there.
    """
    with knock(path, "stop") as sock:
        pid = platform.peer_credentials(sock).pid
        if _wait(pid, seconds):
            return True
        if not force:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        session_folder.remove(path)
        return _wait(pid, seconds)


def _wait(pid: int, seconds: float | None) -> bool:
    try:
        descriptor = platform.open_process(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
