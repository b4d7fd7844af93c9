"""S6: bytes that are nearly right, cut off, doubled or noise, for the frame parser and the door.

The only listener is the door.  Behind it stand those who have the token: they can run code anyway
(SECURITY.md), so what they send is not defended against; that the node outlives damaged frames
of theirs is for the sake of diagnosis.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import pickle
import random
import socket
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from intruders import knocking, log_of, lone_node, memory_of, node_pid, token_of

import paralab
from paralab.process.door import knock
from paralab.transport.connection import MAX_DESCRIPTORS, Connection
from paralab.transport.framing import HEADER, MESSAGES, VERSION, FrameDecoder, FrameError

MANY, FEW = 100_000, 3_000
FACTS: dict[str, Any] = {
    "namespace": "n", "sys_path": [], "as_ray": False, "cwd": "/", "argv": [], "logging": {},
    "environment": None,
}  # fmt: skip
"""What a driver says of itself."""


def frame(number: int, body: bytes) -> bytes:
    return HEADER.pack(len(body), VERSION, MESSAGES, 0, 0, number, 0, 0) + body


def mutated(rng: random.Random, data: bytes) -> bytes:
    """The same, but for a few changes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(6):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << rng.randrange(8)
            case 1 if changed:
                changed[at % len(changed)] = rng.choice((0, 0xFF, 0x7F, 0x80))
            case 2:
                del changed[at:]
            case 3:
                del changed[at : at + rng.randrange(1, 50)]
            case 4:
                changed[at:at] = rng.randbytes(rng.randrange(1, 50))
            case _:
                changed[at:at] = changed[: rng.randrange(1, 80)]
    return bytes(changed)


def cut(rng: random.Random, data: bytes) -> list[bytes]:
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(4)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def parse(data: bytes, rng: random.Random) -> bool:
    """Whether all of a stream that comes in pieces is taken for frames."""
    decoder = FrameDecoder()
    got: list[bytes] = []
    try:
        for piece in cut(rng, data):
            decoder.chunks.append(piece)
            got += map(bytes, decoder.bodies())
    except FrameError:
        return False
    assert sum(map(len, got)) + len(decoder._partial) <= len(data)
    return True


@pytest.mark.timeout(600)
def test_the_frame_parser(scorecard: Any) -> None:
    count = MANY if scorecard.full else FEW
    rng = random.Random(6)
    bodies = [pickle.dumps([(n, "text", bytes(n))], 5) for n in range(1, 6)]
    stream = b"".join(frame(number, body) for number, body in enumerate(bodies, 1))
    tracemalloc.start()
    try:
        for _ in range(FEW // 3):
            parse(mutated(rng, stream), rng)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    start = time.perf_counter()
    refused = sum(not parse(mutated(rng, stream), rng) for _ in range(count))
    seconds = time.perf_counter() - start
    assert refused > count // 4
    scorecard.figure(
        "S6",
        f"{count:,} fuzzed streams for the frame parser",
        count / seconds,
        "/s",
        short=f"{count:,} streams parsed",
    )


def guests(rng: random.Random, token: bytes, count: int) -> Iterator[bytes]:
    """What so many guests say at the door."""
    driver = {"what": "driver", **FACTS, "environment": ["", {}]}
    texts = [
        b'{"what": "status"}',
        json.dumps(driver).encode(),
        b'{"what": "add_node", "resources": {"CPU": 1}, "labels": {}, "name": "n"}',
        b'{"what": "remove_node", "node_id": "0"}',
    ]
    for number in range(count):
        text = rng.choice(texts)
        if number % 4 == 0:
            yield mutated(rng, token + len(text).to_bytes(4, "big") + text)
        elif number % 4 == 1:
            yield mutated(rng, frame(1, text))
        elif number % 4 == 2:
            yield rng.randbytes(rng.randrange(200))
        else:  # who has the token sends what is nearly JSON
            text = mutated(rng, text)
            if b"stop" not in text and text not in texts:
                yield token + len(text).to_bytes(4, "big") + text


def say_all(folder: str, said: Iterable[bytes]) -> None:
    """Several guests at once, each of whom is heard to the end."""
    with contextlib.ExitStack() as stack:
        socks = []
        for each in said:
            sock = stack.enter_context(knocking(folder))
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                sock.sendall(each)
                sock.shutdown(socket.SHUT_WR)
            socks.append(sock)
        for sock in socks:
            with contextlib.suppress(ConnectionResetError):
                while sock.recv(1 << 16):
                    pass


@pytest.mark.timeout(600)
def test_the_door(scorecard: Any) -> None:
    count = MANY if scorecard.full else FEW // 6
    rng = random.Random(7)
    with lone_node() as folder:
        token, pid = token_of(folder), node_pid(folder)
        say_all(folder, guests(rng, token, 20))
        before = memory_of(pid)
        left = guests(rng, token, count)
        while batch := list(islice(left, 20)):
            say_all(folder, batch)
        assert node_pid(folder) == pid
        grown = memory_of(pid) - before
        lines = log_of(folder).splitlines()
    assert grown < (4 << 20) + 200 * count, "a driver that came is remembered"
    assert 1 <= len(lines) <= 5 + count // 1_000, lines[:20]
    assert "the door was shut on process" in lines[0]
    scorecard.figure(
        "S6",
        f"{count:,} fuzzed connections: growth of the node",
        grown >> 10,
        "KiB",
        short=f"{count:,} connections: {{}} growth",
    )
    scorecard.figure("S6", f"{count:,} fuzzed connections: lines in its log", len(lines))


def test_the_node_outlives_damaged_frames_of_its_drivers() -> None:
    """Of one that has the token: its connection ends, and the log says why.

    Only damage that pickle itself notices: whole pickles can do anything, noise may ask for memory.
    """
    body = pickle.dumps([(1, "text", [b"x" * 50, None, {"a": 1.5}])], 5)
    broken = [frame(1, body[:at]) for at in range(0, len(body) - 1, 3)]
    broken += [b"GET / HTTP/1.1\r\n" * 3, frame(2, body), frame(1, b"\xff" * 50), bytes(100)]
    with lone_node() as folder:
        pid = node_pid(folder)
        for said in broken:
            with knock(folder, "driver", **FACTS) as sock:
                sock.sendall(said)
                sock.settimeout(60)
                with contextlib.suppress(ConnectionResetError):
                    while sock.recv(1 << 16):
                        pass
        assert node_pid(folder) == pid
        log = log_of(folder)
    assert f"paralab node: process {os.getpid()}: " in log
    assert "Traceback" not in log


# -- descriptors -------------------------------------------------------------------------------


def open_descriptors(pid: int | str = "self") -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def settles(folder: str, most: int) -> None:
    """Waits until the node has closed what it was given, but for so many descriptors."""
    pid, deadline = node_pid(folder), time.monotonic() + 60
    while (number := open_descriptors(pid)) > most:  # it answers before it closes
        assert time.monotonic() < deadline, (number, most)
        assert node_pid(folder) == pid


def with_rights(sock: socket.socket, data: bytes, descriptors: list[int]) -> None:
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    sock.sendmsg([data], [rights])


def test_descriptors_where_none_are_expected(scorecard: Any) -> None:
    """At the door, from a driver that the node has let in, and between two workers."""
    with open(os.devnull) as null, lone_node() as folder:
        pid, before = node_pid(folder), 0
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as sock:
                with paralab.platform.short_path(folder) as short:
                    sock.connect(short + "/socket")
                with_rights(sock, token_of(folder), [null.fileno()] * 50)
                with_rights(sock, b"\0\0\0\x12", [null.fileno()])
                sock.sendall(b'{"what": "status"}')
                assert sock.recv(1) == b"{"
            assert node_pid(folder) == pid
            before = before or open_descriptors(pid)
            settles(folder, before)
        with knock(folder, "driver", **FACTS) as sock:
            with_rights(sock, frame(1, pickle.dumps([], 5)), [null.fileno()] * 3)
            sock.settimeout(60)
            while sock.recv(1 << 16):
                pass
        assert node_pid(folder) == pid
        settles(folder, before)
        assert "descriptors came" in log_of(folder)


@pytest.mark.parametrize("how", ["plain", "too many", "too often"])
def test_descriptors_at_a_connection(how: str) -> None:
    left, right = socket.socketpair()
    before = open_descriptors()
    connection = Connection(right, b"left", descriptors=how != "plain")
    with left, open(os.devnull) as null:
        if how == "plain":
            with_rights(left, frame(1, pickle.dumps([(1,)], 5)), [null.fileno()] * 4)
            assert connection.receive() == [(1,)]
        elif how == "too many":
            fds = [null.fileno()] * (MAX_DESCRIPTORS + 1)
            with_rights(left, frame(1, pickle.dumps([(1,)], 5)), fds)
            with pytest.raises(FrameError, match="cut off"):
                connection.receive()
        else:
            with pytest.raises(FrameError, match="no message takes"):  # noqa: PT012
                for number in range(1, 10):
                    fds = [null.fileno()] * MAX_DESCRIPTORS
                    with_rights(left, frame(number, pickle.dumps([(1,)], 5)), fds)
                    connection.receive()
    connection.close()
    assert open_descriptors() == before - 2
