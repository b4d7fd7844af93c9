"""A concurrency group whose calls run in threads: those of an actor without coroutines.

Threads are started as calls need them, up to the limit, and then stay.  Calls begin in the order
in which they came; they may end in any order.
"""

from __future__ import annotations

import threading
from collections.abc import Coroutine
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from paralab.process.received import Call

if TYPE_CHECKING:
    from paralab.process.lanes import Lanes


class ThreadLane:
    """See :class:`paralab.process.lanes.Lane`."""

    def __init__(self, lanes: Lanes, name: str, limit: int) -> None:
        self.limit = limit
        self.unfinished = 0
        self._lanes = lanes
        self._name = name or "default"
        self._calls: SimpleQueue[Call] = SimpleQueue()
        self._threads = 0

    def put(self, call: Call) -> None:
        """Queues a call; starts a thread for it if all are busy."""
        self.unfinished += 1
        self._calls.put(call)
        if self._threads < min(self.limit, self.unfinished):
            self._threads += 1
            name = f"paralab-{self._name}-{self._threads}"
            threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        mailbox = self._lanes.core.mailbox
        while True:
            run_here(self._lanes.run_call(self._calls.get(), self))
            mailbox.wake()

    def ended(self, call: Call) -> None:
        """Nothing is to be done: the thread takes the next call itself."""

    def clear(self) -> list[Call]:
        """Drops what no thread has taken."""
        dropped: list[Call] = []
        try:
            while True:
                dropped.append(self._calls.get_nowait())
        except Empty:
            return dropped

    def interrupt(self, call: Call) -> None:
        """A thread cannot be interrupted."""

    def close(self) -> None:
        """The threads end with the process."""


def run_here(call: Coroutine[Any, Any, Any]) -> Any:
    """Runs a call that never suspends."""
    try:
        call.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a call that no event loop runs has been suspended")
