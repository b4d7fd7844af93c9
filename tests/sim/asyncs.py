"""Event loops of imagined processes, for the lanes of async actors.

They are asyncio's own, with a selector that asks the imagined system, and its clock.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

from sim.world import Killed


class Selector(selectors.EpollSelector):
    """Waits at an imagined epoll object."""


class Loop(asyncio.SelectorEventLoop):
    """A loop of the present process."""

    clock: Callable[[], float]
    """In seconds; set where the stand-ins are put in place."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(selector or Selector())

    def time(self) -> float:
        """Seconds of imagined time."""
        return Loop.clock()

    def run_forever(self) -> None:
        """As asyncio's; if the process dies, so does what runs in it, now and not by garbage."""
        try:
            super().run_forever()
        except Killed:
            while left := [task for task in asyncio.all_tasks(self) if not _is_closed(task)]:
                for task in left:
                    try:
                        task.get_coro().close()  # type: ignore[union-attr]
                    except BaseException:  # what it does on its way reaches nobody
                        pass
            raise

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What goes wrong in a callback fails the run; tasks may end with their process."""
        error = context.get("exception")
        if error is not None:
            raise error

    def __del__(self) -> None:
        """Its sockets are gone with their world."""


def _is_closed(task: asyncio.Task[Any]) -> bool:
    coroutine: Any = task.get_coro()
    return coroutine.cr_frame is None
