"""Where a running node can be found: a folder that only its user can enter.

::

    <temporary folder>/paralab-<uid>-<pid>-<random>/     0700
        socket      the node listens here
        token       32 random bytes; whoever can read them may connect
        started     there if the node stands on its own, and no driver's end is its end
        node.log    what such a node has to say

Who connects checks that the folder and the process behind the socket are the same user's, and
sends the token first; the node looks at nothing else before it has seen that.

The folder goes with its node.  One that a killed node has left is removed by its zygote or its
driver; one that a power cut has left, by the next start.  Whether a folder is left over is told by
a lock on it, which the kernel takes back from a dead process; its pid may be another's by then.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator

from paralab import platform

SCHEME = "unix:"
"""How the address of a node of this machine begins; its folder follows."""
TOKEN_SIZE = 32
STALE_SECONDS = 60.0
"""Where there are no locks, only a folder that is older than this is swept."""
NO_LOCKS = -1
"""In place of a lock's descriptor where the file system has none."""
_SOCKET, _TOKEN, _STARTED = "socket", "token", "started"
LOG = "node.log"


def create(*, stands_alone: bool) -> tuple[str, bytes, socket.socket, int]:
    """Makes this process's folder and listens there; returns path, token, socket and lock.

    Raises:
        OSError: the temporary folder cannot be written.
    """
    path, lock = "", None
    while lock is None:  # a sweep may have taken the new folder for one that is left over
        path = os.path.join(
            _temporary_folder(), f"{_prefix()}{os.getpid()}-{int.from_bytes(os.urandom(4)):08x}"
        )
        os.mkdir(path, 0o700)
        lock = _locked(path)
    token = os.urandom(TOKEN_SIZE)
    descriptor = os.open(os.path.join(path, _TOKEN), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(token)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    with platform.short_path(path) as short:
        listener.bind(os.path.join(short, _SOCKET))
    os.chmod(os.path.join(path, _SOCKET), 0o600)
    listener.listen(64)
    if stands_alone:
        open(os.path.join(path, _STARTED), "x").close()
    return path, token, listener, lock


def remove(path: str) -> None:
    """Removes a node's folder; it may be gone already.

    As :func:`shutil.rmtree`, which must not be imported where this runs: at the end of processes
    that are in a hurry, and in a signal's handler.
    """
    with contextlib.suppress(OSError):
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    remove(entry.path)
                else:
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)
        os.rmdir(path)


def remove_left(path: str, seconds: float) -> None:
    """Removes a node's folder if the node has ended, or does so within some seconds.

    A process that is killed closes its descriptors one by one, so its lock may outlive its sockets.
    """
    deadline = time.monotonic() + seconds
    while os.path.exists(path):
        lock = _locked(path)
        if lock is not None:
            if lock != NO_LOCKS or not _answers(path):
                remove(path)
            unlock(lock)
            return
        if time.monotonic() > deadline:
            return
        time.sleep(0.005)


def _answers(path: str) -> bool:
    try:
        connect(path).close()
    except ConnectionError:
        return False
    return True


def connect(path: str, request: bytes = b"") -> socket.socket:
    """A socket to the node whose folder ``path`` is; the token has been sent, and ``request``.

    Raises:
        ConnectionError: no node of this user listens there; the message says why.
    """
    _check_owner(path)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with platform.short_path(path) as short:
            connection.connect(os.path.join(short, _SOCKET))
        if platform.peer_credentials(connection).uid != os.geteuid():
            raise ConnectionError(f"The node at {SCHEME}{path} belongs to another user.")
        with open(os.path.join(path, _TOKEN), "rb") as file:
            connection.sendall(file.read(TOKEN_SIZE) + request)
    except OSError as error:
        connection.close()
        if type(error) is ConnectionError:
            raise
        raise ConnectionError(f"No node listens at {SCHEME}{path} ({error}).") from None
    return connection


def _check_owner(path: str) -> None:
    try:
        found = os.lstat(path)
    except (OSError, ValueError) as error:  # a path with a zero byte
        raise ConnectionError(f"No node listens at {SCHEME}{path} ({error}).") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ConnectionError(
            f"{path} is not a folder that this user alone can enter, so no node of theirs made it."
        )


def running(*, on_their_own: bool) -> list[str]:
    """Folders of this user's running nodes, the newest first; sweeps those that are left over.

    Args:
        on_their_own: only nodes that outlive drivers.
    """
    found = []
    for path, made in _folders():
        try:
            connect(path).close()
        except ConnectionError:
            _sweep(path, made)
            continue
        if not on_their_own or os.path.exists(os.path.join(path, _STARTED)):
            found.append((made, path))
    return [path for _made, path in sorted(found, reverse=True)]


def _sweep(path: str, made: float) -> None:
    """Removes a folder in which nobody listens, unless its node is just beginning, or ending."""
    lock = _locked(path)
    if lock is not None:
        if lock != NO_LOCKS or time.time() - made > STALE_SECONDS:
            remove(path)
        unlock(lock)


def _locked(path: str) -> int | None:
    """A descriptor that holds the lock of a folder; None if another holds it or it is gone."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(folder).st_nlink:
            return folder
    except BlockingIOError:
        pass
    except OSError:
        os.close(folder)
        return NO_LOCKS
    os.close(folder)
    return None


def unlock(lock: int) -> None:
    """Gives a lock back."""
    if lock != NO_LOCKS:
        os.close(lock)


def _folders() -> Iterator[tuple[str, float]]:
    prefix = _prefix()
    with contextlib.suppress(OSError), os.scandir(_temporary_folder()) as entries:
        for entry in entries:
            if entry.name.startswith(prefix):
                with contextlib.suppress(OSError):
                    _check_owner(entry.path)
                    yield entry.path, entry.stat(follow_symlinks=False).st_mtime


def _temporary_folder() -> str:
    """As :func:`tempfile.gettempdir`, whose import takes longer than the start can spare."""
    for name in ("TMPDIR", "TEMP", "TMP"):
        folder = os.environ.get(name)
        if folder and os.path.isdir(folder):
            return os.path.abspath(folder)
    return "/tmp"  # noqa: S108 — what is made there, only its user can enter


def _prefix() -> str:
    return f"paralab-{os.geteuid()}-"
