"""Asking all processes of a session what they keep to themselves.

::

    asker ──SURVEY──▶ node ──TELL──▶ every other process
    asker ◀──ANSWER── node ◀──TOLD──  (its I/O thread, even while a task runs)

The node's first ANSWER says who was asked; each further one is what a process has told.  The
node keeps nothing, so it is the asker who stops waiting: when all have answered or died, or when
its time is over.  Then the answers are partial, and it says of whom.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from paralab.engine import Survey, Told, tell
from paralab.ids import Address, make_address
from paralab.messages import SURVEY, TOLD
from paralab.process.links import Link
from paralab.state.told import news, object_rows, task_rows

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class Surveys:
    """The surveys of one client: its own, and its answers to those of others."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core

    def ask(self, what: str, limit: int, timeout: float) -> Survey:
        """See :meth:`paralab.engine.Engine.survey`."""
        core = self._core
        mine: list[Any] = []

        def done() -> Any:
            complete = box and not {who for who, _pid, _is_driver in box[0]}.difference(
                core.dead, (who for who, _rows in box[1:])
            )
            return core.broken or (mine and complete)

        def begin() -> None:
            core.node.post((SURVEY, number, what, limit))
            mine.append(self._rows(what, limit))

        number = core.questions.next_number()
        box = core.questions.open[number] = []
        try:
            core.mailbox.requests.append(begin)
            core.baton.wait(done, time.monotonic() + timeout)
        finally:
            core.questions.open.pop(number, None)
        nobody = [(make_address(core.welcome["node_id"], 0, 0), 0, False)]  # the node itself
        asked = {who: (pid, is_driver) for who, pid, is_driver in (box[0] if box else nobody)}
        is_driver = core.address == core.welcome["driver"]
        told = [Told(core.address, os.getpid(), is_driver, *mine or [None])]
        told += [Told(who, *asked[who], rows) for who, rows in box[1:]]
        return Survey(told, sorted(asked.keys() - {one.address for one in told} - core.dead.keys()))

    def on_tell(
        self, _link: Link, _kind: int, asker: Address, number: int, what: str, limit: int
    ) -> None:
        """Somebody asks."""
        self._core.node.post((TOLD, asker, number, self._rows(what, limit)))

    def _rows(self, what: str, limit: int) -> Any:
        core = self._core
        pending = core.calls.table.pending
        if what == "tasks":
            return task_rows(core.events, pending.values(), core.begun_by, limit)
        if what == "news":
            return news(core.events, pending.values(), core.begun_by, limit)
        if what == "objects":
            known, recipes = core.ownership, core.rebuilding.lineage.recipes
            entries = [*known.owned.values(), *known.borrowed.values()]
            return object_rows(entries, pending.values(), recipes.values(), sys.getrefcount, limit)
        if what == "marks":
            return core.events.marks(limit)
        return tell(what, limit)
