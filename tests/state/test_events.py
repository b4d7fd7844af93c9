"""The ring of records: bounded by bytes, complete, and readable in the order of what happens."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from paralab import worker_stamps
from paralab.ids import INDEX_BITS
from paralab.messages import FAILED, INLINE
from paralab.object_ref import ObjectRef
from paralab.state import events
from paralab.state.events import MOST_INPUTS, RECORD_BYTES, RING_BYTES, EventRing, Put, Wait
from paralab.state.ownership import Entry
from paralab.state.tasks import Task, Template
from paralab.task_spec import TaskOptions

BIG = 1 << 45
"""A clock that has run for ten hours, in ns: its ints are as large as real ones."""


class NoMailbox:
    asleep = False

    def dropped(self, _entry: Any, /) -> None: ...

    def forgotten(self, _template: Any, /) -> None: ...

    def wake(self) -> None: ...


MAILBOX = NoMailbox()
TEMPLATE = Template(1, 0, None, TaskOptions(), "f", MAILBOX)


def keep(ring: EventRing, at: int, outcome: int = INLINE, top: Any = ()) -> None:
    """What the client does when the reply to a call has come."""
    key = at << INDEX_BITS | 1
    task = Task(key, TEMPLATE, [], b"12345", top, (), 0, BIG + at - 1, BIG + at, BIG + at + 1)
    task.leased = BIG + at + 2
    task.sent = BIG + at + 3
    stamps = worker_stamps.pack(*range(BIG + at + 10, BIG + at + 15))
    ring.append((b"w" * 16, task.record(), stamps, BIG + at + 20, outcome, 7))


def test_a_record_holds_both_sides() -> None:
    ring = EventRing()
    entry = Entry(3 << INDEX_BITS, b"owner", MAILBOX)
    keep(ring, 9, top=[(0, ObjectRef(entry))])
    keep(ring, 10, FAILED)
    first, second = ring.snapshot()
    assert first.key == 9 << INDEX_BITS | 1
    assert first.name == "f"
    assert (first.bytes_in, first.bytes_out) == (5, 7)
    assert first.needs == ((b"owner", 3 << INDEX_BITS),)
    assert first.worker == b"w" * 16
    assert (first.failed, second.failed) == (False, True)


def test_very_many_inputs_are_counted_only() -> None:
    ring = EventRing()
    entries = [Entry(at << INDEX_BITS, b"owner", MAILBOX) for at in range(MOST_INPUTS + 5)]
    keep(ring, 9, top=[(0, ObjectRef(entry)) for entry in entries])
    (record,) = ring.snapshot()
    assert len(record.needs) == MOST_INPUTS + 1
    assert record.needs[-1] == (b"", 5)


def test_stamps_stand_in_the_order_of_what_happens() -> None:
    ring = EventRing()
    keep(ring, 1)
    (record,) = ring.snapshot()
    names = ("submitted", "pickled", "packed", "leased", "sent", "received", "taken",
             "loaded", "ended", "stored", "returned")  # fmt: skip
    stamps = [getattr(record, name) for name in names]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) == len(stamps)
    assert record.ready == record.packed, "no input was missing"


def test_the_oldest_go_first() -> None:
    ring = EventRing(3 * RECORD_BYTES)
    for at in range(1, 6):
        keep(ring, at)
    ring.trim()
    assert [record.key >> INDEX_BITS for record in ring.snapshot()] == [3, 4, 5]
    assert ring.marks(9)["dropped"] == 2, "what went is counted"


def test_puts_and_waits_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MARKS", 3)
    ring = EventRing()
    for at in range(5):
        ring.puts.append((ring.put_number(), at << INDEX_BITS, 100, BIG, BIG + 5, 0))
        ring.note_wait(BIG, BIG + 5, 0, 2, b"owner", at, "get")
    marks = ring.marks(2)
    assert [Put(*each).key >> INDEX_BITS for each in marks["puts"]] == [3, 4]
    assert [Wait(*each).key for each in marks["waits"]] == [3, 4]
    assert {Wait(*each).call for each in marks["waits"]} == {"get"}
    assert marks["marks_dropped"] == 4


def test_a_ring_of_nothing_is_off() -> None:
    ring = EventRing(0)
    assert not ring.on
    keep(ring, 1)
    ring.trim()
    assert ring.snapshot() == []
    assert EventRing().on


def deep_size(thing: Any, seen: set[int]) -> int:
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    size = sys.getsizeof(thing)
    if isinstance(thing, tuple):
        size += sum(deep_size(each, seen) for each in thing)
    return size


@pytest.mark.parametrize("count", [1_000])
def test_a_record_is_no_larger_than_is_reckoned(count: int) -> None:
    ring = EventRing()
    for at in range(1, count + 1):
        keep(ring, at)
        ring.fetched.append((ring.records[-1][1][0], BIG + at + 30))
    shared = {id(TEMPLATE.name), id(()), *map(id, range(-5, 257))}
    size = sum(deep_size(record, shared) for record in (*ring.records, *ring.fetched))
    assert size / count <= RECORD_BYTES, "the ring would be larger than its bound"
    assert ring.limit == RING_BYTES // RECORD_BYTES


def test_counting_looks_at_each_record_once_and_misses_none() -> None:
    ring = EventRing(4 * RECORD_BYTES)
    keep(ring, 1)
    keep(ring, 2, FAILED)
    assert ring.count() == {("f", False): 1, ("f", True): 1}
    keep(ring, 3)
    assert ring.count()["f", False] == 2
    assert ring.count()["f", False] == 2
    for at in range(4, 12):
        keep(ring, at)
        ring.trim()
    assert ring.count()["f", False] == 6
    assert (ring.uncounted, ring.dropped) == (4, 7), "8 came, and 4 are remembered"
