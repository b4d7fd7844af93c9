"""What the tests of attacks share: who listens, who is somebody else, how large the node is."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from leak_check import descendants
from paralab import platform
from paralab.process import session_folder
from paralab.process.door import ask
from paralab.process.session import start_node_alone

NOBODY = 65534
_ACCEPTS = 1 << 16
"""A flag in /proc/net/unix: it listens."""


@contextlib.contextmanager
def lone_node() -> Iterator[str]:
    """The folder of a node that stands alone, with its log in it; it is killed at the end."""
    from paralab.process.door import end_node_at

    folder = start_node_alone(num_cpus=2, object_store_memory=64 << 20)
    try:
        yield folder
    finally:
        with contextlib.suppress(ConnectionError):  # the test has ended it
            end_node_at(folder, 10.0, force=True)


def token_of(folder: str) -> bytes:
    """The node's token, as its user can read it."""
    return Path(folder, "token").read_bytes()


def log_of(folder: str) -> str:
    """What the node has said so far."""
    return Path(folder, session_folder.LOG).read_text()


def knocking(folder: str) -> socket.socket:
    """A connection to the door that has said nothing yet."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        with platform.short_path(folder) as short:
            sock.connect(short + "/socket")  # waits while many others knock
    except OSError:
        sock.close()
        raise
    sock.settimeout(20)
    return sock


def answer_to(folder: str, said: bytes, whole: bool = True) -> bytes:
    """What the door answers; empty if it closes the connection."""
    with knocking(folder) as sock:
        answer = b""
        try:
            sock.sendall(said)
            if whole:
                sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(1 << 16):
                answer += data
        except (ConnectionResetError, BrokenPipeError):
            pass  # dismissed before it was heard to the end
        return answer


def memory_of(pid: int) -> int:
    """Bytes of its own that a process has in memory.

    Those of files do not count: they are private, too, once no other process maps the same ones.
    """
    found = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(map(int, re.findall(r"^Anonymous: +(\d+) kB", found, re.MULTILINE)))


def node_pid(folder: str) -> int:
    """The process of a node."""
    return int(ask(folder, "status")["pid"])


def sockets_of(pids: set[int]) -> set[int]:
    """Inodes of the sockets that these processes have open."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    target = os.readlink(descriptor)
                    if target.startswith("socket:["):
                        found.add(int(target[8:-1]))
    return found


def named_sockets(pids: set[int]) -> tuple[list[str], list[str]]:
    """How these processes can be reached: addresses of the network, paths of Unix sockets."""
    inodes = sockets_of(pids)
    network, paths = [], []
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "udplite", "icmp", "packet"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                words = line.split()
                if int(words[-1 if table == "packet" else 9]) in inodes:
                    network.append(f"{table} {words[1]}")
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[6]) in inodes and int(words[3], 16) & _ACCEPTS:
            paths.append(words[7] if len(words) > 7 else f"unnamed, inode {words[6]}")
    return network, paths


def ours_and_below() -> set[int]:
    """This process and all that it has started."""
    return descendants(os.getpid()) | {os.getpid()}


def as_somebody_else(do: Callable[[], str], first: Callable[[], None] = lambda: None) -> str:
    """What ``do`` returns, or the name of what it raises, in a child that another user owns.

    ``first`` is done before the child gives up its rights.  Needs root.
    """
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        pid = os.fork()
    if not pid:
        said = "nothing"
        try:
            first()
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            said = do()
        except BaseException as error:
            said = type(error).__name__
        finally:
            os.write(write_end, said.encode())
            os._exit(0)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(pid, 0)
    return answer


@contextlib.contextmanager
def open_temporary_folder() -> Iterator[Path]:
    """The folder for temporary files as /tmp is: whoever knows a name in it may go there."""
    folder = Path(tempfile.gettempdir())
    mode = folder.stat().st_mode & 0o7777
    folder.chmod(0o1777)
    try:
        yield folder
    finally:
        folder.chmod(mode)
