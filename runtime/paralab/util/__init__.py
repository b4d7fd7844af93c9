"""What stands beside tasks, actors and objects: pools, queues, metrics, and looking inside.

Nearly everything is loaded when it is first used, so that ``import paralab`` stays light.
"""

# No "from __future__ import annotations" here: that name is the module of marks below.
import importlib
from typing import Any

# Loaded at once: the name of this module is that of a function too, and the function shall win.
from paralab.util.placement_group import (
    get_current_placement_group,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

_FROM = {
    "ActorPool": "actor_pool",
    "as_completed": "helpers",
    "deregister_serializer": "serialization",
    "disable_log_once_globally": "debug",
    "enable_periodic_logging": "debug",
    "inspect_serializability": "check_serialize",
    "log_once": "debug",
    "map_unordered": "helpers",
    "register_serializer": "serialization",
}
"""Public name → the module below this one that has it."""
_MODULES = {
    "actor_pool", "annotations", "check_serialize", "debug", "helpers", "metrics", "queue",
    "scheduling_strategies", "serialization", "state",
}  # fmt: skip

__all__ = [
    "ActorPool",
    "as_completed",
    "deregister_serializer",
    "disable_log_once_globally",
    "enable_periodic_logging",
    "get_current_placement_group",
    "get_node_ip_address",
    "get_placement_group",
    "inspect_serializability",
    "list_named_actors",
    "log_once",
    "map_unordered",
    "placement_group",
    "placement_group_table",
    "register_serializer",
    "remove_placement_group",
]


def get_node_ip_address(address: str | None = None) -> str:
    """The address of this process's node; on one machine that is the loopback address.

    Args:
        address: Ray's, of a host that could be reached; it changes nothing here.
    """
    from paralab.engine import installed

    engine = installed()
    return "127.0.0.1" if engine is None else str(engine.info("address")["node_ip_address"])


def list_named_actors(all_namespaces: bool = False) -> list[str] | list[dict[str, Any]]:
    """The living actors that have a name.

    Args:
        all_namespaces: whether to look beyond the session's own namespace.

    Returns:
        The names, or of all namespaces dicts with "name" and "namespace".
    """
    from paralab.api import _engine

    found: list[tuple[str, str]] = _engine().info("named_actors")
    if all_namespaces:
        return [{"name": name, "namespace": namespace} for namespace, name in found]
    own = _engine().info("context")["namespace"]
    return [name for namespace, name in found if namespace == own]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        from paralab.absent import submodule

        return submodule("paralab.util", name)
    return getattr(importlib.import_module(f"paralab.util.{_FROM[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FROM, *_MODULES})
