"""An interrupted cell takes what it has started along.

In a script the process ends with Ctrl-C and its tasks with it; in a notebook the kernel lives on,
and tasks of an abandoned cell would keep the workers busy for the cells to come.  So when a cell
ends by an interrupt, the tasks that were submitted since it began, and are not answered, are
cancelled.  Those that another thread of the program has submitted meanwhile are among them.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from paralab.engine import installed
from paralab.library_name import is_called_ray

_INTERRUPTS = (KeyboardInterrupt, asyncio.CancelledError)


class Interrupts:
    """Watches the cells of one shell.

    Attributes:
        is_on: whether tasks are to be cancelled.
    """

    def __init__(self, shell: Any) -> None:
        self.is_on = True
        self._shell = shell
        self._begun: list[int] = []
        """When the cells that run now began, in ns; a cell may run another one."""

    @property
    def is_active(self) -> bool:
        """Whether tasks are cancelled; under the Ray alias never, as Ray leaves them alone."""
        return self.is_on and not is_called_ray()

    def watch(self) -> None:
        """From the next cell on."""
        self._shell.events.register("pre_run_cell", self._begin)
        self._shell.events.register("post_run_cell", self._end)

    def leave(self) -> None:
        """Undoes :meth:`watch`."""
        self._shell.events.unregister("pre_run_cell", self._begin)
        self._shell.events.unregister("post_run_cell", self._end)

    def _begin(self, _info: Any) -> None:
        self._begun.append(time.monotonic_ns())

    def _end(self, result: Any) -> None:
        if not self._begun:  # the cell that has loaded the extension
            return
        begun = self._begun.pop()
        # ipykernel has no result of a cell with `await` that was interrupted.
        failure = None if result is None else result.error_in_exec
        is_interrupted = result is None or isinstance(failure, _INTERRUPTS)
        engine = installed()
        if not is_interrupted or engine is None or not self.is_active:
            return
        count = engine.cancel_since(begun)
        if count:
            tasks = "1 task" if count == 1 else f"{count:,} tasks"
            sys.stderr.write(
                f"paralab: cancelled {tasks} of this cell (%paralab interrupt off leaves them)\n"
            )
