"""What Ray calls experimental, as far as paralab has it: bars, places, values under names."""

from __future__ import annotations

from typing import Any

_FUNCTIONS = {
    "get_local_object_locations": "locations",
    "get_object_locations": "locations",
    "set_resource": "dynamic_resources",
}
"""Which the package lists itself, and the modules in which they are."""


def __getattr__(name: str) -> Any:
    from paralab.absent import submodule

    module = submodule("paralab.experimental", _FUNCTIONS.get(name, name))
    return getattr(module, name) if name in _FUNCTIONS else module
