"""A worker's part in a kept actor: it gets its constructor call from the node.

The call runs like any other.  What differs is that no caller holds its refs for us until the
reply: the actor's creator does, as long as it lives, and this worker tells the owners itself that
it holds them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paralab.ids import Address
from paralab.messages import ASSIGNED, CALL, CONSTRUCT, DEFINE, HOLD, PRINTED, RELAY_PRINT
from paralab.process.links import Link

if TYPE_CHECKING:
    from paralab.process.client import CoreClient
    from paralab.process.executor import Executor


class _Creator:
    """In place of the caller's link: the creator may be gone, or may have had its answer."""

    def __init__(self, core: CoreClient, address: Address) -> None:
        self._core = core
        self.address = address
        self.outbox = core.node.outbox

    def hold(self, refs: Any) -> None:
        """Tells the owners of ``refs`` that this process holds them."""
        core = self._core
        for owner, key in refs:
            if owner != core.address:
                core.objects.to_owner(owner, (HOLD, key, core.address))

    def post(self, message: tuple[Any, ...]) -> None:
        """Takes what is meant for the caller."""
        core = self._core
        if message[0] == PRINTED:
            core.node.post((RELAY_PRINT, *message[1:]))
            return
        *answer, inner, kept = message if len(message) > 5 else (*message, None, ())
        self.hold(kept)
        core.objects.to_owner(self.address, (*answer, inner))


class Construction:
    """Runs the constructor call of the node in one worker."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.facts: dict[str, Any] = {}
        """Of the kept actor that this process is: its name, and how often it was restarted."""
        self.handlers = {CONSTRUCT: self._on_construct}

    def _on_construct(
        self,
        link: Link,
        _kind: int,
        owner: Address,
        definition: Any,
        call: Any,
        held: dict[str, int],
        devices: list[int],
        depth: int,
        facts: dict[str, Any],
    ) -> None:
        executor = self._executor
        creator: Any = _Creator(executor.core, owner)
        self.facts = facts
        creator.hold(definition[6])
        handlers = executor.incoming.handlers
        handlers[ASSIGNED](link, ASSIGNED, held, devices, depth, facts.get("where"))
        handlers[DEFINE](creator, DEFINE, *definition)
        handlers[CALL](creator, CALL, *call)
