"""S5: lengths without end, connections that say little or nothing, and very many of them."""

from __future__ import annotations

import contextlib
import resource
import socket
import statistics
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from intruders import answer_to, knocking, log_of, lone_node, memory_of, node_pid, token_of

import paralab
from paralab.process import door as door_module
from paralab.process.door import LARGEST_REQUEST, MOST_GUESTS, PATIENCE_SECONDS, Door, ask
from paralab.transport.framing import HEADER, MAX_BODY, MESSAGES, VERSION, FrameDecoder, FrameError
from patience import patient

GROWTH = 4 << 20
"""Bytes by which the node may grow under any attack."""


@pytest.fixture
def node() -> Iterator[str]:
    with lone_node() as folder:
        for _ in range(20):  # what is loaded and allocated once
            answer_to(folder, bytes(40))
        yield folder


def descriptors_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.parametrize("size", [MAX_BODY + 1, (1 << 32) - 1])
def test_a_frame_that_is_too_long_costs_no_memory(size: int) -> None:
    decoder = FrameDecoder()
    header = HEADER.pack(size, VERSION, MESSAGES, 0, 0, 1, 0, 0)
    tracemalloc.start()
    try:
        decoder.chunks.append(header + (1 << 60).to_bytes(8, "little"))
        with pytest.raises(FrameError, match="at most"):
            decoder.bodies()
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_frame_that_is_announced_costs_what_has_come() -> None:
    decoder = FrameDecoder()
    tracemalloc.start()
    try:
        decoder.chunks.append(HEADER.pack(MAX_BODY, VERSION, MESSAGES, 0, 0, 1, 0, 0) + b"x")
        assert decoder.bodies() == []
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_sizes_at_the_door(node: str, scorecard: Any) -> None:
    pid = node_pid(node)
    before = memory_of(pid)
    for size in (0, LARGEST_REQUEST + 1, (1 << 32) - 1):
        assert answer_to(node, token_of(node) + size.to_bytes(4, "big"), whole=False) == b""
    assert answer_to(node, token_of(node) + (1 << 60).to_bytes(8, "big"), whole=False) == b""
    assert answer_to(node, (1 << 60).to_bytes(8, "big") * 5, whole=False) == b""
    deep = b'{"what":' + b"[" * (LARGEST_REQUEST // 2)
    said = token_of(node) + len(deep).to_bytes(4, "big") + deep
    assert answer_to(node, said) == b""
    assert memory_of(pid) - before < GROWTH
    assert "announced" in log_of(node) or "token" in log_of(node)


def test_many_connections_that_say_little(node: str, scorecard: Any) -> None:
    """Each sends a part of a true token, and waits."""
    pid = node_pid(node)
    before, open_before = memory_of(pid), descriptors_of(pid)
    token = token_of(node)
    times = []
    with contextlib.ExitStack() as stack:
        for number in range(200):
            sock = stack.enter_context(knocking(node))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(token[: number % 32])
            if number % 20 == 0:
                start = time.monotonic()
                ask(node, "status")
                times.append(time.monotonic() - start)
        paralab.init(address=f"unix:{node}")
        try:
            assert paralab.get(paralab.remote(lambda: 5).remote()) == 5
        finally:
            paralab.shutdown()
        assert descriptors_of(pid) <= open_before + MOST_GUESTS + 20
        assert memory_of(pid) - before < GROWTH
    # The machine may stand still in one of them, or in two.
    assert statistics.median(times) < PATIENCE_SECONDS / 2, "others are served all the while"
    scorecard.figure(
        "S5",
        "200 slow connections: the slowest answer to others",
        max(times),
        "s",
        short="200 slow ones: others answered within {}",
    )


@pytest.mark.timeout(300)
def test_very_many_silent_ones(node: str, scorecard: Any) -> None:
    count = 10_000 if scorecard.full else 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        count = min(count, hard - 200)
    pid = node_pid(node)
    before, open_before = memory_of(pid), descriptors_of(pid)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(knocking(node))
            start = time.monotonic()
            assert ask(node, "status")["pid"] == pid
            took = time.monotonic() - start
            assert descriptors_of(pid) <= open_before + MOST_GUESTS
            grown = memory_of(pid) - before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert took < patient(20)
    assert grown < GROWTH
    scorecard.figure(
        "S5",
        f"{count:,} idle connections: growth of the node",
        grown >> 10,
        "KiB",
        short=f"{count:,} idle ones: {{}} growth",
    )


# -- the same by the clock, without waiting ----------------------------------------------------


class _Node:
    """As much of a node as the door sees."""

    def __init__(self) -> None:
        self.watched: dict[int, Any] = {}

    def watch(self, fd: int, action: Any) -> None:
        self.watched[fd] = action

    def unwatch(self, fd: int) -> None:
        self.watched.pop(fd, None)


class _Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, _Node, _Clock]]:
    node, clock = _Node(), _Clock()
    monkeypatch.setattr(door_module, "time", clock)
    door: Any = Door(node, stands_alone=False)  # type: ignore[arg-type]
    yield door, node, clock
    door.close()


def test_who_says_nothing_has_little_time(opened: tuple[Any, _Node, _Clock]) -> None:
    door, node, clock = opened
    (knocked,) = node.watched.values()
    with knocking(door.path) as silent, knocking(door.path) as slow:
        for _ in range(2):
            knocked(1)
        for _ in range(10):
            clock.now += PATIENCE_SECONDS / 20
            slow.sendall(b"x")
            for action in list(node.watched.values())[1:]:
                action(1)
            door.look()
        assert len(node.watched) == 3
        clock.now += PATIENCE_SECONDS / 2 + 1
        door.look()
        assert len(node.watched) == 1, "dripping does not help"
        for sock in (silent, slow):
            with contextlib.suppress(ConnectionResetError):  # with what nobody has read
                assert sock.recv(1) == b""


def test_the_oldest_makes_room(opened: tuple[Any, _Node, _Clock]) -> None:
    door, node, _clock = opened
    (knocked,) = node.watched.values()
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(knocking(door.path)) for _ in range(MOST_GUESTS + 1)]
        for _ in socks:
            knocked(1)
        assert len(node.watched) == MOST_GUESTS + 1
        assert socks[0].recv(1) == b""
        socks[1].setblocking(False)
        with pytest.raises(BlockingIOError):
            socks[1].recv(1)


def test_without_descriptors_the_door_rests(
    opened: tuple[Any, _Node, _Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    door, node, _clock = opened
    (knocked,) = node.watched.values()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with knocking(door.path) as guest:
        spare = socket.socket()
        lowest = spare.fileno()
        spare.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            knocked(1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert node.watched == {}, "or the node's loop would turn without end"
        door.look()
        (knocked,) = node.watched.values()
        knocked(1)
        assert len(node.watched) == 2
        guest.sendall(b"x")


def test_complaints_are_few(
    opened: tuple[Any, _Node, _Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    door, _node, clock = opened
    said: list[str] = []
    monkeypatch.setattr(door_module, "say", said.append)
    for _ in range(1000):
        door._complain("process 7, which has no token of ours")
    clock.now += door_module.COMPLAINT_SECONDS
    door._complain("process 8, which has no token of ours")
    start = "the door was shut on process"
    assert said == [
        f"{start} 7, which has no token of ours.",
        f"{start} 8, which has no token of ours and 999 before it.",
    ]
