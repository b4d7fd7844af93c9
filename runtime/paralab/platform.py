"""Every call that depends on the operating system, in one file.

What Python's standard library offers everywhere is used as it is and does not stand here.
A call that a system lacks raises :class:`UnsupportedPlatformError`, which names the call and
what for; it never does half of it.  Only two calls have a second way, and both can be tried on
Linux: nameless memory (memfd, or a named segment unlinked at once) and the bell (eventfd, or
a pipe).  Limits of memory and CPUs are read in ``paralab.limits``.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2
_MADV_POPULATE_READ = 22  # Linux 5.14
_MAP_FIXED = 16
_SHORT = 80  # bytes of a path to which a socket's name can be added
_F_ADD_SEALS = 1033
_F_SEAL_SEAL, _F_SEAL_SHRINK, _F_SEAL_GROW = 1, 2, 4


class UnsupportedPlatformError(OSError):
    """This system lacks a call that paralab needs."""

    def __init__(self, call: str, purpose: str) -> None:
        self._made_of = call, purpose
        super().__init__(
            errno.ENOSYS, f"{sys.platform} has no {call}, which paralab needs to {purpose}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _native(call: str, purpose: str, *argtypes: Any) -> Callable[..., int]:
    """The C library's function ``call``, with the GIL released and errors raised."""
    try:
        function = getattr(_libc(), call)
    except AttributeError:
        raise UnsupportedPlatformError(call, purpose) from None
    function.argtypes = argtypes
    function.restype = ctypes.c_int

    def checked(*args: Any) -> int:
        result: int = function(*args)
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{call}: {os.strerror(number)}")
        return result

    return checked


def _in_os(call: str, purpose: str) -> Any:
    try:
        return getattr(os, call)
    except AttributeError:
        raise UnsupportedPlatformError(call, purpose) from None


# -- memory -------------------------------------------------------------------------------


def nameless_memory(size: int, label: str = "paralab") -> int:
    """Makes shared memory that no folder lists, so nothing can stay behind.

    Args:
        size: bytes; pages come when they are first written.
        label: shown in ``/proc/<pid>/maps`` where the system can.

    Returns:
        A descriptor, not inherited by other programs.  The memory lives as long as a
        descriptor or a mapping of it, and cannot be resized where the system can seal it.
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create(label, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        fd = _unlinked_segment()
    try:
        os.ftruncate(fd, size)
        if hasattr(os, "memfd_create"):
            fcntl.fcntl(fd, _F_ADD_SEALS, _F_SEAL_SHRINK | _F_SEAL_GROW | _F_SEAL_SEAL)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _unlinked_segment() -> int:
    from _posixshmem import shm_open, shm_unlink  # type: ignore[import-not-found]

    name = f"/paralab-{os.urandom(8).hex()}"  # macOS allows 31 characters
    fd: int = shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
    shm_unlink(name)
    os.set_inheritable(fd, False)
    return fd


def nameless_file(folder: str) -> int:
    """A file for reading and writing that goes with its last descriptor, whatever dies.

    Raises:
        OSError: none can be made in ``folder``.
    """
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        return os.open(folder, flags | _in_os("O_TMPFILE", "make a nameless file"), 0o600)
    except OSError:  # that there is no such call here, too
        path = os.path.join(folder, f".paralab-spilled-{os.urandom(8).hex()}")
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink(path)
        return fd


def allocate_pages(fd: int, offset: int, length: int) -> None:
    """Has the system find pages for a range now instead of at their first use.

    Raises:
        OSError: there is no memory left (ENOSPC, ENOMEM).
    """
    _in_os("posix_fallocate", "have memory pages ready")(fd, offset, length)


def drop_pages(fd: int, offset: int, length: int) -> None:
    """Gives the whole pages of a range back to the system; they read as zeros afterwards."""
    numbers = (ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong)
    fallocate = _native("fallocate", "give memory back", *numbers)
    fallocate(fd, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, offset, length)


def map_pages(address: int, length: int) -> bool:
    """Enters a mapped range into this process's page table at once, not fault by fault.

    Args:
        address: of the first byte, on a page.
        length: bytes.

    Returns:
        False where the system cannot (Linux before 5.14); the first accesses then do it.

    Raises:
        OSError: the pages cannot be had (ENOMEM, EFAULT); touching them would kill us.
    """
    try:
        madvise = _native("madvise", "map pages", ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        madvise(address, length, _MADV_POPULATE_READ)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS):
            return False
        raise
    return True


def map_over(address: int, size: int, fd: int, offset: int) -> None:
    """Puts a private, writable mapping of a file's bytes over another one; may raise OSError."""
    call, c_int = _libc().mmap, ctypes.c_int
    call.restype = ctypes.c_void_p
    call.argtypes = ctypes.c_void_p, ctypes.c_size_t, c_int, c_int, c_int, ctypes.c_long
    flags = mmap.MAP_PRIVATE | _MAP_FIXED
    if call(address, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, fd, offset) != address:
        raise OSError(ctypes.get_errno(), "mmap: no private mapping")


# -- processes ----------------------------------------------------------------------------


def open_process(pid: int) -> int:
    """A descriptor that becomes readable when the process ends, and never means another."""
    fd: int = _in_os("pidfd_open", "notice the death of processes")(pid)
    return fd


def how_it_ended(code: int) -> str:
    """What an exit code says, those below zero being signals, as in ``subprocess``."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # some real-time signals have none
        name = "unknown"
    return f"was killed by signal {-code} ({name})"


def _prctl(option: int, argument: Any, purpose: str) -> None:
    # c_void_p takes numbers and bytes; the C function is one object, with one signature.
    _native("prctl", purpose, ctypes.c_int, ctypes.c_void_p)(option, argument)


def adopt_orphans() -> None:
    """Makes this process the parent of descendants whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, "clean up after workers")


def die_with_parent(parent: int, signal_number: int) -> None:
    """Has the system send this process a signal when the *thread* that forked it ends.

    Args:
        parent: pid of the parent meant.
        signal_number: what to send.

    Raises:
        ProcessLookupError: the parent is another one already.
    """
    _prctl(_PR_SET_PDEATHSIG, signal_number, "end workers with their node")
    if os.getppid() != parent:
        raise ProcessLookupError(
            errno.ESRCH, f"process {os.getpid()} has parent {os.getppid()} instead of {parent}"
        )


def offer_to_be_killed() -> None:
    """Has the kernel, should memory run out, kill this process before others (Linux)."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass  # then they are all alike


def name_thread(name: str) -> None:
    """Names the calling thread for ``ps`` and ``top``; the main thread's name is the process's.

    At most 15 bytes are kept.
    """
    _prctl(_PR_SET_NAME, name.encode()[:15], "name processes")


def lower_thread_priority() -> None:
    """Lets all others go before the calling thread, where threads have own priorities (Linux)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def thread_times(native_id: int) -> tuple[int, int] | None:
    """How long a thread of this process was on a CPU, and how long it waited for one, in ns.

    None if it has ended, or where the system does not tell (Linux does).
    """
    try:
        with open(f"/proc/self/task/{native_id}/schedstat", "rb", buffering=0) as file:
            on_cpu, waited, _slices = file.read().split()
    except (OSError, ValueError):
        return None
    return int(on_cpu), int(waited)


class PeerCredentials(NamedTuple):
    """Who holds the other end of a Unix socket, as the kernel noted when it was connected."""

    pid: int
    uid: int
    gid: int


def peer_credentials(peer: socket.socket) -> PeerCredentials:
    """Who connected to, or made, the other end of ``peer``."""
    if not hasattr(socket, "SO_PEERCRED"):
        raise UnsupportedPlatformError("SO_PEERCRED", "check who connects")
    layout = struct.Struct("3i")
    data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size)
    return PeerCredentials(*layout.unpack(data))


@contextmanager
def short_path(folder: str) -> Iterator[str]:
    """A path of ``folder`` that leaves room for the name of a socket, whatever its own length.

    The address of a socket holds 107 bytes; the temporary folder of a user may be longer.
    """
    if len(os.fsencode(folder)) < _SHORT:
        yield folder
        return
    if not os.path.isdir("/proc/self/fd"):
        raise UnsupportedPlatformError("/proc/self/fd", "name a socket in so long a path")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def raise_descriptor_limit(wanted: int | None = None) -> int:
    """Raises the limit of open descriptors towards the hard limit; never lowers it.

    Args:
        wanted: a number to stop at, None for all that is allowed.

    Returns:
        The limit that holds now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    goal = hard if wanted is None else _lower(wanted, hard)
    if soft != resource.RLIM_INFINITY and (goal == resource.RLIM_INFINITY or goal > soft):
        resource.setrlimit(resource.RLIMIT_NOFILE, (goal, hard))
        soft = goal
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _lower(wanted: int, hard: int) -> int:
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


# -- waking -------------------------------------------------------------------------------


class Bell:
    """Wakes a thread that waits in ``select``: one descriptor to watch, one to ring.

    Ringing takes no lock and never blocks, so finalisers and signal handlers may do it.
    """

    __slots__ = ("_ring_fd", "fd")

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):
            self.fd = self._ring_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        else:
            self.fd, self._ring_fd = os.pipe()
            os.set_blocking(self.fd, False)
            os.set_blocking(self._ring_fd, False)

    def ring(self) -> None:
        """Makes ``fd`` readable."""
        try:
            os.write(self._ring_fd, _ONE)
        except BlockingIOError:
            pass  # it has been rung so often that it will be heard

    def silence(self) -> None:
        """Takes back all rings so far."""
        try:
            os.read(self.fd, 1 << 16)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Closes the descriptors; may be called twice."""
        fds, self.fd, self._ring_fd = {self.fd, self._ring_fd}, -1, -1
        for fd in fds - {-1}:
            os.close(fd)


_ONE = (1).to_bytes(8, sys.byteorder)  # the only thing that an eventfd takes; a pipe takes any


# -- threads of numeric libraries ---------------------------------------------------------


_BLAS_SETTERS = {
    "openblas": (
        "scipy_openblas_set_num_threads64_",
        "scipy_openblas_set_num_threads",
        "openblas_set_num_threads64_",
        "openblas_set_num_threads",
    ),
    "mkl_rt": ("MKL_Set_Num_Threads",),
    "libblis": ("bli_thread_set_num_threads",),
    "libgomp": ("omp_set_num_threads",),
    "libiomp": ("omp_set_num_threads",),
    "libomp": ("omp_set_num_threads",),
}


class NumericThreads:
    """Sets how many threads the numeric libraries of this process use.

    Environment variables have no effect once a library is loaded, which after a fork it is.
    Libraries are looked for once, and again only by :meth:`find`: the search reads the list
    of mapped files (about 0.3 ms), setting is one call to each (microseconds).
    """

    def __init__(self) -> None:
        self._setters: dict[str, Callable[[int], None]] = {}
        self.find()

    @property
    def libraries(self) -> list[str]:
        """Paths of the libraries found."""
        return sorted(self._setters)

    def find(self) -> None:
        """Looks for libraries that were loaded since."""
        for path in _mapped_files():
            if path not in self._setters and (setter := _blas_setter(path)):
                self._setters[path] = setter

    def set(self, count: int) -> None:
        """Lets each library use ``count`` threads.

        BLAS libraries take it for the whole process, OpenMP for what the calling thread calls.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        for setter in self._setters.values():
            setter(count)


def _mapped_files() -> Iterable[str]:
    try:
        with open("/proc/self/maps", errors="replace") as maps:
            lines = maps.read().splitlines()
    except OSError:
        raise UnsupportedPlatformError("/proc/self/maps", "find numeric libraries") from None
    return {line[line.index("/") :] for line in lines if "/" in line}


def _blas_setter(path: str) -> Callable[[int], None] | None:
    name = os.path.basename(path)
    if ".so" not in name:
        return None
    for part, symbols in _BLAS_SETTERS.items():
        if part in name:
            try:
                library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD)
            except OSError:
                return None  # deleted, or unloaded meanwhile
            for symbol in symbols:
                setter = getattr(library, symbol, None)
                if setter is not None:
                    setter.argtypes, setter.restype = (ctypes.c_int,), None
                    found: Callable[[int], None] = setter
                    return found
    return None
