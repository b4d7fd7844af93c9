"""Which GPU a task gets: whole devices to whole requests, shares of one device to fractions."""

from __future__ import annotations

from collections.abc import Mapping

from paralab.task_spec import RESOURCE_UNIT


class Accelerators:
    """The free part of each device, in units of 1e-4."""

    def __init__(self, count: int, shares: Mapping[int, int] | None = None) -> None:
        """All of ``count`` devices, or only ``shares`` of them."""
        self.free = [RESOURCE_UNIT] * count
        if shares is not None:
            self.free = [shares.get(device, 0) for device in range(count)]

    def fit(self, amount: int) -> bool:
        """Whether :meth:`take` would find devices for ``amount``."""
        if amount < RESOURCE_UNIT:
            return not amount or max(self.free, default=0) >= amount
        return self.free.count(RESOURCE_UNIT) >= -(-amount // RESOURCE_UNIT)

    def take(self, amount: int) -> dict[int, int]:
        """Chooses devices for ``amount``; returns how much of each, empty if none fit.

        A fraction goes to the fullest device that has room for it, so that whole ones stay whole.
        """
        if not amount:
            return {}
        if amount < RESOURCE_UNIT:
            fitting = [(free, i) for i, free in enumerate(self.free) if free >= amount]
            if not fitting:
                return {}
            taken = {min(fitting)[1]: amount}
        else:
            whole = [i for i, free in enumerate(self.free) if free == RESOURCE_UNIT]
            count = -(-amount // RESOURCE_UNIT)
            if len(whole) < count:
                return {}
            taken = dict.fromkeys(whole[:count], RESOURCE_UNIT)
        for device, share in taken.items():
            self.free[device] -= share
        return taken

    def give(self, taken: dict[int, int]) -> None:
        """Gives devices back."""
        for device, share in taken.items():
            self.free[device] += share
