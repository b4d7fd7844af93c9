"""Where a task or an actor is to run: values of the option ``scheduling_strategy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paralab.ids import NODE_ID_SIZE

if TYPE_CHECKING:
    from paralab.util.placement_group import PlacementGroup


class PlacementGroupSchedulingStrategy:
    """In a placement group.

    Args:
        placement_group: the group; None for none.
        placement_group_bundle_index: which of its bundles, from 0; -1 for any.
        placement_group_capture_child_tasks: whether what the task or actor starts goes into the
            group too; None does as the task that starts it.
    """

    def __init__(
        self,
        placement_group: PlacementGroup,
        placement_group_bundle_index: int = -1,
        placement_group_capture_child_tasks: bool | None = None,
    ) -> None:
        self.placement_group = placement_group
        self.placement_group_bundle_index = placement_group_bundle_index
        self.placement_group_capture_child_tasks = placement_group_capture_child_tasks


class NodeAffinitySchedulingStrategy:
    """On one node.

    Args:
        node_id: the node's id in hexadecimal digits, or an object with a method ``hex``.
        soft: whether another node will do if that one does not exist or can never have what is
            asked for; if not, the task then fails.

    Raises:
        ValueError: ``node_id`` is no node's id, or the private arguments contradict ``soft``.
    """

    def __init__(
        self,
        node_id: Any,
        soft: bool,
        _spill_on_unavailable: bool = False,
        _fail_on_unavailable: bool = False,
    ) -> None:
        if not isinstance(node_id, str):
            node_id = node_id.hex()
        self.node_id: str = node_id
        self.soft = soft
        self._spill_on_unavailable = _spill_on_unavailable
        self._fail_on_unavailable = _fail_on_unavailable
        try:
            is_id = len(bytes.fromhex(node_id)) == NODE_ID_SIZE
        except ValueError:
            is_id = False
        if not is_id or set(node_id) == {"f"}:
            raise ValueError(
                f"Invalid node_id {node_id!r}. Node ID must be a valid hex string of "
                f"{2 * NODE_ID_SIZE} digits; nodes() lists the nodes and their ids."
            )
        if _spill_on_unavailable and not soft:
            raise ValueError("_spill_on_unavailable cannot be set when soft is False.")
        if _fail_on_unavailable and soft:
            raise ValueError("_fail_on_unavailable cannot be set when soft is True.")


def _check_values(values: tuple[Any, ...], operator: str) -> None:
    if not values:
        raise ValueError(
            f"The variadic parameter of the {operator} operator must be a non-empty tuple: "
            f'e.g. {operator}("value1", "value2").'
        )
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise ValueError(  # noqa: TRY004 - Ray's choice, on which programs rely
                f"Type of value in position {index} for the {operator} operator must be str "
                f'(e.g. {operator}("value1", "value2")) but got {value} of type {type(value)}.'
            )


class In:
    """The node's label is one of ``values``."""

    def __init__(self, *values: str) -> None:
        _check_values(values, "In")
        self.values = list(values)


class NotIn:
    """The node's label is none of ``values``, or it has no such label."""

    def __init__(self, *values: str) -> None:
        _check_values(values, "NotIn")
        self.values = list(values)


class Exists:
    """The node has such a label."""


class DoesNotExist:
    """The node has no such label."""


_OPERATORS = (In, NotIn, Exists, DoesNotExist)


class NodeLabelSchedulingStrategy:
    """On a node with certain labels.

    Args:
        hard: for each key an ``In``, ``NotIn``, ``Exists`` or ``DoesNotExist`` that must hold.
        soft: conditions that decide between nodes for which ``hard`` holds.

    Raises:
        ValueError: neither is given, or one is not such a dict.
    """

    def __init__(self, hard: dict[str, Any] | None, *, soft: dict[str, Any] | None = None) -> None:
        self.hard = _checked(hard, "hard")
        self.soft = _checked(soft, "soft")
        if not (self.hard or self.soft):
            raise ValueError(
                "The `hard` and `soft` parameter of NodeLabelSchedulingStrategy cannot both be "
                "empty."
            )


def _checked(given: Any, parameter: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError(  # noqa: TRY004 - Ray's choice, on which programs rely
            f'The {parameter} parameter must be a map (e.g. {{"key1": In("value1")}}) but got '
            f"type {type(given)}."
        )
    for key, value in given.items():
        if not isinstance(key, str):
            raise ValueError(  # noqa: TRY004
                f"The map key of the {parameter} parameter must be of type str (e.g. "
                f'{{"key1": In("value1")}}) but got {key} of type {type(key)}.'
            )
        if not isinstance(value, _OPERATORS):
            raise ValueError(  # noqa: TRY004
                f"The map value for key {key} of the {parameter} parameter must be one of the "
                f"`In`, `NotIn`, `Exists` or `DoesNotExist` operator (e.g. "
                f'{{"key1": In("value1")}}) but got {value} of type {type(value)}.'
            )
    return dict(given)
