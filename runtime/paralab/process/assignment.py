"""What a worker's lease or actor has been given: amounts, a place, and GPUs, which it can see.

``CUDA_VISIBLE_DEVICES`` is set for what has GPUs and left alone for others, as in Ray.  Where the
driver was given some of the machine's devices only, the node counts from 0 within these, and a
task is shown their real names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from paralab.process.capture import capture
from paralab.task_spec import RESOURCE_UNIT, Where

if TYPE_CHECKING:
    from paralab.process.client import CoreClient

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Assignment:
    """What this worker has at the moment."""

    def __init__(self) -> None:
        self._inherited = os.environ.get(VISIBLE)
        self._resources: dict[str, int] = {}
        self._where: Where | None = None
        self._devices: list[str] = []

    def take(
        self, core: CoreClient, resources: dict[str, int], devices: list[int], where: Any
    ) -> None:
        """A new lease begins, or the actor's life."""
        self._resources = resources
        self._where = Where(*where) if where else None
        capture(core, self._where)
        if devices or self._devices:
            self._show(devices)

    def _show(self, devices: list[int]) -> None:
        given = self._inherited.split(",") if self._inherited else []
        self._devices = [given[d] if d < len(given) else str(d) for d in devices]
        if devices:
            os.environ[VISIBLE] = ",".join(self._devices)
        elif self._inherited is None:
            os.environ.pop(VISIBLE, None)
        else:
            os.environ[VISIBLE] = self._inherited

    def facts(self) -> dict[str, Any]:
        """What ``info("context")`` tells of it."""
        where = self._where or Where()
        amounts = self._resources.items()
        return {
            "assigned_resources": {name: amount / RESOURCE_UNIT for name, amount in amounts},
            "accelerator_ids": {"GPU": list(self._devices)},
            "placement_group_id": where.group or None,
            "placement_group_capture_child_tasks": where.captures,
        }
