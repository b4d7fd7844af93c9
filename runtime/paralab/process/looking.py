"""Looking at stored objects: where one is now, and which of them this process looks at.

A view is noted before its place is checked, and the node takes a place's number away before it
asks who looks there (``state.spilling``).  So either the node hears of the view, or whoever makes
it finds no number and asks the node, which brings the object back if it has gone.

The notes are weak references that nobody but the view's pin keeps alive: a dictionary of them needs
no lock, whichever thread makes a view and whichever ends it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from io import FileIO
from typing import TYPE_CHECKING, Any

from paralab import exceptions
from paralab.exceptions import ObjectLostError
from paralab.ids import Address, object_id
from paralab.messages import LENT, LOOKED, PLACE_OF, STORED, WHO_LOOKS
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.state.ownership import Ref

if TYPE_CHECKING:
    from paralab.process.client import CoreClient

Place = tuple[int, int, int]


class Look:
    """What the pin of a view holds: the ref, by which the object lives."""

    __slots__ = ("__weakref__", "ref")

    def __init__(self, ref: ObjectRef) -> None:
        self.ref = ref


class Looking:
    """The views of one process."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._looks: dict[weakref.ref[Look], Ref] = {}
        """An entry is there from before a view is made until its last byte is let go."""
        self.handlers: dict[int, Callable[..., None]] = {
            WHO_LOOKS: self._on_who_looks,
            LENT: self._on_lent,
        }

    def view(self, ref: ObjectRef, place: Place) -> memoryview:
        """Read-only bytes of a stored object.  Any thread.

        Args:
            place: where it was when we last heard of it.

        Raises:
            ObjectLostError: it is there no more.
            ObjectStoreFullError, OutOfDiskError: there is no room to bring it back.
        """
        entry = ref._entry
        look = Look(ref)
        self._looks[weakref.ref(look, self._looks.pop)] = entry.owner, entry.key
        offset, size, number = place
        mapping = self._core.mapping
        if not mapping.holds(offset, number):
            answer = self._core.ask(PLACE_OF, entry.owner, entry.key)
            if type(answer[0]) is FileIO:
                file, position = answer
                return self._copy(file, position, size, entry.owner, entry.key)
            offset, size, number = now = self.place(answer, entry.owner, entry.key)
            if entry.outcome == STORED and entry.payload is not None:
                entry.payload = now
        return mapping.view(offset, size, look)

    @staticmethod
    def _copy(file: FileIO, position: int, size: int, owner: Address, key: int) -> memoryview:
        """Bytes of our own, as the store has no room for them."""
        data = memoryview(bytearray(size))
        with file:
            file.seek(position)
            done = 0
            while done < size:
                count = file.readinto(data[done:])
                if not count:
                    text = f"It was spilled, and its file ends after {done:,} of {size:,} bytes."
                    raise ObjectLostError(object_id(owner, key).hex(), message=text)
                done += count
        return data.toreadonly()

    @staticmethod
    def place(answer: Any, owner: Address, key: int) -> Place:
        """The place that the node has answered with.

        Raises:
            ObjectLostError, ObjectStoreFullError, OutOfDiskError: it has none, because ...
        """
        if type(answer[0]) is not str:
            offset, size, number = answer
            return offset, size, number
        kind, text = answer
        if kind == "ObjectLostError":
            raise ObjectLostError(object_id(owner, key).hex(), message=text)
        raise getattr(exceptions, kind)(text)

    def _on_lent(self, link: Link, _kind: int, number: int, position: int) -> None:
        """There is no room to bring it back: a file, with what is to be read from it."""
        file = FileIO(self._core.links.descriptor())
        if number in self._core.questions.open:
            self._core.questions.on_answer(link, LENT, number, (file, position))
        else:
            file.close()

    def _on_who_looks(self, _link: Link, _kind: int, number: int, refs: list[Ref]) -> None:
        """The node wants to spill objects that nobody looks at.  Under the baton."""
        looks = list(self._looks.values())  # one step, as others go on making and ending views
        seen = set(looks)
        self._core.node.post((LOOKED, number, [ref for ref in refs if ref in seen]))
