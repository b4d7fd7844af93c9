"""Questions to the node or to another process: a thread asks, and waits for the ANSWER.

A question carries a number of its own, and its answer carries the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paralab.exceptions import LocalNodeDied
from paralab.ids import Address
from paralab.process.links import Link

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class Questions:
    """The questions of one client."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self.next_number = itertools.count(1).__next__
        self.open: dict[int, list[Any]] = {}
        """For each question under way where its answer goes; leaves with who has asked."""

    def ask(self, kind: int, *question: Any, of: Address | None = None) -> Any:
        """Asks the node, or the process ``of``, and waits for the answer.

        Returns:
            the answer; None if the other process has ended.

        Raises:
            LocalNodeDied: there is no node any more.
        """
        core = self._core
        number = self.next_number()
        box = self.open[number] = []
        message = (kind, number, *question)
        try:
            if of is None:
                core.request(lambda: core.node.post(message))
                core.baton.wait(lambda: box or core.broken, None)
            else:
                core.request(lambda: core.objects.to_owner(of, message))
                core.baton.wait(lambda: box or core.broken or of in core.dead, None)
        finally:
            self.open.pop(number, None)
        if box:
            return box[0]
        if of in core.dead:
            return None
        raise core.broken or LocalNodeDied("The node did not answer.")

    def do(self, action: Callable[[], Any]) -> Any:
        """Has something done under the baton, after what was submitted before; its result."""
        box: list[Any] = []
        core = self._core
        core.request(lambda: box.append(action()))
        core.baton.wait(lambda: box or core.broken, None)
        return box[0] if box else None

    def on_answer(self, _link: Link, _kind: int, number: int, answer: Any) -> None:
        """An answer comes; nobody may wait for it any more."""
        box = self.open.get(number)
        if box is not None:
            box.append(answer)
