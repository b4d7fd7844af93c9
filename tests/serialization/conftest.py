"""An engine whose entries are plain objects: enough for refs to be pickled and restored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from paralab import engine
from paralab.object_ref import ObjectRef

OWNER = b"node-id-" + bytes(4) + b"\0\0\0\1"


class _Mailbox:
    asleep = False

    def dropped(self, entry: Any) -> None:
        pass

    def wake(self) -> None:
        raise AssertionError("nobody sleeps here")


class _Entry:
    mailbox = _Mailbox()

    def __init__(self, owner: bytes, key: int) -> None:
        self.owner = owner
        self.key = key


class FakeEngine:
    """Remembers which refs were restored and which were pinned."""

    def __init__(self) -> None:
        self.restored: list[ObjectRef] = []
        self.pinned: list[ObjectRef] = []

    def ref(self, number: int) -> ObjectRef:
        return ObjectRef(_Entry(OWNER, number << 32))

    def restore_ref(self, owner: bytes, key: int) -> ObjectRef:
        ref = ObjectRef(_Entry(owner, key))
        self.restored.append(ref)
        return ref

    def pin_forever(self, ref: ObjectRef) -> None:
        self.pinned.append(ref)


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    """A FakeEngine, installed for one test."""
    before = engine.installed()
    made = FakeEngine()
    engine.install(cast("engine.Engine", made))
    yield made
    engine.install(before)
