"""Tasks that may run once only: none of them is queued behind another, or before one.

A worker collects the answers of short calls, and after SIGKILL those that it had not sent are
gone.  A task that had ended then runs again, which is what its retries are for.  With
``max_retries=0`` it must not: it may have written somewhere.  So such a task has its worker for
itself, and its answer leaves before anything else begins; if the worker dies, it is either the
one that had begun, and fails, or it had not begun.

Rejected: letting it fail although it had ended.  Then a task would fail for the crash of its
neighbour.
"""

from __future__ import annotations

from paralab.state.tasks import Template


class TriedOnce(Template):
    """Of calls with ``max_retries=0``: their time stays unknown, and what is, is not queued."""

    __slots__ = ()

    def measured(self, loaded: int, ended: int) -> None:
        """Forgets the time."""
