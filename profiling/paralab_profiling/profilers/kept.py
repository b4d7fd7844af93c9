"""What this process has measured and nobody has taken yet, by the request that wanted it.

Results do not ride in a task's answer: they are merged here, and handed over to the node from time
to time (:data:`SECONDS`, and before the first call of a new request), under a name of this process,
where the driver finds them even if the process has ended.  What is not handed over yet, the driver
asks for (a survey of "profiles"), before it looks what the node has: so nothing falls between the
two.  Each hand-over holds everything of its request, so the newest one counts, and ten thousand
tasks are a few messages.  A request that nothing was added to is neither handed over nor told
again: a block pays for itself alone, however many were before it.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
import zlib
from typing import Any

from paralab import profiled
from paralab.engine import installed, tells
from paralab_profiling.profilers.places import numbered
from paralab_profiling.profilers.result import Profile, ProfileError, merge
from paralab_profiling.profilers.tools import Collector, Tool, find

SPACE = b"paralab profiles"
CLOSE = "close profilers"
"""The survey upon which what lingers after the last call ends."""
SECONDS = 0.1
"""Between two hand-overs of one process, at least."""
MOST_REQUESTS = 16
"""That a process keeps; the oldest is handed over and forgotten."""


class Kept:
    """Everything of one request in this process."""

    def __init__(self, request: profiled.Request) -> None:
        self.request = request
        self.tool: Tool = find(request.tool)
        self.collectors: dict[str, Collector] = {}
        self.missed: dict[str, int] = {}
        self.ended = 0
        """Sessions that are over."""
        self.part = os.urandom(4).hex()
        """Tells what was begun anew after it was forgotten."""
        self._packed: tuple[int, bytes] | None = None
        """Of how much it was made; none while asking again may tell more."""
        self.handed: tuple[Any, bytes] = None, b""
        """To which engine's node, and what."""

    def collector(self, name: str) -> Collector:
        """Of the tasks called ``name``."""
        found = self.collectors.get(name)
        if found is None:
            settings = dict(self.request.settings)
            found = self.collectors[name] = self.tool.collector(name, settings)
        return found

    def profile(self) -> Profile:
        """All that has ended."""
        parts = [each.profile() for each in list(self.collectors.values())]
        empty = Profile(self.tool.name, self.tool.unit, (), missed=dict(self.missed))
        return merge([empty, *parts])

    @property
    def amount(self) -> int:
        """Grows with everything that is added."""
        return self.ended + sum(self.missed.values())

    def packed(self) -> bytes:
        """The same as it is handed over; made anew only if there may be more to tell."""
        if self._packed is None or self._packed[0] != self.amount:
            made = self.amount, packed(self.profile(), self.ended)
            is_all = all(getattr(each, "is_settled", True) for each in self.collectors.values())
            self._packed = made if is_all else None
            return made[1]
        return self._packed[1]

    def is_handed_to(self, engine: Any) -> bool:
        """Whether that engine's node has all of it."""
        if self._packed is None or self._packed[0] != self.amount:
            return False
        return self.handed[0] is engine and self.handed[1] is self._packed[1]


class Store:
    """What one process keeps."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._handing = threading.Lock()
        """One hand-over at a time, else an older one could replace a newer."""
        self._kept: dict[tuple[str, str], Kept] = {}
        self._handed = 0.0
        self._engine: Any = None
        self._is_dirty = False
        self._is_known = False
        """Whether the end of this process will hand over."""

    def of(self, request: profiled.Request) -> Kept:
        """What is kept of a request."""
        key = request.id, request.tool
        if key not in self._kept:
            self.hand_over()
        with self.lock:
            self._adopt()
            found = self._kept.get(key)
            if found is None:
                found = self._kept[key] = Kept(request)
        if len(self._kept) > MOST_REQUESTS:
            self.hand_over()
            with self.lock:
                for old in list(self._kept)[:-MOST_REQUESTS]:
                    del self._kept[old]
        return found

    def missed(self, request: profiled.Request, why: str) -> None:
        """A call is not measured."""
        kept = self.of(request)
        with self.lock:
            kept.missed[why] = kept.missed.get(why, 0) + 1
            self._is_dirty = True

    def ended(self, kept: Kept) -> None:
        """A session is over."""
        with self.lock:
            kept.ended += 1
            self._is_dirty = True

    def _adopt(self) -> None:
        engine = installed()
        # A worker that ends has put its engine away already; to the node it is what it was.
        if engine is not None and engine is not self._engine:
            self._kept.clear()  # of a session that has ended: nobody in this one asks for it
            self._engine = engine
            tells["profiles"] = self.news
            tells[CLOSE] = self.close
            if not self._is_known:
                self._is_known = True
                atexit.register(self.hand_over)

    def hand_over_if_due(self) -> None:
        """Hands over if that was not done for a while."""
        if self._is_dirty and time.monotonic() - self._handed >= SECONDS:
            self.hand_over()

    def hand_over(self) -> None:
        """Leaves with the node what it does not have."""
        engine = self._engine
        if engine is None or not self._is_dirty:
            return
        with self._handing:
            self._is_dirty = False
            with self.lock:
                kept = [each for each in self._kept.values() if not each.is_handed_to(engine)]
            try:
                for each in kept:
                    with self.lock:
                        value = each.packed()
                    engine.key_values("put", SPACE, self._name(each).encode(), (value, True))
                    each.handed = engine, value
            except Exception:
                pass  # the session has ended, and with it whoever might ask
            self._handed = time.monotonic()

    def told(self) -> dict[str, bytes]:
        """All that is kept, packed, by the request and this process."""
        with self.lock:
            self._adopt()
            return {self._name(each): each.packed() for each in self._kept.values()}

    def news(self, _limit: int) -> dict[str, bytes]:
        """The same of what the node does not have."""
        with self.lock:
            self._adopt()
            return {
                self._name(each): each.packed()
                for each in self._kept.values()
                if not each.is_handed_to(self._engine)
            }

    def close(self, _limit: int) -> dict[str, bytes]:
        """Ends what goes on after the last call, such as tracemalloc, if no call runs."""
        with self.lock:
            for each in self._kept.values():
                for collector in each.collectors.values():
                    close = getattr(collector, "close", None)
                    if close is not None:
                        close()
        return {}

    def _name(self, kept: Kept) -> str:
        return f"{kept.request.id}/{kept.request.tool}/{self._me()}/{kept.part}"

    def _me(self) -> str:
        address = getattr(self._engine, "address", b"")
        return address.hex() if isinstance(address, bytes) else ""

    def forget(self, request_id: str) -> None:
        """Drops what is kept of a request."""
        with self.lock:
            for key in [key for key in self._kept if key[0] == request_id]:
                del self._kept[key]


STORE = Store()
"""Of this process."""


def _forked() -> None:
    global STORE
    STORE = Store()  # a task's child has measured nothing, and its parent's lock may be held


os.register_at_fork(after_in_child=_forked)


def packed(profile: Profile, ended: int) -> bytes:
    """A profile as a worker hands it over."""
    text = json.dumps([ended, profile.to_dict()], separators=(",", ":"))
    return zlib.compress(text.encode("utf-8", "replace"), 1)


def unpacked(data: bytes) -> tuple[int, Profile]:
    """What :func:`packed` has made: how many sessions had ended, and the profile.

    Cells of a notebook, which workers cannot name, get their numbers here.

    Raises:
        ProfileError: it is something else.
    """
    try:
        ended, found = json.loads(numbered(zlib.decompress(data).decode()))
    except (ValueError, zlib.error):
        raise ProfileError("A worker's profile cannot be read.") from None
    return int(ended), Profile.from_dict(found)
