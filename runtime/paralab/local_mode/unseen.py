"""Errors that nobody has asked for, told by the process in which they were raised.

An exception holds the frames that it came through, and with them all that stands in their
variables, the ref of its own task among that.  So an error that nobody wants goes only when the
garbage collector comes by.  At the end of the session all are told that are still there.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any
from weakref import WeakValueDictionary

from paralab.engine import installed
from paralab.unseen_errors import UnseenErrors


class Untold:
    """The error of a task, for as long as nobody has asked for it; if it goes so, it is told."""

    __slots__ = ("__weakref__", "_failure", "_unseen", "seen")

    def __init__(self, unseen: Unseen, failure: bytes) -> None:
        self.seen = False
        self._unseen, self._failure = unseen, failure

    def tell(self) -> None:
        if not self.seen:
            self.seen = True
            self._unseen.tell(self._failure)

    def __del__(self) -> None:
        if installed() is not None:
            self.tell()


class Unseen(UnseenErrors):
    """Those of one session."""

    def __init__(self) -> None:
        super().__init__(_say)
        self._numbers = itertools.count()
        self._waiting: WeakValueDictionary[int, Untold] = WeakValueDictionary()
        """In the order in which they came."""

    def watch(self, failure: bytes) -> Untold:
        found = self._waiting[next(self._numbers)] = Untold(self, failure)
        return found

    def tell_all(self) -> None:
        for each in list(self._waiting.values()):
            each.tell()


def saw(entry: Any) -> None:
    """Somebody has asked for it, so its error need not be told."""
    if entry.untold is not None:
        entry.untold.seen = True


def _say(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
