"""What ``init`` returns: where the session is, as text, as HTML and for ``with``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from paralab.library_name import is_called_ray
from paralab.shown_text import shown_name, shown_path

ADDRESS_KEYS = (
    "node_ip_address",
    "redis_address",
    "object_store_address",
    "raylet_socket_name",
    "webui_url",
    "session_dir",
    "metrics_export_port",
    "gcs_address",
    "address",
    "dashboard_agent_listen_port",
    "node_id",
)
"""The keys that Ray's users know; those with no counterpart here are None."""


class Context(Mapping[str, Any]):
    """A running session; leaving its ``with`` block shuts the session down.

    Attributes:
        address_info: a dict about the session: node_id, address, session_dir, ...
        dashboard_url: empty, as there is no dashboard.
        python_version: such as "3.11.7".
        paralab_version, ray_version: this package's version; the latter is the name that
            programs written for Ray look for.
        ray_commit: under the alias paralab's own version, else empty.
    """

    dashboard_url = ""

    def __init__(
        self,
        address_info: Mapping[str, Any],
        version: str | None,
        disconnect: Callable[[], None],
        resources: Mapping[str, float] | None = None,
    ) -> None:
        resources = resources or {}
        self._cpus = resources.get("CPU", 0.0)
        self._store_bytes = resources.get("object_store_memory", 0.0)
        self.address_info: dict[str, Any] = {**dict.fromkeys(ADDRESS_KEYS), **address_info}
        self.python_version = ".".join(map(str, sys.version_info[:3]))
        self._version = version
        self._disconnect = disconnect

    @property
    def paralab_version(self) -> str:
        if self._version is None:  # finding it out takes a tenth of the start: when it is asked for
            import paralab

            self._version = paralab.__version__
        return self._version

    @property
    def ray_version(self) -> str:
        return self.paralab_version

    @property
    def ray_commit(self) -> str:
        import paralab

        return paralab.__commit__ if is_called_ray() else ""

    def __getitem__(self, key: str) -> Any:
        return self.address_info[key]

    def __len__(self) -> int:
        return len(self.address_info)

    def __iter__(self) -> Iterator[str]:
        return iter(self.address_info)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.disconnect()

    def disconnect(self) -> None:
        """Shuts the session down, as :func:`paralab.shutdown`; does nothing if it is."""
        self._disconnect()

    def __repr__(self) -> str:
        if is_called_ray():
            return (
                f"RayContext(dashboard_url={self.dashboard_url!r}, "
                f"python_version={self.python_version!r}, ray_version={self.ray_version!r}, "
                f"ray_commit={self.ray_commit!r})"
            )
        return (
            f"Context(paralab_version={self.paralab_version!r}, "
            f"python_version={self.python_version!r}, address={self._address()!r}, "
            f"cpus={self._cpus:g}, object_store={self._store()!r})"
        )

    def _store(self) -> str:
        """How large the object store may become; empty where there is none."""
        return f"{self._store_bytes / (1 << 20):,.0f} MiB" if self._store_bytes else ""

    def _address(self) -> str:
        """Where the node is, without the name of the user's home: this stays in notebooks."""
        scheme, colon, path = str(self.address_info["address"]).partition(":")
        return shown_name(scheme + colon + shown_path(path))

    def _repr_html_(self) -> str:
        import html

        rows = {
            "paralab": self.paralab_version,
            "Python": self.python_version,
            "Address": self._address(),
            "Node": self.address_info["node_id"],
            "CPUs": f"{self._cpus:g}",
            "Object store": self._store(),
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
            for name, value in rows.items()
            if value
        )
        return f"<table>{cells}</table>"
