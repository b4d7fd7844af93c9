"""Functions that are called once an object is settled: what futures of refs are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from paralab.object_ref import ObjectRef

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class Notice:
    """One function that waits for one object, and holds it."""

    __slots__ = ("call", "ref")

    def __init__(self, ref: ObjectRef, call: Callable[[], None]) -> None:
        self.ref = ref
        self.call = call


class Notices:
    """Those of one client."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._open: set[Notice] = set()
        """From the request to the object's settling, or the session's end."""

    def add(self, ref: ObjectRef, call: Callable[[], None]) -> bool:
        """Has ``call`` called once the object is settled; False if it is already.  Any thread."""
        if ref._entry.payload is not None or self._core.broken is not None:
            return False
        self._core.request(lambda: self._enter(Notice(ref, call)))
        return True

    def _enter(self, notice: Notice) -> None:
        entry = notice.ref._entry
        self._open.add(notice)
        if entry.payload is not None or self._core.broken is not None:
            self.tell(notice)
            return
        if entry.waiting is None:
            entry.waiting = []
        entry.waiting.append(notice)
        self._core.objects.fetch(entry)

    def tell(self, notice: Notice) -> None:
        """Calls the function, once.  Under the baton."""
        if notice in self._open:
            self._open.remove(notice)
            notice.call()

    def end(self) -> None:
        """The session is over: who asks now for the values is told so."""
        while self._open:
            self._open.pop().call()
