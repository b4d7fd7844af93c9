"""Stand-ins for ``os``, ``socket``, ``select``, ``threading``, ``time`` in the runtime's modules.

``installed`` gives every module of the runtime that has imported one of them an object of the same
name that asks the world of the run instead.  What is not imagined is the real module's.  Nothing in
the runtime knows of this, and new modules are found by themselves.
"""

from __future__ import annotations

import asyncio
import asyncio.selector_events
import importlib
import io
import json
import logging
import mmap
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from queue import Empty
from types import ModuleType, SimpleNamespace
from typing import Any

from paralab import platform
from paralab.process import (
    executor,
    links,
    loop_lane,
    node_drivers,
    node_store,
    node_workers,
    thread_lane,
)
from paralab.runtime_env import on_node
from paralab.store.arena import Arena
from sim import asyncs, kernel
from sim.world import Process, World


class _Slot:
    world: World


def world() -> World:
    """That of the present run."""
    return _Slot.world


def enter(new: World) -> None:
    """From now on ``new`` is what the runtime runs in."""
    _Slot.world = new


class _StandIn:
    """Looks like a module; what it lacks is the real one's."""

    def __init__(self, real: ModuleType) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        setattr(self, name, value)
        return value


def _entry(fd: int) -> kernel.Descriptor:
    entry = _Slot.world.current.process.files.get(fd)
    if entry is None:
        raise OSError(9, "Bad file descriptor")
    return entry  # type: ignore[no-any-return]


class Os(_StandIn):
    """``os``."""

    def getpid(self) -> int:
        return _Slot.world.current.process.pid

    def getppid(self) -> int:
        parent = _Slot.world.current.process.parent
        return 1 if parent is None else parent.pid

    def urandom(self, size: int) -> bytes:
        return _Slot.world.random.randbytes(size)

    def close(self, fd: int) -> None:
        _entry(fd).close()

    def dup(self, fd: int) -> int:
        return kernel.Descriptor(_entry(fd).file, _Slot.world.current.process).fd

    def pipe2(self, _flags: int) -> tuple[int, int]:
        process = _Slot.world.current.process
        left, right = kernel.stream(_Slot.world)
        return kernel.Descriptor(left, process).fd, kernel.Descriptor(right, process).fd

    def set_blocking(self, _fd: int, _flag: bool) -> None:
        pass

    def read(self, fd: int, size: int) -> bytes:
        return _entry(fd).file.incoming.receive(size, None)[0]  # type: ignore[attr-defined,no-any-return]

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        _entry(fd).file.bytes[offset : offset + len(data)] = data  # type: ignore[attr-defined]
        return len(data)

    def eventfd(self, _value: int, _flags: int = 0) -> int:
        world = _Slot.world
        return kernel.Descriptor(kernel.Eventfd(world), world.current.process).fd

    @property
    def eventfd_write(self) -> Callable[[int, int], None]:
        return partial(_ring, _Slot.world.current.process)

    def eventfd_read(self, fd: int) -> int:
        return _entry(fd).file.read()  # type: ignore[attr-defined,no-any-return]

    def kill(self, pid: int, number: int) -> None:
        world = _Slot.world
        process = world.processes.get(pid)
        if process is None or process.reaped:
            raise ProcessLookupError(3, "No such process")
        world.kill(process, number)
        world.check_alive()

    killpg = kill

    def waitpid(self, pid: int, _options: int) -> tuple[int, int]:
        process = _Slot.world.processes.get(pid)
        if process is None or process.reaped:
            raise ChildProcessError(10, "No child processes")
        assert process.dead, f"{process} is waited for while it runs"
        process.reaped = True
        return pid, process.status


def _ring(process: Process, fd: int, value: int) -> None:
    entry = process.files.get(fd)
    if entry is None:
        raise OSError(9, "Bad file descriptor")
    entry.file.write(value)


class Time(_StandIn):
    """``time``."""

    def monotonic_ns(self) -> int:
        return _Slot.world.now

    def monotonic(self) -> float:
        return _Slot.world.now / 1e9

    time = monotonic
    time_ns = monotonic_ns

    def sleep(self, seconds: float) -> None:
        _Slot.world.sleep(int(seconds * 1e9))


class Select(_StandIn):
    """``select``."""

    def epoll(self) -> kernel.Poll:
        return kernel.Poll(_Slot.world)

    def select(self, _r: Any, write: list[Any], _x: Any, timeout: float) -> Any:
        _Slot.world.sleep(int(min(timeout, 0.001) * 1e9))
        return [], write, []


class Sockets(_StandIn):
    """``socket``."""

    def socket(self, *, fileno: int) -> kernel.Socket:
        entry = _entry(fileno)
        assert isinstance(entry.file, kernel.End)
        return kernel.Socket(_Slot.world, entry.file, fileno)

    def socketpair(self) -> tuple[kernel.Socket, kernel.Socket]:
        world = _Slot.world
        process = world.current.process
        left, right = (
            kernel.Socket(world, end, kernel.Descriptor(end, process).fd)
            for end in kernel.stream(world)
        )
        return left, right

    def send_fds(self, sock: Any, parts: list[bytes], fds: list[int]) -> int:
        return int(sock.ask(parts, fds))


class Queue:
    """``queue.SimpleQueue``."""

    def __init__(self) -> None:
        self._things: deque[Any] = deque()
        self._waiters: list[Any] = []

    def put(self, thing: Any) -> None:
        self._things.append(thing)
        for thread in self._waiters:
            _Slot.world.wake(thread)

    def get(self) -> Any:
        world = _Slot.world
        thread = world.current
        self._waiters.append(thread)
        try:
            while not self._things:
                world.sleep(None)
        finally:
            self._waiters.remove(thread)
        return self._things.popleft()

    def get_nowait(self) -> Any:
        if not self._things:
            raise Empty
        return self._things.popleft()


class Sys(_StandIn):
    """``sys``: what imagined workers print is no part of the story."""

    stderr = io.StringIO()


class Asyncio(_StandIn):
    """``asyncio``."""

    SelectorEventLoop = asyncs.Loop


class Lock:
    """``threading.Lock``."""

    def __init__(self) -> None:
        self._held = False
        self._waiters: list[Any] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        world = _Slot.world
        if not self._held:
            self._held = True
            return True
        if not blocking:
            return False
        until = None if timeout < 0 else world.now + int(timeout * 1e9)
        thread = world.current
        self._waiters.append(thread)
        try:
            while self._held:
                left = None if until is None else until - world.now
                if left is not None and left <= 0:
                    return False
                world.sleep(left)
        finally:
            self._waiters.remove(thread)
        self._held = True
        return True

    def release(self) -> None:
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False
        for thread in self._waiters:
            _Slot.world.wake(thread)

    def locked(self) -> bool:
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_error: object) -> None:
        self.release()


class Thread:
    """``threading.Thread``."""

    def __init__(
        self, *, target: Callable[..., Any], args: Any = (), name: str = "", daemon: bool = False
    ) -> None:
        self._target = partial(target, *args)
        self._thread: Any = None
        self.name = name
        self.daemon = daemon

    @property
    def ident(self) -> int | None:
        return None if self._thread is None else self._thread.ident

    def start(self) -> None:
        world = _Slot.world
        self._thread = world.thread(world.current.process, self.name, self._target)

    def is_alive(self) -> bool:
        return self._thread is not None and not self._thread.finished

    def join(self, timeout: float | None = None) -> None:
        world = _Slot.world
        until = world.now + int((10.0 if timeout is None else timeout) * 1e9)
        while self.is_alive() and world.now < until:
            world.sleep(100_000)


class Event:
    """``threading.Event`` that nobody sets."""

    def wait(self, timeout: float) -> bool:
        _Slot.world.sleep(int(timeout * 1e9))
        return False


class Threads(_StandIn):
    """``threading``."""

    Lock = Lock
    Thread = Thread
    Event = Event

    def get_ident(self) -> int:
        return _Slot.world.current.ident

    def main_thread(self) -> Any:
        return _Slot.world.current.process.threads[0]


class Signals(_StandIn):
    """``signal``: processes have no handlers."""

    def signal(self, _number: int, _handler: Any) -> None:
        pass

    def pthread_kill(self, _thread: int, _number: int) -> None:
        pass


class Platform(_StandIn):
    """``paralab.platform``."""

    def nameless_memory(self, size: int, _label: str = "") -> int:
        world = _Slot.world
        return kernel.Descriptor(kernel.Memory(world, size), world.current.process).fd

    def open_process(self, pid: int) -> int:
        world = _Slot.world
        process = world.processes.get(pid)
        if process is None or process.reaped:
            raise ProcessLookupError(3, "No such process")
        return kernel.Descriptor(kernel.Pidfd(world, process), world.current.process).fd

    def map_pages(self, _address: int, _length: int) -> bool:
        return True


class Mmap(_StandIn):
    """``mmap``."""

    def mmap(self, fd: int, _size: int, **_how: Any) -> Any:
        return _entry(fd).file.bytes  # type: ignore[attr-defined]


class QuietArena(Arena):
    """Allocates nothing ahead: that takes a thread and changes nothing that could be seen."""

    def allocate_ahead(self, top: int) -> None:
        pass

    def drop(self, ranges: Any) -> None:
        pass

    def drop_ahead(self, top: int) -> None:
        pass

    def close(self) -> None:
        OS.close(self.fd)
        OS.close(self.numbers_fd)
        self.numbers.release()


class SpillFiles:
    """``store.spill_files``: files in memory, and a disk that takes its time."""

    def __init__(self, folders: Sequence[str], arena: int) -> None:
        self._world = world = _Slot.world
        self._arena = _entry(arena).file.bytes  # type: ignore[attr-defined]
        self._files: dict[int, tuple[bytes, list[int]]] = {}
        """Contents, and how many objects are left in it."""
        self._done: deque[Callable[[], None]] = deque()
        self._count = 0
        self._last = 0
        self._bell = kernel.Eventfd(world)
        self.bell = SimpleNamespace(fd=kernel.Descriptor(self._bell, world.current.process).fd)

    def _soon(self, work: Callable[[], Callable[[], None] | None]) -> None:
        world = self._world
        self._last = max(self._last + 1, world.now + world.bits(22))
        world.later(self._last - world.now, self._do, work)

    def _do(self, work: Callable[[], Callable[[], None] | None]) -> None:
        then = work()
        if then is not None:
            self._done.append(then)
            self._bell.write(1)

    def write(self, blocks: Sequence[tuple[int, int]], then: Callable[..., None]) -> None:
        def work() -> Callable[[], None]:
            data = b"".join(self._arena[offset : offset + size] for offset, size in blocks)
            self._count += 1
            self._files[self._count] = (data, [len(blocks)])
            return partial(then, self._count, None)

        self._soon(work)

    def read(self, copy: Any, offset: int, then: Callable[..., None]) -> None:
        def work() -> Callable[[], None]:
            data = self._files[copy.file][0][copy.position : copy.position + copy.size]
            self._arena[offset : offset + copy.size] = data
            return partial(then, copy.file, None)

        self._soon(work)

    def drop(self, copy: Any) -> None:
        def work() -> None:
            left = self._files[copy.file][1]
            left[0] -= 1
            if not left[0]:
                del self._files[copy.file]

        self._soon(work)

    def finish(self) -> None:
        if self._bell.count:
            self._bell.read()
        while self._done:
            self._done.popleft()()

    def close(self) -> None:
        OS.close(self.bell.fd)


class Builder:
    """``subprocess.Popen`` of what installs an environment's packages: "good" or others."""

    def __init__(self, _command: Any, **_how: Any) -> None:
        world = _Slot.world
        node = world.current.process
        self.process = world.process("builder", node)
        self.pid = self.process.pid
        self.returncode = 1
        self.stdin = io.BytesIO()
        there, here = kernel.stream(world)
        self._end = kernel.Descriptor(there, self.process).file
        fd = kernel.Descriptor(here, node).fd
        self.stdout = SimpleNamespace(fileno=lambda: fd, close=lambda: OS.close(fd))
        self._wish: dict[str, Any] = {}
        self.stdin.close = self._begin  # type: ignore[method-assign]

    def _begin(self) -> None:
        self._wish = wish = json.loads(self.stdin.getvalue())
        others = self.process.parent.local.setdefault("builds", [])  # type: ignore[union-attr]
        assert not any(b._wish == wish and not b.process.dead for b in others), "built twice"
        others.append(self)
        _Slot.world.thread(self.process, "main", self._build)

    def _build(self) -> None:
        world = _Slot.world
        world.sleep(world.bits(25))
        if "good" in self._wish["pip"]["packages"]:
            answer = {"python": "its own", "env_vars": {}, "lock": "a lock"}
        else:
            answer = {"error": "There is no such package."}
        end: Any = self._end
        if world.bits(1) or "python" in answer:  # else it dies without a word
            end.outgoing.send(json.dumps(answer).encode(), [])
        world.exit(self.process, 0)

    def wait(self) -> None:
        self.process.reaped = True


class Processes(_StandIn):
    """``subprocess``."""

    Popen = Builder


def _start_worker(_python: str, _variables: dict[str, str], *fds: int) -> int:
    """A worker as an interpreter of its own."""
    node = _Slot.world.current.process
    return node.local["session"].start(node, [node.files[fd].file for fd in fds])  # type: ignore[no-any-return]


def _hold(_lock: str) -> int:
    world = _Slot.world
    return kernel.Descriptor(kernel.Eventfd(world), world.current.process).fd


class NoDoor:
    """Nobody else comes."""

    def __init__(self, _node: Any, **_how: Any) -> None:
        self.path = "/imagined"

    def __getattr__(self, _what: str) -> Callable[..., None]:
        return lambda *_: None


class NoNumericThreads:
    """There is one BLAS for all imagined processes, which is left alone."""

    def find(self) -> None:
        pass

    def set(self, count: int) -> None:
        pass


OS = Os(os)
TIME = Time(time)
THREADS = Threads(threading)
STAND_INS: dict[int, Any] = {
    id(os): OS,
    id(time): TIME,
    id(select): Select(select),
    id(socket): Sockets(socket),
    id(threading): THREADS,
    id(signal): Signals(signal),
    id(mmap): Mmap(mmap),
    id(platform): Platform(platform),
    id(subprocess): Processes(subprocess),
    id(asyncio): Asyncio(asyncio),
}
ROOMS = ("process", "state", "store", "transport")


def _children() -> list[int]:
    me = _Slot.world.current.process
    return [p.pid for p in _Slot.world.processes.values() if p.parent is me and not p.reaped]


def _poll() -> kernel.Poll:
    return kernel.Poll(_Slot.world)


def _no_handler(_number: int, _handler: Any = None) -> None:
    return None


OTHERS: list[tuple[Any, str, Any]] = [
    (links, "LOOK_NS", 0),
    (executor, "NumericThreads", NoNumericThreads),
    (node_store, "Arena", QuietArena),
    (node_store, "SpillFiles", SpillFiles),
    (node_drivers, "Door", NoDoor),
    (node_workers, "_children", _children),
    (on_node, "start_worker", _start_worker),
    (on_node, "hold", _hold),
    (executor, "sys", Sys(sys)),
    (logging.getLogger("paralab"), "disabled", True),
    (thread_lane, "SimpleQueue", Queue),
    (loop_lane._EngineSelector, "_selector_cls", staticmethod(_poll)),
    (asyncs.Selector, "_selector_cls", staticmethod(_poll)),
    (asyncio.selector_events, "socket", STAND_INS[id(socket)]),
]


def _modules() -> Iterator[ModuleType]:
    for room in ROOMS:
        package = importlib.import_module(f"paralab.{room}")
        for found in pkgutil.iter_modules(package.__path__, f"paralab.{room}."):
            yield importlib.import_module(found.name)
    yield on_node


@contextmanager
def installed() -> Iterator[None]:
    """The runtime's modules ask the world while this lasts."""
    undo: list[tuple[Any, str, Any]] = []

    def put(module: Any, name: str, value: Any) -> None:
        undo.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    real_now = time.monotonic_ns
    for module in _modules():
        for name, value in list(vars(module).items()):
            if value is real_now:
                put(module, name, TIME.monotonic_ns)
            elif isinstance(value, ModuleType) and id(value) in STAND_INS:
                put(module, name, STAND_INS[id(value)])
    from paralab.process import baton

    put(baton, "_get_handler", _no_handler)
    put(baton, "_set_handler", _no_handler)
    for module, name, value in OTHERS:
        put(module, name, value)
    try:
        yield
    finally:
        for module, name, value in reversed(undo):
            setattr(module, name, value)


def real_threads() -> set[threading.Thread]:
    """Those that keep the imagined ones' stacks."""
    return {t for t in threading.enumerate() if t.name == "simulated"}


asyncs.Loop.clock = TIME.monotonic
assert sys.platform == "linux"
