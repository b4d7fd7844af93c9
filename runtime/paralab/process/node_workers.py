"""The node's worker processes: starting them, watching them, and noticing how they end."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import deque
from typing import TYPE_CHECKING

from paralab import platform
from paralab.ids import Address, job_of
from paralab.process.zygote import REQUEST
from paralab.state.jobs import Job
from paralab.state.obituaries import ended, told
from paralab.transport.connection import Connection

if TYPE_CHECKING:
    from paralab.process.node import Node

STDERR_LINES = 20
"""Last lines of a worker's error output that are told when it dies."""
PIPE_READ = 1 << 16


class Process:
    """A client of the node: the driver or a worker."""

    __slots__ = (
        "address",
        "connection",
        "environment",
        "last_lines",
        "node",
        "number",
        "partial",
        "peers",
        "pid",
        "pidfd",
        "pipes",
        "started",
    )

    def __init__(
        self,
        address: Address,
        number: int,
        connection: Connection,
        environment: str,
        node: int,
    ) -> None:
        self.address = address
        self.number = number
        self.connection = connection
        self.environment = environment
        self.node = node
        """The number of its virtual node."""
        self.pid = 0
        self.started = time.time_ns()
        self.pidfd = -1
        self.peers: set[Address] = set()
        """Processes it has a socket to."""
        self.pipes: list[int] = []
        self.partial: dict[int, bytes] = {}
        self.last_lines: deque[str] = deque(maxlen=STDERR_LINES)


class WorkerPool:
    """Starts workers and tells the node when one has ended.

    There are two ways to start one.  The zygote forks it, in milliseconds.  Where its environment
    has packages of its own, or variables that are read early, it is a fresh interpreter (some
    0.1 s), because what was imported before the fork has found and read them already.
    """

    def __init__(self, node: Node, zygote: socket.socket, zygote_pid: int) -> None:
        self._node = node
        self._zygote = zygote
        self.zygote_pid = zygote_pid
        self._starting: dict[Address, Process] = {}
        """From the request to READY."""
        self._sweep = False
        node.watch(zygote.fileno(), self._zygote_ended)
        self.tell_folder()

    def tell_folder(self) -> None:
        """Tells the zygote what to remove if the node is killed."""
        try:
            self._zygote.sendall(os.fsencode(self._node.drivers.door.path))
        except OSError:
            pass  # it is gone: its replacement is told

    def start_worker(self, job: Job, environment: str, node: int = 0) -> None:
        """Starts one more worker, by the zygote or as a fresh interpreter."""
        mine, theirs = socket.socketpair()
        out, out_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        err, err_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for fd in (out_end, err_end):
            os.set_blocking(fd, True)
        pid, ends = 0, [theirs.fileno(), out_end, err_end]
        if environment:
            pid = self._node.environments.start_worker(environment, *ends)
        if not pid:
            try:
                socket.send_fds(self._zygote, [REQUEST], ends)
            except OSError:
                pass  # the zygote is gone: its replacement is asked again
        for fd in (out_end, err_end):
            os.close(fd)
        theirs.close()
        process = self._node.add_process(mine, job, environment, node)
        self._starting[process.address] = process
        process.pipes = [out, err]
        for fd, stream in ((out, "stdout"), (err, "stderr")):
            self._node.watch(fd, self._reader(process, fd, stream))
        if pid:
            self.watch_end(process, pid)

    def has_begun(self, address: Address) -> bool:
        """Whether a process has said that it can take work, as all drivers can."""
        return address not in self._starting

    def watch_end(self, process: Process, pid: int) -> bool:
        """Has the end of a process noticed; False if it has ended already."""
        if process.pidfd >= 0:
            return True
        process.pid = pid
        try:
            process.pidfd = platform.open_process(pid)
        except ProcessLookupError:
            self._ended(process)
            return False
        self._node.watch(process.pidfd, lambda _event: self._ended(process))
        return True

    def ready(self, process: Process, pid: int) -> None:
        """A worker says that it can take work."""
        if not self.watch_end(process, pid):
            return
        if self._node.cluster.is_gone(process):  # it was removed meanwhile
            self._signal(pid)
            return
        self._starting.pop(process.address, None)
        now = time.monotonic_ns()
        kind = (process.environment, process.node)
        self._node.leases.worker_ready(process.address, now, *kind)
        self._node.undecided = True
        if self._sweep and not self._starting:
            self._end_orphans()

    def lost_connection(self, process: Process) -> None:
        """A worker's socket is closed: its pidfd tells the end, unless it never had one."""
        if process.pidfd < 0:
            self._read_rest(process)
            self._start_failed(process)
            self._close(process)
            self._node.process_died(process, "It ended before it could take work.")
        else:
            self._signal(process.pid)

    def _start_failed(self, process: Process) -> None:
        if self._starting.pop(process.address, None) is not None:
            leases, environment = self._node.leases, process.environment
            leases.starting.end(job_of(process.address), environment, process.node)
            if leases.environments.start_failed(environment):
                self._node.environments.give_up(process)

    def kill(self, address: Address) -> None:
        """Ends a worker at once."""
        process = self._node.clients.get(address)
        if process is not None and process.pid:
            self._signal(process.pid)

    def end_running(self, owner: Address, address: Address, key: int) -> None:
        """Kills a worker, if what it began last is the task ``key`` of ``owner``.

        It is stopped first, so that it cannot begin another one after we have looked.
        """
        process = self._node.clients.get(address)
        if process is None or not process.pid:
            return
        try:
            os.kill(process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            begun = self._node.board.begun(address, owner)
            os.kill(process.pid, signal.SIGKILL if begun == key else signal.SIGCONT)
        except (ProcessLookupError, ChildProcessError):
            pass

    @staticmethod
    def _signal(pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def _ended(self, process: Process) -> None:
        end = _wait(process.pid)
        self._node.read_last(process)
        self._read_rest(process)
        last = self._node.board.take_words(process.address).splitlines() + list(process.last_lines)
        how = ended(f"The worker process {process.pid}", end, last[-STDERR_LINES:])
        if short := self._node.memory.why(process.address):
            how = told(how, f"It {short}")
        how = self._node.cluster.death_of(process) or self._node.groups.death_of(process) or how
        self._start_failed(process)
        self._close(process)
        self._node.process_died(process, how)
        self.sweep()

    def sweep(self) -> None:
        """Ends what has been left to us, once it is known which of our children are workers."""
        if self._starting:
            self._sweep = True
        else:
            self._end_orphans()

    def _read_rest(self, process: Process) -> None:
        """What is left in the pipes of a process that has ended; a pipe holds 64 kB."""
        for fd, stream in zip(process.pipes, ("stdout", "stderr"), strict=True):
            self._read(process, fd, stream)
            if process.partial.get(fd):
                self._show(process, fd, stream, b"\n")

    def _close(self, process: Process) -> None:
        for fd in process.pipes:
            self._node.unwatch(fd)
            os.close(fd)
        process.pipes = []
        if process.pidfd >= 0:
            self._node.unwatch(process.pidfd)
            os.close(process.pidfd)
            process.pidfd = -1

    def _end_orphans(self) -> None:
        """Ends what dead workers have started and left to us."""
        self._sweep = False
        known = {process.pid for process in self._node.clients.values()}
        known |= {self.zygote_pid, *self._node.helpers}
        for pid in _children():
            if pid not in known:
                self._signal(pid)
                _wait(pid)

    # -- what they write ---------------------------------------------------------------------

    def _reader(self, process: Process, fd: int, stream: str):  # type: ignore[no-untyped-def]
        return lambda _event: self._read(process, fd, stream)

    def _read(self, process: Process, fd: int, stream: str) -> None:
        try:
            data = os.read(fd, PIPE_READ)
        except BlockingIOError:
            return
        if not data:
            self._node.unwatch(fd)
            data = b"\n" if process.partial.get(fd) else b""
        self._show(process, fd, stream, data)

    def _show(self, process: Process, fd: int, stream: str, data: bytes) -> None:
        """Sends whole lines to the driver, and pieces of lines that grow too long."""
        data = process.partial.pop(fd, b"") + data
        end = data.rfind(b"\n") + 1
        if not end and len(data) > PIPE_READ:
            end = len(data)
        if end < len(data):
            process.partial[fd] = data[end:]
        if end:
            text = data[:end].decode("utf-8", "backslashreplace")
            if stream == "stderr":
                process.last_lines.extend(text.splitlines())
            actor = self._node.directory.by_worker.get(process.address)
            name = actor.name if actor is not None else ""
            self._node.drivers.show(process, name, process.pid, stream, text)

    # -- the zygote, the end -----------------------------------------------------------------

    def _zygote_ended(self, _event: int) -> None:
        """Replaces a dead zygote and asks the new one for the workers that were on their way."""
        node = self._node
        node.unwatch(self._zygote.fileno())
        self._zygote.close()
        _wait(self.zygote_pid)
        from paralab.process.session import spawn_zygote

        self._zygote, self.zygote_pid = spawn_zygote()
        node.watch(self._zygote.fileno(), self._zygote_ended)
        self.tell_folder()

    def end_all(self) -> None:
        """Kills every process of this node and waits for them."""
        self._node.unwatch(self._zygote.fileno())
        self._zygote.close()
        while pids := _children():
            for pid in pids:
                self._signal(pid)
            for pid in pids:
                _wait(pid)
        for process in self._node.clients.values():
            if process.pipes:
                self._read_rest(process)


def _children() -> list[int]:
    """Pids of this process's children, zombies included."""
    pids: list[int] = []
    for thread in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/children") as file:
                pids += map(int, file.read().split())
        except OSError:
            continue
    return pids


def _wait(pid: int) -> str:
    """Waits for a child and says how it ended."""
    try:
        _pid, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return "ended"
    return platform.how_it_ended(os.waitstatus_to_exitcode(status))
