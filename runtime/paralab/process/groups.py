"""A client's placement groups: asking for them, removing them, and refs that wait for them.

create ──CREATE_GROUP──▶ node: a request, see ``state.placement``
ready  ──GROUP watch───▶ node ──GROUP_STATE──▶ the ref stands for the group, or for an error
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from paralab.exceptions import SystemFailure, TaskPlacementGroupRemoved
from paralab.messages import CREATE_GROUP, FAILED, GROUP, GROUP_STATE, INLINE, TIDIED, TIDY
from paralab.object_ref import ObjectRef
from paralab.process.links import Link
from paralab.serialization import pack

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class Groups:
    """The placement group part of one client."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._waiting: dict[str, list[tuple[ObjectRef, bytes]]] = {}
        """For each group that somebody here waits for refs, and the value they will have; nearly
        always one.  An entry leaves when the group is made or removed."""
        self.handlers: dict[int, Callable[..., None]] = {
            GROUP_STATE: self._on_state,
            TIDY: self._on_tidy,
        }

    def create(self, group_id: str, wish: dict[str, Any]) -> None:
        """See :class:`paralab.engine.Groups`."""
        refused = self._core.ask(CREATE_GROUP, group_id, wish, self._core.depth + 1)
        if refused:
            raise SystemFailure(refused)

    def remove(self, group_id: str) -> None:
        """See :class:`paralab.engine.Groups`."""
        self._core.ask(GROUP, group_id, "remove")

    def ready(self, group_id: str, value: Any) -> ObjectRef:
        """See :class:`paralab.engine.Groups`."""
        core = self._core
        known = self._waiting.get(group_id)
        if known is not None:
            entry = known[0][0]._entry
            return core.objects.restore(entry.owner, entry.key)
        entry = core.ownership.own(core.next_key())
        entry.pending = True
        ref = ObjectRef(entry)
        data, _buffers, _refs = pack(value, "a placement group")
        core.mailbox.requests.append(partial(self._watch, group_id, ref, data))
        if core.mailbox.asleep:
            core.mailbox.wake()
        return ref

    # -- under the baton ---------------------------------------------------------------------

    def _watch(self, group_id: str, ref: ObjectRef, data: bytes) -> None:
        self._waiting.setdefault(group_id, []).append((ref, data))
        self._core.node.post((GROUP, 0, group_id, "watch"))

    def _on_state(self, _link: Link, _kind: int, group_id: str, is_made: bool) -> None:
        """A group that somebody here waits for is made, or removed."""
        objects = self._core.objects
        for ref, data in self._waiting.pop(group_id, ()):
            if is_made:
                objects.settle(ref._entry, INLINE, data, None)
            else:
                failure = objects.failure(TaskPlacementGroupRemoved())
                objects.settle(ref._entry, FAILED, failure, None)

    def _on_tidy(self, link: Link, _kind: int, number: int) -> None:
        """The node wants to know what is really free: leases without work go back first."""
        self._core.leasing.return_idle(0)
        link.post((TIDIED, number))
