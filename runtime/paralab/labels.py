"""Labels of nodes and conditions on them, as users write them: checked, and turned into tuples.

::

    {"zone": "a"}   {"zone": "!a"}   {"zone": "in(a, b)"}   {"zone": "!in(a, b)"}

The syntax of keys and values is that of Kubernetes, as in Ray.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from paralab.shown_text import shown_name
from paralab.state.labels import Selector

_WORD = r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?"
_NAME = re.compile(_WORD)
_PREFIX = re.compile(rf"({_WORD})(\.({_WORD}))*")
_CONDITION = re.compile(rf"!?(in)?\({_WORD}(, ?{_WORD})*\)|!?{_WORD}")
_RULE = (
    "Value must be 63 chars or less beginning and ending with an alphanumeric character "
    "([a-z0-9A-Z]) with dashes (-), underscores (_), dots (.), and alphanumerics between."
)


def _check_key(key: Any) -> None:
    if not isinstance(key, str):
        raise TypeError(f"The label key {key!r} is not a str.")
    prefix, _, name = key.rpartition("/")
    if "/" in key and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix)):
        raise ValueError(
            f"Invalid label key prefix `{shown_name(prefix)}`. Prefix must be a series of DNS "
            "labels separated by dots (.), not longer than 253 characters in total."
        )
    if len(name) > 63 or not _NAME.fullmatch(name):
        raise ValueError(
            f"Invalid label key name `{shown_name(name)}`. Name must be 63 chars or less beginning "
            "and ending with an alphanumeric character ([a-z0-9A-Z]) with dashes (-), underscores "
            "(_), dots (.), and alphanumerics between."
        )


def check_labels(labels: Mapping[Any, Any]) -> dict[str, str]:
    """The labels of a node, checked.

    Raises:
        TypeError: a key or value is not a str.
        ValueError: one does not have the form of a label, or the key begins with ``ray.io/``.
    """
    for key, value in labels.items():
        _check_key(key)
        if key.startswith("ray.io/"):
            raise ValueError(
                f"Custom label keys `{key}` cannot start with the prefix `ray.io/`. This is "
                "reserved for Ray defined labels."
            )
        if not isinstance(value, str):
            raise TypeError(f"The label {shown_name(key)}={value!r}: expected a str.")
        if value and not _NAME.fullmatch(value):
            raise ValueError(f"Invalid label key value `{shown_name(value)}`. {_RULE}")
    return dict(labels)


def parse_selector(selector: Mapping[Any, Any]) -> Selector:
    """A ``label_selector`` as the conditions that it states.

    Raises:
        TypeError: a key or value is not a str.
        ValueError: one does not have the form of a condition.
    """
    conditions = []
    for key, value in selector.items():
        _check_key(key)
        if not isinstance(value, str):
            raise TypeError(f"label_selector[{key!r}]={value!r}: expected a str.")
        if value and not _CONDITION.fullmatch(value):
            raise ValueError(
                f"Invalid label selector value `{shown_name(value)}`. The label selector value "
                "should contain optional operators and a label value. Supported operators are: ! "
                f"and {{'in'}}. {_RULE}"
            )
        rest = value.removeprefix("!")
        inside = rest[rest.index("(") + 1 : -1] if rest.endswith(")") else rest
        values = tuple(word.strip() for word in inside.split(","))
        conditions.append((key, value.startswith("!"), values))
    return tuple(conditions)


def parse_fallbacks(fallbacks: list[Any]) -> list[Selector]:
    """The selectors of a ``fallback_strategy``.

    Raises:
        ValueError: an element is not a dict with the key "label_selector" alone.
    """
    selectors = []
    for strategy in fallbacks:
        if not isinstance(strategy, dict):
            raise ValueError(  # noqa: TRY004 - as in Ray
                "Each element in fallback_strategy must be a dictionary."
            )
        if not strategy:
            raise ValueError("Empty dictionary found in `fallback_strategy`.")
        for option in strategy:
            if option != "label_selector":
                raise ValueError(
                    f"Unsupported option found: {option!r}. Only ['label_selector'] is currently "
                    "supported."
                )
        if not isinstance(strategy["label_selector"], dict):
            raise ValueError(  # noqa: TRY004
                'The value of "label_selector" must be a dictionary.'
            )
        selectors.append(parse_selector(strategy["label_selector"]))
    return selectors
