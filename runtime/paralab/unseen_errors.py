"""Errors that nobody ever asked for: they are told when the last ref to one goes.

``f.remote()`` without a ``get`` would otherwise hide that ``f`` fails each time.  An error counts
as seen once somebody has called ``get`` on it, has found it by ``wait``, has fetched it in another
process, or it has become the error of a task that takes it; then that one is told of, if nobody
looks at it either.  What was cancelled or killed on purpose is not told.

Told of are user's errors and lost processes, with the text of the error.  A constructor that
raises is told of by its own process, at once.  Nothing of the user's is unpickled here, as this
runs while the engine is at work.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from paralab.library_name import is_called_ray
from paralab.remote_errors import shown_failure

LOST = ("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "ProcessLimitError")
"""Errors of the runtime's own that are told of."""
CANCELLED = "TaskCancelledError"
"""Of a task that ran it has a traceback, as the user's errors have."""
KINDS = 1_000
"""So many different ones are counted."""


def untold(ref: Any) -> None:
    """Whatever becomes of a call, it need not be told: it was made ahead of what is wanted."""
    entry = ref._entry
    if not hasattr(entry, "untold"):
        entry.seen = True
    elif entry.untold is not None:  # in local mode it has failed by now, or never will
        entry.untold.seen = True


class UnseenErrors:
    """Those of one process.

    Args:
        show: is given what there is to tell, lines with their ends.
    """

    def __init__(self, show: Callable[[str], object]) -> None:
        self.show = show
        self._counts: dict[str, int] = {}
        """By the first line of an error, how many there were; all go when there are too many."""

    def tell(self, failure: bytes) -> None:
        """An error is gone that nobody has seen; alike ones are told at each power of ten."""
        switch = f"{'RAY' if is_called_ray() else 'PARALAB'}_IGNORE_UNHANDLED_ERRORS"
        if switch in os.environ:
            return
        kind, is_users, text = shown_failure(failure)
        kind = kind.rpartition(".")[2]
        if kind == CANCELLED or (not is_users and kind not in LOST):
            return
        first = text.partition("\n")[0]
        if len(self._counts) >= KINDS:
            self._counts.clear()
        count = self._counts[first] = self._counts.get(first, 0) + 1
        if count == 1:
            self.show(f"Unhandled error (suppress with '{switch}=1'): {text}\n")
        elif str(count).strip("0") == "1":
            self.show(f"Unhandled error, {count:,} times by now: {first}\n")
