"""What the imagined system gives behaves as what the real one gives, as far as the runtime sees."""

from __future__ import annotations

import array
import os
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from sim import kernel, modules
from sim.world import Thread, World

IN, OUT = select.EPOLLIN, select.EPOLLOUT


class _Real:
    os: Any = os
    socketpair: Any = staticmethod(socket.socketpair)
    epoll: Any = staticmethod(select.epoll)


class _Imagined:
    def __init__(self) -> None:
        world = World(3)
        world.slow = False
        world.bits = lambda count: 1 << (count - 1)  # type: ignore[method-assign]
        world.give_way = lambda: None  # type: ignore[method-assign]
        process = world.process("test")
        world.current = Thread(process, "test", lambda: None, 1)
        modules.enter(world)
        self.world = world
        self.os: Any = modules.OS
        sockets = modules.Sockets(socket)
        self.socketpair: Any = sockets.socketpair
        self.epoll: Any = lambda: kernel.Poll(world)


@pytest.fixture(params=["real", "imagined"])
def system(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "real":
        yield _Real()
        return
    imagined = _Imagined()
    yield imagined
    imagined.world.end()


@pytest.fixture
def pair(system: Any) -> Iterator[tuple[Any, Any]]:
    ends = system.socketpair()
    for end in ends:
        end.setblocking(False)
    yield ends
    for end in ends:
        end.close()


def test_a_stream_keeps_its_order_and_then_ends(pair: tuple[Any, Any]) -> None:
    left, right = pair
    with pytest.raises(BlockingIOError):
        right.recv(10)
    assert left.send(b"abc") == 3
    assert left.send(b"def") == 3
    assert right.recv(2) == b"ab"
    assert right.recv(1, socket.MSG_PEEK) == b"c"
    left.close()
    assert right.recv(10) == b"cdef"
    assert right.recv(10) == b""
    with pytest.raises(BrokenPipeError):
        right.send(b"x")


def test_a_full_stream_takes_a_part_and_then_nothing(pair: tuple[Any, Any]) -> None:
    left, right = pair
    sent = left.send(bytes(1 << 22))
    assert 0 < sent < 1 << 22
    for _ in range(1_000):
        try:
            sent += left.send(bytes(1 << 16))
        except BlockingIOError:
            break
    with pytest.raises(BlockingIOError):
        left.send(b"x")
    read = 0
    while read < sent:
        read += len(right.recv(1 << 20))
    assert left.send(b"again") == 5


def test_poll_tells_what_is_ready_as_long_as_it_is(system: Any, pair: tuple[Any, Any]) -> None:
    left, right = pair
    poll = system.epoll()
    poll.register(right.fileno(), IN)
    assert poll.poll(0) == []
    left.send(b"ab")
    for _ in range(2):
        assert poll.poll(0) == [(right.fileno(), IN)]
        right.recv(1)
    assert poll.poll(0) == []
    poll.modify(right.fileno(), IN | OUT)
    assert poll.poll(0) == [(right.fileno(), OUT)]
    with pytest.raises(FileExistsError):
        poll.register(right.fileno(), IN)
    poll.unregister(right.fileno())
    with pytest.raises(FileNotFoundError):
        poll.unregister(right.fileno())
    poll.register(right.fileno(), IN)
    left.close()
    assert poll.poll(0)[0][1] & IN
    poll.close()


def test_a_closed_descriptor_leaves_the_poll(system: Any, pair: tuple[Any, Any]) -> None:
    left, right = pair
    poll = system.epoll()
    poll.register(right.fileno(), IN)
    left.send(b"a")
    right.close()
    assert poll.poll(0) == []
    poll.close()


def test_descriptors_travel_in_front_of_their_bytes(system: Any, pair: tuple[Any, Any]) -> None:
    left, right = pair
    here, there = system.socketpair()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [there.fileno()]))]
    left.send(b"first")
    left.sendmsg([b"with"], rights)
    left.send(b"last")
    there.close()
    data, ancillary, _flags, _ = right.recvmsg(100, socket.CMSG_SPACE(4), 0)
    assert data == b"firstwith"
    assert right.recv(100) == b"last"
    ((_level, _kind, packed),) = ancillary
    (fd,) = array.array("i", packed)
    assert here.send(b"x") == 1, "the end that travelled is open"
    system.os.close(fd)
    with pytest.raises(BrokenPipeError):
        here.send(b"x")
    here.close()


def test_a_bell_counts_and_is_silent_once_read(system: Any) -> None:
    bell = system.os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    poll = system.epoll()
    poll.register(bell, IN)
    with pytest.raises(BlockingIOError):
        system.os.eventfd_read(bell)
    system.os.eventfd_write(bell, 1)
    system.os.eventfd_write(bell, 1)
    assert poll.poll(0) == [(bell, IN)]
    assert system.os.eventfd_read(bell) == 2
    assert poll.poll(0) == []
    system.os.close(bell)
    with pytest.raises(OSError, match="Bad file descriptor"):
        system.os.eventfd_write(bell, 1)
    poll.close()
