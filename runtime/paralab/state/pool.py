"""Resources that are given out together: those of a node, or of one bundle that was cut from it.

A bundle of a placement group is a pool of its own.  So a task in a bundle is placed, lends its
CPU and gets its devices by the same rules as any other, and cannot touch what is outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from paralab.state.accelerators import Accelerators
from paralab.state.resources import Amounts, Resources


@dataclass(slots=True, eq=False)
class VirtualNode:
    """One of the nodes that a node process imitates; nearly always there is one."""

    id: str = ""
    """In hexadecimal digits."""
    labels: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    number: int = 0
    """Its position among the nodes; 0 is the first, with the drivers."""
    is_alive: bool = True


class Pool:
    """Amounts, and the devices behind those of them that are GPUs."""

    __slots__ = ("devices", "node", "planned", "resources")

    def __init__(self, resources: Resources, devices: Accelerators, node: VirtualNode) -> None:
        self.resources = resources
        self.devices = devices
        self.node = node
        """On which it is; a worker has the resources of its own node only."""
        self.planned: dict[str, int] = {}
        """What the present round of decisions has promised; empty between rounds."""

    def fits(self, amounts: Amounts) -> bool:
        """Whether the amounts are free, beside what is promised."""
        available, planned = self.resources.available, self.planned
        return self.devices.fit(amounts.get("GPU", 0)) and all(
            available.get(name, 0) - planned.get(name, 0) >= amount
            for name, amount in amounts.items()
        )

    def plan(self, amounts: Amounts) -> None:
        """Promises amounts for the rest of this round."""
        for name, amount in amounts.items():
            self.planned[name] = self.planned.get(name, 0) + amount

    def take(self, amounts: Amounts) -> dict[int, int]:
        """Uses amounts; returns which share of which device that is."""
        self.resources.take(amounts)
        return self.devices.take(amounts.get("GPU", 0))

    def give(self, amounts: Amounts, devices: dict[int, int]) -> None:
        """The opposite of :meth:`take`."""
        self.resources.give(amounts)
        self.devices.give(devices)

    def unpromised(self) -> dict[str, int]:
        """What is free, beside what is promised."""
        planned = self.planned
        return {name: n - planned.get(name, 0) for name, n in self.resources.available.items()}

    def cut(self, amounts: Amounts) -> Pool | None:
        """A pool for a bundle out of this one; None, and nothing changed, if it does not fit."""
        if not self.fits(amounts):
            return None
        devices = Accelerators(len(self.devices.free), self.take(amounts))
        return Pool(Resources(amounts), devices, self.node)

    def absorb(self, other: Pool) -> None:
        """Takes back what is free in a pool that was cut from this one.

        What is in use there is given to this pool when it is free.
        """
        self.give(other.resources.available, dict(enumerate(other.devices.free)))
