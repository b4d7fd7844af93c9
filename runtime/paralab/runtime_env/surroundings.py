"""What a worker finds around it: import path, folder, and the hook that runs before its tasks.

    sys.path   the environment's folders │ the driver's path │ what only this interpreter has

The packages of an environment's own interpreter stand in front of the driver's packages, and
behind everything that the driver looks through before them.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any

from paralab.runtime_env.variables import set_here

_PACKAGES = ("site-packages", "dist-packages")
_own: list[str] = []
"""The import path of this interpreter before the first call of ``settle``."""


def settle(path: list[str], folder: str, environment: dict[str, Any]) -> None:
    """Takes over the driver's import path and folder, in this worker's environment."""
    is_first = not _own
    if is_first:
        _own.extend(sys.path)
        set_here(environment)
    at = next((n for n, p in enumerate(path) if os.path.basename(p) in _PACKAGES), len(path))
    own = [part for part in _own if part not in path]
    packages = [part for part in own if os.path.basename(part) in _PACKAGES]
    rest = [part for part in own if part not in packages]
    home = environment.get("working_dir")
    front = [*([home] if home else []), *environment.get("py_modules", [])]
    sys.path[:] = [*front, *path[:at], *packages, *path[at:], *rest]
    if not is_first:
        importlib.invalidate_caches()
    try:
        os.chdir(home or folder)
    except OSError:
        pass  # the driver's folder is gone; the node's will do


def set_up(environment: dict[str, Any]) -> str:
    """Runs the environment's hook, if it has one; returns the traceback if that raised."""
    hook: Any = environment.get("worker_process_setup_hook")
    if not hook:
        return ""
    try:
        _load_hook(hook)()
    except BaseException:
        return f"Its worker_process_setup_hook raised.\n{traceback.format_exc()}"
    return ""


def _load_hook(hook: str) -> Callable[[], Any]:
    if os.path.isabs(hook):  # pickled, in the session's folder
        with open(hook, "rb") as file:
            loaded: Callable[[], Any] = pickle.load(file)
            return loaded
    module, _, name = hook.rpartition(".")
    if not module:
        raise ValueError(f"{hook!r} has to be module.function")
    function: Callable[[], Any] = getattr(importlib.import_module(module), name)
    return function
