"""What stays from call to call: two looks at a process, and how many calls lie between.

What one call leaves behind proves nothing: a cache that is filled once, a last result that the
next call replaces.  A leak grows with every call.  So the first look comes after the first call,
and the difference of a later look to it is divided by the calls between::

    call 1 │ look │ call 2 │ call 3 │ call 4 │ look      growth a call = difference / 3

Looks cost more than short calls.  They are taken only when somebody asks, and then only if the
last one has cost less than a twentieth of the time since, or the calls have doubled; figures of an
earlier look are as good, because they are divided by the calls before it.  What watches has an
end: when no call has run for a second (:data:`IDLE`), it is closed, and a later call begins anew.

Each block that is profiled has a :class:`Watch` of its own, so its figures are those of its own
calls.  What they look at belongs to the process, so watches of one kind share a :class:`Room`: a
call of one block first closes the other blocks' watches that are idle.  Only where calls of two
blocks run in one process at the same time, what grows meanwhile is told by both.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

IDLE = 1.0
"""Seconds without a call after which nothing is watched any more."""
SPARE = 20.0
"""A look must have cost less than one of so many parts of the time since."""

Table = Mapping[Hashable, tuple[int, int]]
"""Bytes and number of what there is, for each line or type."""


@dataclass
class Growth:
    """What has been found, over all times that were watched.

    Attributes:
        grown: difference of the last look to the first.
        left: what was there at the first look.
        intervals: calls between these looks.
        calls: all that have ended.
    """

    grown: dict[Hashable, tuple[int, int]] = field(default_factory=dict)
    left: dict[Hashable, tuple[int, int]] = field(default_factory=dict)
    intervals: int = 0
    calls: int = 0


class Room:
    """What the watches of one process share that look at the same thing, such as tracemalloc.

    Args:
        look: what there is now, since ``begin`` was called.
        begin: called before the first call; what it raises is raised by :meth:`Watch.enter`.
        close: called once no call has run for a while.
    """

    def __init__(
        self,
        look: Callable[[], Table],
        begin: Callable[[], None] = lambda: None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.look, self._begin, self._close = look, begin, close
        self.lock = threading.RLock()
        self._open: list[Watch] = []
        """A watch appears with its first call and leaves when it is closed."""
        self._name = os.urandom(4).hex()
        self._watches = count()

    def watch(self) -> Watch:
        """One that has seen no call yet."""
        return Watch(self, f"{self._name}-{next(self._watches)}")

    def opened(self, watch: Watch) -> None:
        """A watch begins; others that only wait for more calls end, so as not to count its own."""
        for other in list(self._open):
            other.close_if_idle()
        if not self._open:
            self._begin()
        self._open.append(watch)

    def closed(self, watch: Watch) -> None:
        """It has ended."""
        self._open.remove(watch)
        if not self._open:
            self._close()


class Watch:
    """Watches the process while calls of one block run in it, one or several at once.

    Args:
        room: what it looks at, and who else does.
        token: names its figures among those of others; the process before the dash.
    """

    def __init__(self, room: Room, token: str) -> None:
        self._room, self._lock = room, room.lock
        self._running = 0
        self._is_open = False
        self._past = Growth()
        self._first: Table | None = None
        self._last: Table = {}
        self._calls = self._first_at = self._last_at = 0
        self._cost = self._looked = self._ended = 0.0
        self._closed = threading.Event()
        self.token = token

    def enter(self) -> None:
        """A call begins."""
        with self._lock:
            if not self._is_open:
                self._room.opened(self)
                self._is_open = True
                self._closed = threading.Event()
                tidy = threading.Thread(target=self._tidy, args=(self._closed,), daemon=True)
                tidy.start()
            elif not self._running:
                self._look_first()  # by now the result of the call before is gone
            self._running += 1

    def leave(self) -> None:
        """A call has ended, whatever the way."""
        with self._lock:
            self._running -= 1
            self._calls += 1
            self._past.calls += 1
            self._ended = time.monotonic()

    @property
    def is_settled(self) -> bool:
        """Whether there is no call after the last look."""
        with self._lock:
            return not self._is_open or self._last_at == self._calls

    def growth(self) -> Growth:
        """Everything until now; looks again if that is due."""
        with self._lock:
            self._look_if_due()
            found = Growth(dict(self._past.grown), dict(self._past.left), self._past.intervals)
            found.calls = self._past.calls
            self._add_to(found)
            return found

    def _look_first(self) -> None:
        if self._first is None and self._calls:
            self._take()
            self._first, self._first_at = self._last, self._calls

    def _look_if_due(self) -> None:
        if not self._is_open or self._running:
            return
        self._look_first()
        is_doubled = self._calls >= 2 * self._last_at
        is_spent = time.monotonic() - self._looked < SPARE * self._cost
        if self._last_at < self._calls and (is_doubled or not is_spent):
            self._take()

    def _take(self) -> None:
        begun = time.monotonic()
        self._last, self._last_at = self._room.look(), self._calls
        self._looked = time.monotonic()
        self._cost = self._looked - begun

    def _add_to(self, found: Growth) -> None:
        if self._first is None:
            return
        for key, (size, number) in self._first.items():
            known = found.left.get(key, (0, 0))
            found.left[key] = known[0] + size, known[1] + number
        for key in {**self._first, **self._last}:
            before, now = self._first.get(key, (0, 0)), self._last.get(key, (0, 0))
            if before != now:
                known = found.grown.get(key, (0, 0))
                found.grown[key] = known[0] + now[0] - before[0], known[1] + now[1] - before[1]
        found.intervals += self._last_at - self._first_at

    def _tidy(self, closed: threading.Event) -> None:
        """Closes once no call has run for a while, in a thread of its own."""
        while not closed.wait(IDLE):
            with self._lock:
                if time.monotonic() - self._ended >= IDLE:
                    self.close_if_idle()

    def close_if_idle(self) -> None:
        """Ends watching, unless a call runs."""
        with self._lock:
            if not self._running:
                self.close()

    def close(self) -> None:
        """Ends watching; what was found stays."""
        with self._lock:
            if not self._is_open:
                return
            if not self._running:
                self._look_first()
                if self._last_at < self._calls:
                    self._take()
            self._add_to(self._past)
            self._first, self._last = None, {}
            self._calls = self._first_at = self._last_at = 0
            self._is_open = False
            self._closed.set()
            self._room.closed(self)


def rows_of(found: Growth, most: int) -> list[list[Any]]:
    """The largest, as plain data: key, grown bytes and number, left bytes and number."""

    def size(key: Any) -> tuple[int, int, int]:
        grown, left = found.grown.get(key, (0, 0)), found.left.get(key, (0, 0))
        return abs(grown[0]) or abs(grown[1]), left[0], left[1]

    keys = sorted({**found.left, **found.grown}, key=size, reverse=True)[:most]
    return [[key, *found.grown.get(key, (0, 0)), *found.left.get(key, (0, 0))] for key in keys]
