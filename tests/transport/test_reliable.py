"""A reliable connection over sockets that lose frames, break, and are replaced."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from paralab.state.resending import ACK_AFTER, NEVER, RESEND_AFTER
from paralab.transport.framing import HEADER, MESSAGES, VERSION, FrameError
from paralab.transport.reliable import Frame, ReliableConnection


class Clock:
    """It jumps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class End(ReliableConnection):
    """A connection whose wire can be told what to lose."""

    def __init__(self, sock: socket.socket, peer: bytes, clock: Clock) -> None:
        super().__init__(sock, peer, True, clock, self._note)
        self.breaks = 0
        self.loses = 0
        """So many frames that are given to the kernel next vanish."""

    def _note(self, _connection: ReliableConnection) -> None:
        self.breaks += 1

    def _put(self, frame: Frame) -> None:
        if self.loses:
            self.loses -= 1
        else:
            super()._put(frame)


Ends = tuple[End, End, Clock]


@pytest.fixture
def ends() -> Iterator[Ends]:
    clock = Clock()
    left, right = socket.socketpair()
    both = End(left, b"right", clock), End(right, b"left", clock)
    yield (*both, clock)
    for connection in both:
        connection.close()
        connection.close()


def send(end: End, *messages: Any) -> None:
    """One frame each."""
    for message in messages:
        end.outbox.append((message,))
        end.flush()


def come(end: End) -> list[Any]:
    """What can be read now."""
    found: list[Any] = []
    while end.readable():
        found += end.receive()
        if end.broken:
            break
    return [message for (message,) in found]


def reconnect(left: End, right: End) -> None:
    one, other = socket.socketpair()
    left.attach(one)
    right.attach(other)


def test_what_is_lost_goes_again(ends: Ends) -> None:
    left, right, clock = ends
    left.loses = 1
    send(left, "a", "b", "c")
    assert come(right) == [], "they wait for the first"
    clock.now += RESEND_AFTER
    assert left.due() <= clock.now
    left.tick()
    assert come(right) == ["a", "b", "c"]
    assert len(left.resending.kept) == 3
    clock.now += ACK_AFTER
    assert right.due() <= clock.now
    right.tick()
    assert come(left) == []
    assert not left.resending.kept
    assert left.due() == right.due() == NEVER


def test_an_acknowledgement_that_is_lost_is_asked_for_by_sending_again(ends: Ends) -> None:
    left, right, clock = ends
    send(left, "a")
    assert come(right) == ["a"]
    right.loses = 1
    clock.now += ACK_AFTER
    right.tick()
    assert come(left) == []
    assert left.resending.kept
    clock.now += RESEND_AFTER
    left.tick()
    assert come(right) == [], "once is enough"
    clock.now += ACK_AFTER
    right.tick()
    come(left)
    assert not left.resending.kept


def test_traffic_carries_the_acknowledgement(ends: Ends) -> None:
    left, right, _clock = ends
    send(left, "question")
    assert come(right) == ["question"]
    send(right, "answer")
    assert right.due() == right._clock() + RESEND_AFTER, "only its own frame is on its mind"
    assert come(left) == ["answer"]
    assert not left.resending.kept


def test_a_socket_breaks_with_frames_in_it(ends: Ends) -> None:
    left, right, _clock = ends
    send(left, "a")
    assert come(right) == ["a"]
    send(left, "b", "c")  # never read
    send(right, "x")
    left._socket.shutdown(socket.SHUT_RDWR)
    assert come(left) == ["x"], "what has come before the end counts"
    assert left.broken
    assert left.breaks == 1
    send(left, "d")
    assert left.flush(), "nothing that could be waited for"
    assert left.due() == NEVER
    reconnect(left, right)
    assert not left.broken
    assert come(right) == ["b", "c", "d"]
    assert come(left) == []
    send(right, "y")
    assert come(left) == ["y"]


def test_a_socket_breaks_in_the_middle_of_a_frame(ends: Ends) -> None:
    left, right, _clock = ends
    large = bytes(3 << 20)
    send(left, large)
    assert left.stuck
    assert right.receive() == []
    assert right.receive() == []
    reconnect(left, right)  # neither had noticed an end
    found: list[Any] = []
    while not found:
        left.flush()
        found = come(right)
    assert found == [large]
    assert (left.breaks, right.breaks) == (0, 0)


def test_it_breaks_again_and_again(ends: Ends) -> None:
    left, right, clock = ends
    got: list[Any] = []
    back: list[Any] = []
    for number in range(50):
        send(left, number)
        send(right, -number)
        if number % 3 == 0:
            got += come(right)
        if number % 4 == 0:
            back += come(left)
        if number % 5 == 0 and not left.broken:
            left._socket.shutdown(socket.SHUT_RDWR)
        if number % 7 == 0:
            reconnect(left, right)
    reconnect(left, right)
    clock.now += RESEND_AFTER
    left.tick()
    right.tick()
    assert got + come(right) == list(range(50))
    assert back + come(left) == [-number for number in range(50)]


def test_descriptors_come_once_whatever_happens_to_their_frames(ends: Ends) -> None:
    left, right, clock = ends
    before = len(os.listdir("/proc/self/fd"))
    pipes = [os.pipe() for _ in range(3)]
    for number, (read_end, _) in enumerate(pipes):
        left.loses = int(number == 0)
        left.send_with_descriptors([(number,)], [read_end])
    assert come(right) == []
    clock.now += RESEND_AFTER
    left.tick()  # all three go again
    left._push()
    assert come(right) == [0, 1, 2]
    reconnect(left, right)  # and again, as nothing has been acknowledged
    assert come(right) == []
    assert len(right.received_descriptors) == 3
    for read_end, write_end in pipes:
        carried = right.received_descriptors.popleft()
        assert os.path.samestat(os.fstat(read_end), os.fstat(carried))
        for fd in (carried, read_end, write_end):
            os.close(fd)
    clock.now += ACK_AFTER
    right.tick()
    come(left)
    assert len(os.listdir("/proc/self/fd")) == before


def test_closing_closes_all_descriptors(ends: Ends) -> None:
    left, right, _clock = ends
    before = len(os.listdir("/proc/self/fd"))
    read_end, write_end = os.pipe()
    left.loses = 1
    for number in range(3):
        left.send_with_descriptors([(number,)], [read_end])
    assert come(right) == []
    os.close(read_end)
    os.close(write_end)
    left.close()
    right.close()
    assert len(os.listdir("/proc/self/fd")) == before - 2


def test_flush_all_returns_when_the_other_side_has_it(ends: Ends) -> None:
    left, right, clock = ends
    left.loses = 1
    send(left, "last words")
    clock.now += RESEND_AFTER
    left.tick()
    assert come(right) == ["last words"]
    clock.now += ACK_AFTER
    right.tick()
    left.flush_all(1.0)
    assert not left.resending.kept


def test_flush_all_does_not_wait_for_who_is_gone(ends: Ends) -> None:
    left, right, _clock = ends
    send(left, "last words")
    right.close()
    left.flush_all(60.0)
    assert left.broken


@pytest.mark.parametrize(
    "head",
    [
        HEADER.pack(4, VERSION, MESSAGES, 0, 0, 1, 0, 0) + b"body",
        HEADER.pack(4, VERSION, 3, 0, 0, 0, 0, 0) + b"body",
        HEADER.pack(4, VERSION + 1, 2, 0, 0, 1, 0, 0) + b"body",
        HEADER.pack((1 << 32) - 1, VERSION, 2, 0, 0, 1, 0, 0),
    ],
    ids=["a plain frame", "an acknowledgement with a body", "version", "length"],
)
def test_what_is_no_frame_of_this_kind_is_refused(ends: Ends, head: bytes) -> None:
    left, right, _clock = ends
    left._socket.send(head)
    with pytest.raises(FrameError, match="expected version"):
        right.receive()


def test_descriptors_that_are_announced_and_do_not_come(ends: Ends) -> None:
    left, right, _clock = ends
    body = b"\x80\x05]."
    left._socket.send(HEADER.pack(len(body), VERSION, 2, 0, 0, 1, 0, 7) + body)
    assert right.receive() == []
    assert not right.received_descriptors


class Storm:
    """Two ends to which things happen by chance."""

    def __init__(self, ends: Ends, seed: int) -> None:
        self.left, self.right, self.clock = ends
        self.chance = random.Random(seed)
        self.sent: dict[End, int] = {self.left: 0, self.right: 0}
        self.come: dict[End, list[int]] = {self.left: [], self.right: []}

    def step(self, carried: int) -> None:
        """One thing happens."""
        end, chance = self.chance.choice((self.left, self.right)), self.chance
        match chance.choice("ssssrrrrldtbR"):
            case "s":
                send(end, (self.sent[end], bytes(chance.choice((0, 10, 100_000)))))
                self.sent[end] += 1
            case "d":
                end.send_with_descriptors([((self.sent[end], b""),)], [carried])
                self.sent[end] += 1
            case "r":
                self.read(end)
            case "l":
                end.loses = chance.randint(1, 4)
            case "t":
                self.tick(chance.choice((ACK_AFTER, RESEND_AFTER)))
            case "b" if not end.broken:
                end._socket.shutdown(socket.SHUT_RDWR)
            case "R":
                reconnect(self.left, self.right)

    def read(self, end: End) -> None:
        """What is there."""
        end.flush()
        self.come[end] += [number for number, _data in come(end)]
        while end.received_descriptors:
            os.close(end.received_descriptors.popleft())

    def tick(self, seconds: float) -> None:
        """Time jumps."""
        self.clock.now += seconds
        self.left.tick()
        self.right.tick()


@pytest.mark.parametrize("seed", range(20))
def test_a_storm(ends: Ends, seed: int) -> None:
    """Frames vanish, time jumps, sockets break or are replaced: all comes, once and in order."""
    storm = Storm(ends, seed)
    left, right = storm.left, storm.right
    before = len(os.listdir("/proc/self/fd"))
    pipe = os.pipe()
    for _ in range(300):
        storm.step(pipe[0])
    left.loses = right.loses = 0
    reconnect(left, right)
    for _ in range(400):
        storm.tick(ACK_AFTER)
        storm.read(left)
        storm.read(right)
        if not (left.resending.kept or right.resending.kept):
            break
    assert storm.come[right] == list(range(storm.sent[left]))
    assert storm.come[left] == list(range(storm.sent[right]))
    for fd in pipe:
        os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before
