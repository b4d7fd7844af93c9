"""Streams as tables: what is ready, how far a producer may go, what an end and a close leave."""

from __future__ import annotations

from collections import deque
from typing import Any

from paralab.ids import INDEX_BITS, make_address
from paralab.object_ref import ObjectRef
from paralab.state.ownership import Entry
from paralab.state.streams import NO_LIMIT, Item, Stream

OWNER = make_address(b"\x01" * 28, 1, 5)
KEY = 9 << INDEX_BITS | 1


class Mailbox:
    asleep = False

    def __init__(self) -> None:
        self.changes: deque[Any] = deque()
        self.dropped = self.changes.append

    def wake(self) -> None:
        raise AssertionError("nobody sleeps")


def stream(limit: int = NO_LIMIT) -> Stream:
    return Stream(Entry(KEY, OWNER, Mailbox()), limit)


def item(of: Stream) -> ObjectRef:
    return ObjectRef(Item(KEY + 1 + of.come, OWNER, of.mailbox, b"x"))


def test_items_are_taken_in_order_and_then_it_is_over() -> None:
    items = stream()
    assert items.payload is None
    first, second = item(items), None
    items.add(first, 1)
    second = item(items)
    items.add(second, 2)
    assert items.payload
    assert not items.finished()
    assert (items.come, items.bytes) == (2, 3)
    items.end()
    assert not items.finished()
    assert list(items.ready) == [first, second]
    items.ready.clear()
    assert items.finished()
    assert items.payload


def test_an_unlimited_producer_is_told_nothing_but_the_end() -> None:
    items = stream()
    assert items.opening() == (NO_LIMIT, 0, False)
    items.add(item(items), 1)
    items.ready.popleft()
    assert items.credit() is None
    items.close()
    assert items.credit() == (NO_LIMIT, True)


def test_a_limited_producer_may_be_so_far_ahead() -> None:
    items = stream(2)
    assert items.opening() == (2, 0, False)
    for _ in range(2):
        items.add(item(items), 1)
    assert items.credit() is None
    items.ready.popleft()
    assert items.credit() == (3, False)
    assert items.credit() is None
    items.ready.popleft()
    items.add(item(items), 1)
    assert items.credit() == (4, False)


def test_a_new_attempt_leaves_out_what_has_come() -> None:
    items = stream(3)
    for _ in range(3):
        items.add(item(items), 1)
    items.ready.popleft()
    assert items.opening() == (4, 3, False)


def test_what_comes_after_the_close_is_let_go() -> None:
    items = stream()
    items.add(item(items), 1)
    items.close()
    mailbox: Any = items.mailbox
    assert [entry.key for entry in mailbox.changes] == [KEY + 1]
    items.add(item(items), 1)
    assert [entry.key for entry in mailbox.changes] == [KEY + 1, KEY + 2]
    assert items.finished()
    assert items.opening() == (NO_LIMIT, 2, True)
    items.end(ObjectRef(items.entry))
    assert items.finished()


def test_a_lost_task_leaves_the_ref_of_its_end() -> None:
    items = stream()
    items.add(item(items), 1)
    items.end(ObjectRef(items.entry))
    assert [ref._entry.key for ref in items.ready] == [KEY + 1, KEY]


def test_those_who_wait_in_coroutines_are_called_once() -> None:
    items = stream()
    called: list[int] = []
    items.callbacks.append(lambda: called.append(1))
    items.add(item(items), 1)
    items.call_back()
    items.call_back()
    assert called == [1]
