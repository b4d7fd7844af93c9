"""What this process has measured and nobody has taken yet, by the request that wanted it.

Results do not ride in a task's answer: they are merged here, and handed over to the node from time
to time (:data:`SECONDS`), under a name of this process, where the driver finds them even if the
process has ended.  What is not handed over yet, the driver asks for (a survey of "profiles").  Each
hand-over holds everything of its request, so the newest one counts, and ten thousand tasks are a
few messages.
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
from paralab_profiling.profilers.result import Profile, ProfileError, merge
from paralab_profiling.profilers.tools import Collector, Tool, find

SPACE = b"paralab profiles"
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


class Store:
    """What one process keeps."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._kept: dict[tuple[str, str], Kept] = {}
        self._handed = 0.0
        self._engine: Any = None
        self._is_dirty = False

    def of(self, request: profiled.Request) -> Kept:
        """What is kept of a request."""
        key = request.id, request.tool
        with self.lock:
            found = self._kept.get(key)
            if found is None:
                found = self._kept[key] = Kept(request)
                self._adopt()
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
        if engine is not self._engine:
            self._engine = engine
            tells["profiles"] = self.told
            if not getattr(self, "_is_known", False):
                self._is_known = True
                atexit.register(self.hand_over)

    def hand_over_if_due(self) -> None:
        """Hands over if that was not done for a while."""
        if self._is_dirty and time.monotonic() - self._handed >= SECONDS:
            self.hand_over()

    def hand_over(self) -> None:
        """Leaves everything with the node."""
        engine = self._engine
        if engine is None or not self._is_dirty:
            return
        self._is_dirty = False
        try:
            for name, value in self.told(0).items():
                engine.key_values("put", SPACE, name.encode(), (value, True))
        except Exception:
            pass  # the session has ended, and with it whoever might ask
        self._handed = time.monotonic()

    def told(self, _limit: int) -> dict[str, bytes]:
        """All that is kept, packed, by the request and this process."""
        with self.lock:
            kept = list(self._kept.values())
            return {
                f"{each.request.id}/{each.request.tool}/{self._me()}/{each.part}": packed(
                    each.profile(), each.ended
                )
                for each in kept
            }

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

    Raises:
        ProfileError: it is something else.
    """
    try:
        ended, found = json.loads(zlib.decompress(data))
    except (ValueError, zlib.error):
        raise ProfileError("A worker's profile cannot be read.") from None
    return int(ended), Profile.from_dict(found)
