"""Which labels a node must have: the conditions of ``label_selector``, and where they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Condition = tuple[str, bool, tuple[str, ...] | None]
"""(key, negated, values): the label's value is one of these; None stands for any value."""
Selector = tuple[Condition, ...]
"""Conditions that all must hold."""


def holds(selector: Sequence[Condition], labels: Mapping[str, str]) -> bool:
    """Whether a node with these labels meets every condition; no label is no value."""
    return all(
        (key in labels if values is None else labels.get(key) in values) is not negated
        for key, negated, values in selector
    )


def first_that_holds(selectors: Sequence[Selector], labels: Mapping[str, str]) -> bool:
    """Whether a node meets one of several selectors, of which each is the next one's fallback."""
    return not selectors or any(holds(selector, labels) for selector in selectors)
