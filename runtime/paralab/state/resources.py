"""Resources as exact sums: ints in units of 1/10,000, so that ten times 0.1 CPU is one CPU."""

from __future__ import annotations

from collections.abc import Mapping

from paralab.task_spec import RESOURCE_UNIT

Amounts = Mapping[str, int]


class Resources:
    """What a node has and what of it is free.

    ``available`` may go below zero: a task that lent its CPU while it waited takes it back at
    once and does not wait a second time.
    """

    def __init__(self, total: Amounts) -> None:
        self.total: dict[str, int] = dict(total)
        self.available: dict[str, int] = dict(total)

    def feasible(self, amounts: Amounts) -> bool:
        """Whether the node could meet the request if it were idle."""
        return all(self.total.get(name, 0) >= amount for name, amount in amounts.items())

    def fits(self, amounts: Amounts) -> bool:
        """Whether the node can meet the request now."""
        available = self.available
        return all(available.get(name, 0) >= amount for name, amount in amounts.items())

    def take(self, amounts: Amounts) -> None:
        """Uses an amount, below zero if need be."""
        for name, amount in amounts.items():
            self.available[name] = self.available.get(name, 0) - amount

    def give(self, amounts: Amounts) -> None:
        """Gives an amount back."""
        for name, amount in amounts.items():
            self.available[name] = self.available.get(name, 0) + amount

    def shown(self, amounts: Amounts | None = None) -> dict[str, float]:
        """Amounts as users write them, zeros and debts left out; by default what is free."""
        amounts = self.available if amounts is None else amounts
        return {
            name: amount / RESOURCE_UNIT for name, amount in sorted(amounts.items()) if amount > 0
        }
