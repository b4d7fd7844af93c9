"""The options that say where something runs, checked and made into a ``Where``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from paralab.engine import installed
from paralab.labels import parse_fallbacks, parse_selector
from paralab.runtime_context import RuntimeContext
from paralab.state.labels import Condition
from paralab.task_spec import Where, check_fits
from paralab.util.placement_group import (
    PlacementGroup,
    check_placement_group_index,
    get_current_placement_group,
)
from paralab.util.scheduling_strategies import (
    In,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    NotIn,
    PlacementGroupSchedulingStrategy,
)

_STRATEGIES = (
    str,
    PlacementGroupSchedulingStrategy,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
)


def where_of(
    options: Mapping[str, Any], resources: Mapping[str, int], placing: Mapping[str, int], name: str
) -> tuple[Where | None, bool]:
    """What the options of a task or actor say about its place.

    Args:
        options: as the user gave them.
        resources: what it holds, in units of 1e-4.
        placing: what it needs to start.
        name: of the function or class.

    Returns:
        The place, None if any will do; and whether it goes into the placement group of the task
        that starts it, if that captures.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option has a wrong value, options contradict each other, or what is asked
            for does not fit into the group.
    """
    strategy = options.get("scheduling_strategy")
    _check_strategy(strategy)
    group = options.get("placement_group", "default")
    if group not in ("default", None) and strategy is not None:
        raise ValueError(
            "Placement groups should be specified via the scheduling_strategy option. "
            "The placement_group option is deprecated."
        )
    index = options.get("placement_group_bundle_index", -1)
    captures = options.get("placement_group_capture_child_tasks")
    if isinstance(strategy, PlacementGroupSchedulingStrategy):
        group = strategy.placement_group
        index = strategy.placement_group_bundle_index
        captures = strategy.placement_group_capture_child_tasks
    selectors = _selectors(options)
    inherits = group == "default" and strategy is None and captures is not False
    if inherits and index != -1:  # of the group in which the task that asks runs, if that captures
        inherits, group, captures = False, _captured_in(), True
    if isinstance(group, PlacementGroup) and not group.is_empty:
        check_placement_group_index(group, index)
        check_fits(resources, placing, group.bundle_specs, name)
        if strategy is None and "placement_group" in options:
            _warn_deprecated()
        return Where(group.id.hex(), index, bool(captures), selectors=selectors), False
    if group is not None and group != "default" and not isinstance(group, PlacementGroup):
        raise TypeError(
            f"The placement_group {group!r} is of type {type(group).__name__}; expected a "
            "PlacementGroup, None or 'default'."
        )
    if not inherits:
        check_placement_group_index(PlacementGroup.empty(), index)
    if isinstance(strategy, NodeAffinitySchedulingStrategy):
        return Where(node=strategy.node_id, is_soft=strategy.soft, selectors=selectors), False
    if isinstance(strategy, NodeLabelSchedulingStrategy):
        hard = tuple(_condition(key, value) for key, value in strategy.hard.items())
        selectors = tuple(hard + each for each in selectors or ((),))
    spreads = strategy == "SPREAD"
    return Where(selectors=selectors, spreads=spreads) if selectors or spreads else None, inherits


def _captured_in() -> PlacementGroup | None:
    if installed() is None or not RuntimeContext().should_capture_child_tasks_in_placement_group:
        return None
    return get_current_placement_group()


def _check_strategy(strategy: Any) -> None:
    if strategy is None:
        return
    if not isinstance(strategy, _STRATEGIES):
        raise TypeError(
            f"The option scheduling_strategy={strategy!r} is of type {type(strategy).__name__}; "
            "expected None, 'DEFAULT', 'SPREAD', or a strategy of util.scheduling_strategies."
        )
    if isinstance(strategy, str) and strategy not in ("DEFAULT", "SPREAD"):
        raise ValueError(
            f"Invalid scheduling_strategy={strategy!r}; expected None, 'DEFAULT' or 'SPREAD'."
        )


def _selectors(options: Mapping[str, Any]) -> tuple[Any, ...]:
    option = "label_selector"
    try:
        first = parse_selector(options.get(option) or {})
        option = "fallback_strategy"
        fallbacks = parse_fallbacks(options.get(option) or [])
    except (TypeError, ValueError) as error:
        raise type(error)(f"The option {option}={options[option]!r}: {error}") from None
    return (first, *fallbacks) if first or fallbacks else ()


def _condition(key: str, operator: Any) -> Condition:
    if isinstance(operator, (In, NotIn)):
        return key, isinstance(operator, NotIn), tuple(operator.values)
    return key, type(operator).__name__ == "DoesNotExist", None


def _warn_deprecated() -> None:
    warnings.warn(
        "The options placement_group, placement_group_bundle_index and "
        "placement_group_capture_child_tasks are deprecated. Use "
        "scheduling_strategy=PlacementGroupSchedulingStrategy(...) instead.",
        DeprecationWarning,
        stacklevel=6,
    )
