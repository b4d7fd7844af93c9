"""What an imagined process gets from its system: sockets, pipes, epoll, eventfd, pidfds, memory.

Only what the runtime uses, with the behaviour that it can see: a stream keeps its order, may take
and give less than it was asked to, and carries descriptors in front of the bytes they came with;
what a process has sent before its death arrives, and then the end.  ``test_kernel.py`` holds these
to the same tests as the real ones.
"""

from __future__ import annotations

import array
import mmap
import select
import socket
from collections import deque
from typing import Any

from sim.world import Process, Thread, World

LOOK_AGAIN_NS = 20_000
"""How often a blocking read looks."""
IN, OUT, ERR, HUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR, select.EPOLLHUP


class File:
    """What a descriptor stands for; closed with the last one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.descriptors = 0
        self.polls: list[Poll] = []
        self.since = 0
        """When it became ready last."""

    def mask(self) -> int:
        """What it is ready for."""
        return 0

    def changed(self) -> None:
        """It may have become ready."""
        self.since = self.world.now
        for poll in self.polls:
            poll.hot[self] = None
            if poll.waiter is not None:
                self.world.wake(poll.waiter)
            if poll.face is not None:
                poll.face.changed()

    def closed(self) -> None:
        """The last descriptor is gone."""


class Descriptor:
    """One entry of a process's table."""

    def __init__(self, file: File, process: Process) -> None:
        world = file.world
        world.fds += 1
        self.fd = world.fds
        self.file = file
        self.process = process
        file.descriptors += 1
        process.files[self.fd] = self

    def close(self) -> None:
        self.process.files.pop(self.fd, None)
        for poll in list(self.file.polls):  # closing a descriptor takes it out
            if poll.fd_of(self.file) == self.fd:
                poll.unregister(self.fd)
        self.file.descriptors -= 1
        if not self.file.descriptors:
            self.file.closed()


class Flow:
    """One direction of a stream."""

    def __init__(self, world: World, room: int) -> None:
        self.world = world
        self.room = room
        self.arrived: deque[tuple[Any, list[File]]] = deque()
        self.on_way = 0
        """Bytes sent and not read."""
        self.last = 0
        """When what was sent last arrives."""
        self.reader: End | None = None
        self.writer: End | None = None
        self.ended = False
        self.lost = False
        """Nobody will read."""
        self._pending = 0

    def send(self, data: bytes, files: list[File]) -> int:
        if self.lost:
            raise BrokenPipeError(32, "Broken pipe")
        free = self.room - self.on_way
        if free <= 0:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        part = data[:free] if len(data) > free else data
        size = len(part)
        self.on_way += size
        for file in files:
            file.descriptors += 1
        self._later(self._arrive, part, files)
        return size

    def end(self) -> None:
        self._later(self._end)

    def _later(self, action: Any, *args: Any) -> None:
        world = self.world
        delay = world.bits(20) % world.max_delay if world.slow or not world.bits(2) else 0
        when = self.last = max(self.last, world.now + delay)
        if when == world.now and not self._pending:
            action(*args)
        else:
            self._pending += 1
            world.later(when - world.now, self._now, action, *args)

    def _now(self, action: Any, *args: Any) -> None:
        self._pending -= 1
        action(*args)

    def _arrive(self, data: bytes, files: list[File]) -> None:
        if self.lost:
            self._drop(files)
            return
        self.arrived.append((memoryview(data), files))
        if self.reader is not None:
            self.reader.changed()

    def _end(self) -> None:
        self.ended = True
        if self.reader is not None:
            self.reader.changed()

    def receive(self, size: int, process: Process | None) -> tuple[bytes, list[int]]:
        """What has arrived; descriptors where ``process`` is given, else they are lost."""
        arrived = self.arrived
        if not arrived:
            if self.ended:
                return b"", []
            raise BlockingIOError(11, "Resource temporarily unavailable")
        parts: list[Any] = []
        fds: list[int] = []
        while arrived and size:
            data, files = arrived[0]
            part = data[:size]
            parts.append(part)
            size -= len(part)
            if len(part) == len(data):
                arrived.popleft()
            else:
                arrived[0] = (data[len(part) :], [])
            if files:
                if process is not None:
                    fds = [Descriptor(file, process).fd for file in files]
                self._drop(files)
                break
        got = parts[0].tobytes() if len(parts) == 1 else b"".join(parts)
        was_full = self.on_way >= self.room
        self.on_way -= len(got)
        if was_full and self.writer is not None:
            self.writer.changed()
        return got, fds

    def lose(self) -> None:
        self.lost = True
        while self.arrived:
            self._drop(self.arrived.popleft()[1])
        if self.writer is not None:
            self.writer.changed()

    @staticmethod
    def _drop(files: list[File]) -> None:
        for file in files:
            file.descriptors -= 1
            if not file.descriptors:
                file.closed()


class End(File):
    """One end of a stream."""

    def __init__(self, world: World, incoming: Flow, outgoing: Flow) -> None:
        super().__init__(world)
        self.incoming = incoming
        self.outgoing = outgoing
        incoming.reader = self
        outgoing.writer = self

    def mask(self) -> int:
        ready = 0
        incoming, outgoing = self.incoming, self.outgoing
        if incoming.arrived:
            ready |= IN
        elif incoming.ended:
            ready |= IN | HUP if outgoing.lost else IN
        if outgoing.lost or outgoing.on_way < outgoing.room:
            ready |= OUT
        return ready

    def closed(self) -> None:
        self.outgoing.end()
        self.incoming.lose()


def stream(world: World) -> tuple[End, End]:
    """Both ends of a new stream."""
    room = 400 if world.bits(4) == 0 else 1 << 18
    there, back = Flow(world, room), Flow(world, room)
    return End(world, back, there), End(world, there, back)


class Socket:
    """What ``socket.socket`` makes of an end."""

    def __init__(self, world: World, end: End, fd: int) -> None:
        self._world = world
        self._end = end
        self._fd = fd
        self._blocks = True

    def setblocking(self, flag: bool) -> None:
        self._blocks = flag

    def settimeout(self, timeout: float | None) -> None:
        self._blocks = timeout != 0

    def setsockopt(self, *_option: int) -> None:
        pass

    def fileno(self) -> int:
        return self._fd

    def send(self, data: Any, _flags: int = 0) -> int:
        self._check()
        return self._end.outgoing.send(bytes(data), [])

    def sendall(self, data: Any) -> None:
        self._check()
        data = bytes(data)
        while data:
            data = data[self._end.outgoing.send(data, []) :]

    def sendmsg(self, parts: Any, rights: Any = ()) -> int:
        self._check()
        files = []
        table = self._world.current.process.files
        for _level, _kind, packed in rights:
            files += [table[fd].file for fd in packed]
        return self._end.outgoing.send(b"".join(parts), files)

    def recv(self, size: int, flags: int = 0) -> bytes:
        self._check()
        while self._blocks and not self._end.mask() & IN:
            self._world.sleep(LOOK_AGAIN_NS)
        if flags:  # to look only
            incoming = self._end.incoming
            if incoming.arrived:
                return bytes(incoming.arrived[0][0][:size])
            if incoming.ended:
                return b""
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return self._end.incoming.receive(self._part(size), None)[0]

    def recvmsg(self, size: int, _space: int = 0, _flags: int = 0) -> tuple[bytes, Any, int, None]:
        self._check()
        process = self._world.current.process
        data, fds = self._end.incoming.receive(self._part(size), process)
        rights = []
        if fds:
            packed = array.array("i", fds).tobytes()
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)]
        return data, rights, 0, None

    def _part(self, size: int) -> int:
        """Now and then a read gives less than there is."""
        bits = self._world.bits
        return size if bits(4) else min(size, 1 + bits(8))

    def _check(self) -> None:
        if self._fd < 0:
            raise OSError(9, "Bad file descriptor")
        self._world.check_alive()

    def detach(self) -> int:
        fd, self._fd = self._fd, -1
        return fd

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        entry = self._world.current.process.files.get(fd)
        if entry is not None:
            entry.close()


class Eventfd(File):
    """A bell."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.count = 0

    def mask(self) -> int:
        return IN | OUT if self.count else OUT

    def write(self, value: int) -> None:
        self.count += value
        self.changed()

    def read(self) -> int:
        if not self.count:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        count, self.count = self.count, 0
        return count


class Pidfd(File):
    """Readable once the process has ended."""

    def __init__(self, world: World, process: Process) -> None:
        super().__init__(world)
        self.process = process
        self.over = process.dead
        if not self.over:
            process.on_end.append(self._ended)

    def _ended(self) -> None:
        world = self.world
        # What it has sent is there before its end is known, as on a machine that is not imagined.
        ends = [each.file for each in self.process.files.values() if isinstance(each.file, End)]
        last = max([end.outgoing.last for end in ends], default=0)
        world.later(max(0, last - world.now) + world.bits(20) % world.max_delay, self._told)

    def _told(self) -> None:
        self.over = True
        self.changed()

    def mask(self) -> int:
        return IN if self.over else 0


class Memory(File):
    """Nameless memory, the same bytes for all who map it."""

    def __init__(self, world: World, size: int) -> None:
        super().__init__(world)
        self.bytes = Mapped(-1, size)


class Mapped(mmap.mmap):
    """What ``mmap.mmap`` gives; all processes have the same."""

    def close(self) -> None:
        pass


class Poll:
    """An epoll object."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._files: dict[int, tuple[File, int]] = {}
        self._fds: dict[File, int] = {}
        self.hot: dict[File, None] = {}
        """What may be ready; the others are not."""
        self.waiter: Thread | None = None
        self.closed = False
        self.face: PollFile | None = None
        """For those that poll it itself."""
        self._face_fd = -1

    def fileno(self) -> int:
        if self.face is None:
            self.face = PollFile(self._world, self)
            self._face_fd = Descriptor(self.face, self._world.current.process).fd
        return self._face_fd

    def has_some(self) -> bool:
        """Whether anything is ready."""
        return any(f.mask() & (self._files[self._fds[f]][1] | ERR | HUP) for f in self.hot)

    def register(self, fd: int, mask: int = IN | OUT) -> None:
        if fd in self._files:
            raise FileExistsError(17, "File exists")
        entry = self._world.current.process.files.get(fd)
        if entry is None:
            raise OSError(9, "Bad file descriptor")
        file = entry.file
        self._files[fd] = (file, mask)
        self._fds[file] = fd
        self.hot[file] = None
        file.polls.append(self)
        if self.face is not None:
            self.face.changed()

    def fd_of(self, file: File) -> int | None:
        return self._fds.get(file)

    def modify(self, fd: int, mask: int) -> None:
        if fd not in self._files:
            raise FileNotFoundError(2, "No such file or directory")
        file = self._files[fd][0]
        self._files[fd] = (file, mask)
        self.hot[file] = None

    def unregister(self, fd: int) -> None:
        if fd not in self._files:
            raise FileNotFoundError(2, "No such file or directory")
        file, _mask = self._files.pop(fd)
        del self._fds[file]
        self.hot.pop(file, None)
        file.polls.remove(self)

    def _ready(self) -> list[tuple[int, int]]:
        hot = self.hot
        if not hot:
            return []
        found = []
        for file in list(hot):
            fd = self._fds[file]
            ready = file.mask() & (self._files[fd][1] | ERR | HUP)
            if ready:
                found.append((file.since, fd, ready))
            if not ready or self._files[fd][1] & select.EPOLLET:  # once for each change
                del hot[file]
        if len(found) > 1:
            if self._world.slow:
                self._world.random.shuffle(found)
            else:
                found.sort()
        return [(fd, ready) for _since, fd, ready in found]

    def poll(self, timeout: float | None = None, _most: int = -1) -> list[tuple[int, int]]:
        world = self._world
        world.check_alive()
        if not world.bits(2):
            world.give_way()
        events = self._ready()
        if events:
            return events
        if timeout == 0:
            world.give_way()
            return self._ready()
        until = None if timeout is None or timeout < 0 else world.now + int(timeout * 1e9)
        self.waiter = world.current
        try:
            while not events:
                left = None if until is None else until - world.now
                if left is not None and left <= 0:
                    break
                world.sleep(left)
                events = self._ready()
        finally:
            self.waiter = None
        return events

    def close(self) -> None:
        self.closed = True
        face = self._world.current.process.files.get(self._face_fd)
        if face is not None:
            face.close()
        for file, _mask in self._files.values():
            file.polls.remove(self)
        self._files.clear()
        self._fds.clear()
        self.hot.clear()


class PollFile(File):
    """An epoll object as what is polled."""

    def __init__(self, world: World, poll: Poll) -> None:
        super().__init__(world)
        self._poll = poll

    def mask(self) -> int:
        return IN if self._poll.has_some() else 0
