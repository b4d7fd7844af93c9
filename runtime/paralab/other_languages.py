"""Names of Ray's other languages and of its client that programs mention.

paralab runs Python on the machine that it was started on.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

SCRIPT_MODE = 0
WORKER_MODE = 1


class Language(IntEnum):
    """The language of a task or actor; here always Python."""

    PYTHON = 0
    JAVA = 1
    CPP = 2

    def __repr__(self) -> str:
        return str(self.name)

    __str__ = __repr__


class ClientBuilder:
    """Settings for a connection, an old way to write ``init``: ``client().connect()``.

    Args:
        address: None or "local" for this machine.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = address
        self._runtime_env: dict[str, Any] | None = None
        self._namespace: str | None = None

    def env(self, env: dict[str, Any]) -> ClientBuilder:
        """Sets the environment of all tasks and actors."""
        self._runtime_env = env
        return self

    def namespace(self, namespace: str) -> ClientBuilder:
        """Sets the namespace of named actors."""
        self._namespace = namespace
        return self

    def connect(self) -> Any:
        """Starts a session on this machine; returns what ``init`` returns.

        Raises:
            NotImplementedError: the address is another machine's.
        """
        from paralab.lifecycle import init

        if self.address not in (None, "local"):
            raise NotImplementedError(
                f"client({self.address!r}): there is no client that works on another machine's "
                "cluster yet; leave the address out to start on this one."
            )
        return init(namespace=self._namespace, runtime_env=self._runtime_env)


def client(address: str | None = None, _deprecation_warn_enabled: bool = True) -> ClientBuilder:
    """An old way to write ``init``; see :class:`ClientBuilder`."""
    return ClientBuilder(address)
