"""A connection over a socket pair: large frames, partial sends, descriptors, closing.

What any connection has to do is asked of both kinds; ``pair`` and ``carriers`` come in both.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import resource
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from paralab.transport.connection import MAX_DESCRIPTORS, Connection
from paralab.transport.framing import HEADER, MESSAGES, VERSION, FrameError
from paralab.transport.reliable import ReliableConnection

Pair = tuple[Connection, Connection]


def plain(sock: socket.socket, peer: bytes, descriptors: bool) -> Connection:
    return Connection(sock, peer, descriptors)


def reliable(sock: socket.socket, peer: bytes, descriptors: bool) -> Connection:
    return ReliableConnection(sock, peer, descriptors, time.monotonic, lambda _connection: None)


def make_pair(kind: Any = plain, descriptors: bool = False) -> Pair:
    left, right = socket.socketpair()
    for sock in (left, right):  # small buffers, so that sends are partial
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    return kind(left, b"right", descriptors), kind(right, b"left", descriptors)


@pytest.fixture(params=[plain, reliable])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    both = make_pair(request.param)
    yield both
    for connection in both:
        connection.close()


@pytest.fixture(params=[plain, reliable])
def carriers(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two connections that may carry descriptors."""
    both = make_pair(request.param, descriptors=True)
    yield both
    for connection in both:
        connection.close()


def is_over(connection: Connection) -> bool:
    """Whether the socket has come to its end; a reliable connection could get another one."""
    return connection.closed or getattr(connection, "broken", False)


def exchange(sender: Connection, receiver: Connection) -> list[Any]:
    """Sends and receives in turns until all is there."""
    messages: list[Any] = []
    for _ in range(100_000):
        done = sender.flush()
        while receiver.readable() and not is_over(receiver):
            messages += receiver.receive()
        if done:
            return messages
    raise AssertionError("it never ends")


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_messages_leave_as_one_frame_in_order(pair: Pair) -> None:
    left, right = pair
    left.outbox += [(1, "a"), (2, b"b"), (3, [4, None])]
    assert left.flush()
    assert left.outbox == []
    assert right.receive() == [(1, "a"), (2, b"b"), (3, [4, None])]
    assert right.receive() == []
    assert not right.closed


def test_nothing_to_send_is_sent_at_once(pair: Pair) -> None:
    left, right = pair
    assert left.flush()
    assert not right.readable()


def test_large_frames_are_sent_in_parts_and_arrive_whole(pair: Pair) -> None:
    left, right = pair
    data = os.urandom(3 << 20)
    left.outbox.append((1, data))
    assert not left.flush()
    assert left.stuck
    left.outbox.append((2, "behind it"))
    assert exchange(left, right) == [(1, data), (2, "behind it")]
    assert not left.stuck


def test_both_directions_at_once(pair: Pair) -> None:
    left, right = pair
    there, back = os.urandom(1 << 20), os.urandom(1 << 20)
    left.outbox.append((1, there))
    right.outbox.append((2, back))
    to_right: list[Any] = []
    to_left: list[Any] = []
    for _ in range(100_000):
        left.flush()
        right.flush()
        if right.readable():
            to_right += right.receive()
        if left.readable():
            to_left += left.receive()
        if to_right and to_left:
            break
    assert to_right == [(1, there)]
    assert to_left == [(2, back)]


def test_sending_never_blocks(pair: Pair) -> None:
    left, right = pair
    for number in range(200):
        left.outbox.append((number, bytes(10_000)))
        left.flush()
    assert [message[0] for message in exchange(left, right)] == list(range(200))


@pytest.mark.parametrize("large", [False, True])
def test_the_other_side_closes(pair: Pair, large: bool) -> None:
    left, right = pair
    left.outbox.append((1, "the last word"))
    left.flush()
    left.close()
    assert right.receive() == [(1, "the last word")]
    assert not is_over(right)
    assert right.receive() == []
    assert is_over(right)
    right.outbox.append((2, bytes(1 << 20) if large else b""))
    assert right.flush(), "nothing is waited for"
    right.close()
    right.close()


def test_what_waits_when_the_other_side_closes_is_dropped(pair: Pair) -> None:
    left, right = pair
    left.outbox.append((1, bytes(1 << 20)))
    assert not left.flush()
    right.close()
    assert left.flush()
    assert is_over(left)
    assert not left.stuck


def test_descriptors_are_carried(carriers: Pair) -> None:
    left, right = carriers
    read_end, write_end = os.pipe()
    left.send_with_descriptors([(1, "a pipe")], [read_end])
    os.close(read_end)  # what travels is a copy
    assert right.receive() == [(1, "a pipe")]
    carried = right.received_descriptors.popleft()
    try:
        os.write(write_end, b"through it")
        assert os.read(carried, 100) == b"through it"
        assert fcntl.fcntl(carried, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    finally:
        os.close(carried)
        os.close(write_end)


def test_descriptors_keep_their_order_among_messages(carriers: Pair) -> None:
    left, right = carriers
    pipes = [os.pipe() for _ in range(4)]
    for number, (read_end, _write_end) in enumerate(pipes):
        left.outbox.append((number, bytes(3000)))
        left.send_with_descriptors([(100 + number, bytes(3000))], [read_end])
    messages = exchange(left, right)
    assert [message[0] for message in messages] == [0, 100, 1, 101, 2, 102, 3, 103]
    assert len(right.received_descriptors) == 4
    for (read_end, write_end), carried in zip(pipes, right.received_descriptors, strict=True):
        assert os.path.samestat(os.fstat(read_end), os.fstat(carried))
        os.close(read_end)
        os.close(write_end)


def test_descriptors_behind_a_stuck_frame(carriers: Pair) -> None:
    left, right = carriers
    data = os.urandom(1 << 20)
    left.outbox.append((1, data))
    assert not left.flush()
    read_end, write_end = os.pipe()
    left.send_with_descriptors([(2, "behind it")], [read_end, write_end])
    os.close(read_end)
    os.close(write_end)
    assert exchange(left, right) == [(1, data), (2, "behind it")]
    assert len(right.received_descriptors) == 2


def test_closing_closes_descriptors_that_nobody_took() -> None:
    left, right = make_pair(descriptors=True)
    read_end, write_end = os.pipe()
    left.send_with_descriptors([(1,)], [read_end])
    assert right.receive() == [(1,)]
    carried = right.received_descriptors[0]
    right.close()
    left.close()
    assert not is_open(carried)
    # And those that never left.
    left, right = make_pair(descriptors=True)
    left.outbox.append((1, bytes(1 << 20)))
    left.flush()
    before = len(os.listdir("/proc/self/fd"))
    left.send_with_descriptors([(2,)], [read_end, write_end])
    assert len(os.listdir("/proc/self/fd")) == before + 2
    left.close()
    right.close()
    assert len(os.listdir("/proc/self/fd")) == before - 2
    os.close(read_end)
    os.close(write_end)


def test_as_many_descriptors_as_are_allowed(carriers: Pair) -> None:
    left, right = carriers
    read_end, write_end = os.pipe()
    left.send_with_descriptors([(1,)], [read_end] * MAX_DESCRIPTORS)
    assert right.receive() == [(1,)]
    assert len(right.received_descriptors) == MAX_DESCRIPTORS
    left.send_with_descriptors([(2,)], [read_end] * (MAX_DESCRIPTORS + 1))
    os.close(read_end)
    os.close(write_end)
    with pytest.raises(FrameError, match="descriptors were cut off"):
        right.receive()


def test_a_stranger_at_the_other_end() -> None:
    ours, theirs = socket.socketpair()
    connection = Connection(ours, b"stranger")
    with theirs:
        theirs.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(FrameError):
            connection.receive()
    connection.close()


def test_a_frame_that_comes_twice_counts_once() -> None:
    ours, theirs = socket.socketpair()
    connection = Connection(ours, b"peer")
    body = pickle.dumps([(1, "once")], 5)
    frame = HEADER.pack(len(body), VERSION, MESSAGES, 0, 0, 1, 0, 0) + body
    with theirs:
        theirs.send(frame + frame)
        assert connection.receive() == [(1, "once")]
        theirs.send(frame)
        assert connection.receive() == []
    connection.close()


def test_the_count_received_rides_back(pair: Pair) -> None:
    left, right = pair
    for number in range(3):
        left.outbox.append((number,))
        left.flush()
        right.receive()
    ours, theirs = socket.socketpair()
    connection = Connection(ours, b"peer")
    connection._decoder.received = 3
    connection.outbox.append((1,))
    connection.flush()
    with theirs:
        header = HEADER.unpack_from(theirs.recv(1000))
    assert header[5:7] == (1, 3), "our first frame says that three of theirs are here"
    connection.close()


def test_a_process_with_a_thousand_sockets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1100
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip("this machine allows too few open files")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    left, right = make_pair()
    try:
        high = fcntl.fcntl(right.fd, fcntl.F_DUPFD_CLOEXEC, 1050)
        connection = Connection(socket.socket(fileno=high), b"left")
        left.outbox.append((1,))
        left.flush()
        assert connection.readable()
        assert connection.receive() == [(1,)]
        assert not connection.readable()
        connection.close()
    finally:
        left.close()
        right.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
