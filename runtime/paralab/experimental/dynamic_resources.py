"""What Ray has taken away and still answers."""

from __future__ import annotations


def set_resource(resource_name: str, capacity: float, node_id: str | None = None) -> None:
    """Raises: resources are declared when a node starts.

    Raises:
        DeprecationWarning: always, as in Ray.
    """
    raise DeprecationWarning(
        "Dynamic custom resources are deprecated. Use placement groups, or declare the resources "
        "with init(resources=...)."
    )
