"""Frames out of any stream of bytes."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paralab.transport.framing import (
    HEADER,
    HEADER_SIZE,
    MAX_BODY,
    MESSAGES,
    VERSION,
    FrameDecoder,
    FrameError,
)


def frame(
    number: int, body: bytes = b"body", version: int = VERSION, kind: int = MESSAGES
) -> bytes:
    return HEADER.pack(len(body), version, kind, 0, 0, number, 0, 0) + body


def stream(bodies: list[bytes]) -> bytes:
    return b"".join(frame(number, body) for number, body in enumerate(bodies, 1))


def feed(decoder: FrameDecoder, *chunks: bytes) -> list[bytes]:
    """What one look after each chunk finds, in the way the connection looks."""
    found: list[bytes] = []
    for chunk in chunks:
        decoder.chunks.append(chunk)
        body = decoder.only_body()
        if body is not None:
            found.append(bytes(body))
        else:
            found += map(bytes, decoder.bodies())
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


bodies = st.lists(st.binary(max_size=80), max_size=12)
places = st.lists(st.integers(0, 10_000), max_size=30)


@given(bodies=bodies, places=places)
@example(bodies=[b"", b""], places=[1, HEADER_SIZE, HEADER_SIZE + 1])
def test_any_cutting_gives_the_same_bodies(bodies: list[bytes], places: list[int]) -> None:
    decoder = FrameDecoder()
    assert feed(decoder, *cut(stream(bodies), places)) == bodies
    assert decoder.received == len(bodies)


@given(bodies=bodies, places=places, looks=st.lists(st.booleans(), max_size=30))
def test_it_does_not_matter_when_one_looks(
    bodies: list[bytes], places: list[int], looks: list[bool]
) -> None:
    decoder = FrameDecoder()
    found: list[bytes] = []
    for at, chunk in enumerate(cut(stream(bodies), places)):
        decoder.chunks.append(chunk)
        if at < len(looks) and looks[at]:
            found += map(bytes, decoder.bodies())
    found += map(bytes, decoder.bodies())
    assert found == bodies


def test_byte_by_byte() -> None:
    data = stream([b"a", b"", b"ccc"])
    assert feed(FrameDecoder(), *(data[at : at + 1] for at in range(len(data)))) == [
        b"a",
        b"",
        b"ccc",
    ]


@given(
    bodies=st.lists(st.binary(max_size=20), min_size=1, max_size=8),
    again=st.lists(st.tuples(st.integers(0, 7), st.integers(1, 8)), max_size=6),
    places=places,
)
def test_frames_that_come_twice_are_dropped(
    bodies: list[bytes], again: list[tuple[int, int]], places: list[int]
) -> None:
    frames = [frame(number, body) for number, body in enumerate(bodies, 1)]
    sent: list[bytes] = []
    for at, each in enumerate(frames):
        sent.append(each)
        for after, back in again:  # after frame `after`, the last `back` frames go once more
            if after == at:
                sent += frames[max(0, at + 1 - back) : at + 1]
    assert feed(FrameDecoder(), *cut(b"".join(sent), places)) == bodies


@given(bodies=st.lists(st.binary(max_size=20), min_size=2, max_size=8), places=places)
def test_a_gap_is_an_error(bodies: list[bytes], places: list[int]) -> None:
    frames = [frame(number, body) for number, body in enumerate(bodies, 1)]
    del frames[-2]
    with pytest.raises(FrameError, match="follows"):
        feed(FrameDecoder(), *cut(b"".join(frames), places))


@pytest.mark.parametrize(
    "bad",
    [
        frame(1, version=VERSION + 1),
        frame(1, kind=MESSAGES + 1),
        HEADER.pack(MAX_BODY + 1, VERSION, MESSAGES, 0, 0, 1, 0, 0),
        HEADER.pack((1 << 32) - 1, VERSION, MESSAGES, 0, 0, 1, 0, 0),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["version", "kind", "too long", "far too long", "another protocol"],
)
@pytest.mark.parametrize("before", [b"", frame(1)], ids=["first", "second"])
def test_what_is_no_frame_of_ours_is_refused(bad: bytes, before: bytes) -> None:
    with pytest.raises(FrameError, match="expected version"):
        feed(FrameDecoder(), before + bad)


def test_length_is_checked_before_anything_is_allocated() -> None:
    decoder = FrameDecoder()
    tracemalloc.start()
    try:
        with pytest.raises(FrameError):
            feed(decoder, HEADER.pack(MAX_BODY + 1, VERSION, MESSAGES, 0, 0, 1, 0, 0))
        # The largest that is allowed is not allocated either before its bytes come.
        assert feed(FrameDecoder(), HEADER.pack(MAX_BODY, VERSION, MESSAGES, 0, 0, 1, 0, 0)) == []
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


@settings(max_examples=300)
@given(data=st.binary(max_size=200), places=places)
def test_noise_is_refused_or_waited_for(data: bytes, places: list[int]) -> None:
    decoder = FrameDecoder()
    try:
        found = feed(decoder, *cut(data, places))
    except FrameError:
        return
    assert sum(map(len, found)) + HEADER_SIZE * len(found) <= len(data)


@given(data=st.data(), bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=5))
def test_a_changed_byte_of_a_header_never_gives_wrong_bodies(
    data: st.DataObject, bodies: list[bytes]
) -> None:
    sent = bytearray(stream(bodies))
    sent[data.draw(st.integers(4, 5))] ^= data.draw(st.integers(1, 255))  # version or kind
    with pytest.raises(FrameError):
        feed(FrameDecoder(), bytes(sent))


def test_a_large_frame_in_small_pieces_takes_linear_time() -> None:
    body = bytes(4 << 20)
    data = frame(1, body)
    decoder = FrameDecoder()
    pieces = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    # Each look copies only what is new; 1,000 looks at 4 MB would copy 2 GB otherwise.
    tracemalloc.start()
    try:
        found = feed(decoder, *pieces)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [body]
    assert peak < 4 * len(data)
