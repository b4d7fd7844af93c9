"""Resources that are given out together: those of a node, or of one bundle that was cut from it.

A bundle of a placement group is a pool of its own.  So a task in a bundle is placed, lends its
CPU and gets its devices by the same rules as any other, and cannot touch what is outside.
"""

from __future__ import annotations

from paralab.state.accelerators import Accelerators
from paralab.state.resources import Amounts, Resources


class Pool:
    """Amounts, and the devices behind those of them that are GPUs."""

    __slots__ = ("devices", "planned", "resources")

    def __init__(self, resources: Resources, devices: Accelerators) -> None:
        self.resources = resources
        self.devices = devices
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

    def cut(self, bundles: list[dict[str, int]]) -> list[Pool] | None:
        """Pools for ``bundles`` out of this one; None, and nothing changed, if they do not fit."""
        pools: list[Pool] = []
        for amounts in bundles:
            if not self.fits(amounts):
                for pool in pools:
                    self.absorb(pool)
                return None
            devices = Accelerators(len(self.devices.free), self.take(amounts))
            pools.append(Pool(Resources(amounts), devices))
        return pools

    def absorb(self, other: Pool) -> None:
        """Takes back what is free in a pool that was cut from this one.

        What is in use there is given to this pool when it is free.
        """
        self.give(other.resources.available, dict(enumerate(other.devices.free)))
