"""Which modules of the user's this worker has imported, and which of their files changed since.

A worker lives longer than a learner leaves a file alone.  What it has imported it keeps, so after
an edit it would go on running the old code without a word.  Therefore it remembers, for each
module that is neither the standard library's nor an installed package's, how its file looked
*before* it was read, looks at these files now and then, and says once for each change which
module is meant and that ``paralab.restart_workers()`` brings fresh processes.

    import stats ──▶ find_spec: stat, then the file is read ──▶ files["stats"]
    a call comes, LOOK_NS since the last look ──▶ look: stat each file (about 2 µs) ──▶ say

Rejected: looking through ``sys.modules`` after each call (an edit that happens while a long call
runs would be taken for the state that was imported), and reloading by itself (objects of the old
classes live on, and half of a program would run new code).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from paralab.remote_traceback import is_own_file

LOOK_NS = 1_000_000_000
"""Files are looked at no more often than this."""

_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

Stamp = tuple[int, int]
"""Time of the last change in ns, and size in bytes."""


def is_users_file(path: str) -> bool:
    """Whether ``path`` may be edited by the user: no installed package, nothing of Python's."""
    if path.startswith(_STANDARD) or is_own_file(path):
        return False
    return not any(part in path for part in _INSTALLED)


def stamp_of(path: str) -> Stamp | None:
    """How a file looks now; None if it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


class Imports:
    """Stands first in ``sys.meta_path``: finds what the others find, and remembers the file.

    Args:
        say: is given the name of a module whose file has changed, its path, and when in ns.
    """

    def __init__(self, say: Callable[[str, str, int], None]) -> None:
        self._say = say
        self._files: dict[str, tuple[str, Stamp]] = {}
        """By module name; from the import on.  The stamp is renewed when a change was said."""
        self.due = 0
        """When to look again, in ns of the monotonic clock."""

    def install(self) -> None:
        """Sees all imports of this process from now on."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the finders behind this one find; called by Python's import."""
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                if spec.has_location and spec.origin and is_users_file(spec.origin):
                    stamp = stamp_of(spec.origin)
                    if stamp is not None:
                        self._files[name] = (spec.origin, stamp)
                return spec
        return None

    def look(self, now: int) -> None:
        """Says which modules have changed; at most once every ``LOOK_NS``."""
        if now < self.due:
            return
        self.due = now + LOOK_NS
        for name, (path, stamp) in list(self._files.items()):
            found = stamp_of(path)
            # An editor may replace a file by a new one: a file that is not there comes back.
            if found is not None and found != stamp and name in sys.modules:
                self._files[name] = (path, found)
                self._say(name, path, found[0])
