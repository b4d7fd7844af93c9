"""Environments as a client, a driver or a worker, knows them: which one a task or actor wants.

A process has one environment for its life, and what it submits has it too, but for what the
task's or actor's own ``runtime_env`` says otherwise.  The two are merged at the first call with
the same options; the node is told of the result once, before the first request that names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from paralab.messages import ENVIRONMENT

if TYPE_CHECKING:
    from paralab.process.client import CoreClient


class ClientEnvironments:
    """The environments that one client has named; made with the first."""

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self._own_key, self._own = core.welcome["environment"]
        self._folder: str = core.welcome["info"]["session_dir"]
        self._told = {"", self._own_key}
        self._keys: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        """By options: a folder is copied once for all calls with the same ones."""

    def key(self, options: Any) -> str:
        """The name of the environment of a task or actor with these options.

        Raises:
            ValueError, OSError: a folder that it names is not there, or too large.
        """
        key = self._keys.get(options)
        if key is None:
            key, description = options.runtime_env.named(self._own, self._folder)
            self._keys[options] = key
            if key not in self._told:
                self._told.add(key)
                self._core.node.post((ENVIRONMENT, key, description, False))
        return key
