"""A caller's tasks that the node's memory monitor has killed: again after a pause, or never.

    node ──WHAT_RUNS──▶ caller ──RUNNING──▶ node           which task, since when, tried again?
    node ──SHORT_OF_MEMORY──▶ caller, then DIED            retried within task_oom_retries, after
                                                           a pause; or OutOfMemoryError

These attempts count by themselves: ``max_retries`` only says, by 0, that there is to be none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from paralab.exceptions import OutOfMemoryError
from paralab.ids import Address
from paralab.messages import RUNNING, SHORT_OF_MEMORY, WHAT_RUNS
from paralab.process.links import Link
from paralab.state.memory_monitor import KILLED, retry_delay_ns
from paralab.state.tasks import Task

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class LowMemory:
    """The part of a client that knows of memory that ran short.  Under the baton."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        settings = core.welcome["settings"]
        self._retries = int(settings["task_oom_retries"])
        self._base_ms = float(settings["task_oom_retry_delay_base_ms"])
        self.killed: dict[Address, tuple[str, bool]] = {}
        """Workers that die for want of memory: what is told of it, and whether trying again may
        help.  From SHORT_OF_MEMORY to DIED, which follows."""
        self.paused: list[tuple[int, int, Task]] = []
        """Tasks that are to be tried again, by the time in ns; a heap."""
        self.handlers: dict[int, Callable[..., None]] = {
            WHAT_RUNS: self._on_what_runs,
            SHORT_OF_MEMORY: self._on_short_of_memory,
        }

    def _on_what_runs(self, _link: Link, _kind: int, addresses: list[Address]) -> None:
        rows = []
        for address in addresses:
            worker = self._core.calls.table.leases.get(address)
            if worker is not None:
                task = worker.inflight.get(self._core.begun_by(address) or 0)
                if task is not None:
                    again = task.template.options.max_retries != 0 and not task.cancelled
                    rows.append((address, task.template.name, task.sent, again))
        self._core.node.post((RUNNING, rows))

    def _on_short_of_memory(
        self, _link: Link, _kind: int, address: Address, text: str, again: bool
    ) -> None:
        self.killed[address] = text, again

    def _final(self, task: Task) -> str:
        """Why the task is not tried again; "" if it is."""
        if task.template.options.max_retries == 0:
            return "max_retries=0; any other number allows it"
        if 0 <= self._retries <= task.killed:
            return (
                f"task_oom_retries={self._retries} allows no more; init(_system_config="
                "{'task_oom_retries': -1}) allows any number"
            )
        return ""

    def end_attempt(self, task: Task, text: str, again: bool) -> None:
        """The task had begun on a worker that was killed for want of memory."""
        core = self._core
        if task.cancelled:
            core.cancelling.end(task)
            return
        final = self._final(task)
        if not final and not again:
            final = (
                "nothing else of its caller held much, so there would be no more room next time; "
                "it needs more memory than there is, or must hold less at once"
            )
        if final:
            name, tries = task.template.name, task.attempt + 1
            error = OutOfMemoryError(
                f"Task {name} {KILLED}\n{text}\n"
                f"This was attempt {tries}, and it is not tried again: {final}."
            )
            core.calls.fail(task, core.objects.failure(error))
            return
        delay = retry_delay_ns(task.killed, self._base_ms)
        task.attempt += 1
        task.killed += 1
        heappush(self.paused, (time.monotonic_ns() + delay, task.key, task))

    def next_retry(self, now: int) -> float:
        """Seconds until a task is to be tried again; there must be one."""
        return max(0.0, (self.paused[0][0] - now) / 1e9)

    def retry(self, now: int) -> None:
        """Tries those again whose pause is over."""
        calls = self._core.calls
        while self.paused and self.paused[0][0] <= now:
            task = heappop(self.paused)[2]
            if not task.cancelled:
                calls.enqueue(task)
