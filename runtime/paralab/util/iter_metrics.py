"""Counters that travel along a chain of local iterators, and who made the present item."""

from __future__ import annotations

from collections import defaultdict
from typing import Any


class MetricsContext:
    """What the stages of one chain note.

    Attributes:
        counters: numbers by name.
        timers: anything by name that measures time; an entry appears with its first use.
        info: anything else by name.
        current_actor: the actor that made the item that is passed on just now.
    """

    def __init__(self) -> None:
        self.counters: defaultdict[str, int] = defaultdict(int)
        self.timers: dict[str, Any] = {}
        self.info: dict[str, Any] = {}
        self.current_actor: Any = None

    def save(self) -> dict[str, Any]:
        """The counters and infos, to be restored elsewhere."""
        return {"counters": dict(self.counters), "info": dict(self.info)}

    def restore(self, values: dict[str, Any]) -> None:
        """Takes over what :meth:`save` has returned."""
        self.counters.clear()
        self.counters.update(values["counters"])
        self.info = dict(values["info"])


class SharedMetrics:
    """The one context that iterators share which were made from each other."""

    def __init__(
        self, metrics: MetricsContext | None = None, parents: list[SharedMetrics] | None = None
    ) -> None:
        self.metrics = metrics or MetricsContext()
        self.parents = parents or []
        self.set(self.metrics)

    def set(self, metrics: MetricsContext) -> None:
        """Makes ``metrics`` the context, of those that this was joined from too."""
        self.metrics = metrics
        for parent in self.parents:
            parent.set(metrics)

    def get(self) -> MetricsContext:
        """The context."""
        return self.metrics
