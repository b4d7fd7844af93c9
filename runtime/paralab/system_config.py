"""Settings that few programs need: ``init(_system_config=)`` and environment variables.

A setting has Ray's name where Ray has it.  What ``_system_config`` gives counts before the
variable ``PARALAB_`` + its name in capitals, and that before the default; under the alias Ray's
own variable (``RAY_`` + its name) counts too.  They are read where a node is started and go with
it to all of its processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from paralab.library_name import is_called_ray

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


class Setting(NamedTuple):
    """What one setting may be."""

    default: Any
    expected: str
    is_valid: Callable[[Any], bool]


SETTINGS: dict[str, Setting] = {
    "memory_usage_threshold": Setting(0.95, "a number from 0 to 1", lambda n: 0 <= n <= 1),
    "memory_monitor_refresh_ms": Setting(250, "milliseconds >= 0, 0 for never", lambda n: n >= 0),
    "memory_limit_bytes": Setting(0, "bytes >= 0, 0 for those of the machine", lambda n: n >= 0),
    "task_oom_retries": Setting(-1, "a number >= -1, -1 for any number", lambda n: n >= -1),
    "task_oom_retry_delay_base_ms": Setting(1000, "milliseconds >= 0", lambda n: n >= 0),
    "max_lineage_bytes": Setting(1 << 30, "bytes >= 0", lambda n: n >= 0),
    "record_ref_creation_sites": Setting(False, "True or False", lambda _: True),
}
"""``memory_limit_bytes`` is paralab's own: workers and store together may use so much."""


def settings(given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The value of every setting; names in ``given`` that mean nothing here are left out.

    Raises:
        TypeError, ValueError: a value is wrong; the message names setting and value.
    """
    if not isinstance(given, (Mapping, type(None))):
        raise TypeError(
            f"init(_system_config={given!r}) is of type {type(given).__name__}; expected a dict "
            "of settings by name."
        )
    return {name: _value(name, setting, given or {}) for name, setting in SETTINGS.items()}


def _value(name: str, setting: Setting, given: Mapping[str, Any]) -> Any:
    if name in given:
        return _checked(setting, given[name], f"init(_system_config={{{name!r}: ...}})")
    variables = [f"PARALAB_{name.upper()}"] + [f"RAY_{name}"] * is_called_ray()
    for variable in variables:
        text = os.environ.get(variable)
        if text is not None:
            return _checked(setting, _parsed(setting, text), f"The environment's {variable}")
    return setting.default


def _parsed(setting: Setting, text: str) -> Any:
    word = text.strip().lower()
    if isinstance(setting.default, bool):
        return True if word in _TRUE else False if word in _FALSE else text
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return text


def _checked(setting: Setting, value: Any, where: str) -> Any:
    kind = type(setting.default)
    fits = isinstance(value, bool) is (kind is bool)
    fits = fits and isinstance(value, (int, float) if kind is float else kind)
    if not fits or not setting.is_valid(value):
        error = ValueError if fits or isinstance(value, str) else TypeError
        raise error(f"{where} is {value!r}; expected {setting.expected}.")
    return value
